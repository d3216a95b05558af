"""The audit's page in a real browser: wide, narrow and on paper, whole, readable, a table behind each chart."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from fhir_equity.pipeline.audit import audit
from fhir_equity.pipeline.demo import demo
from fhir_equity.pipeline.publish import publish
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.publish.document import Internal
from fhir_equity.reports.html import write_html
from fhir_equity.settings import load
from tests.conftest import missing
from tests.servers.browsing import PROJECT, Seen, seen
from tests.servers.programs import ProgramError, node_packages
from tests.servers.renderer import PROGRAMS, browser

COUNTED = ("base", "rdm-style", "ldm-style", "tmsis", "covered-california")
WIDTHS = {"wide": 1280, "narrow": 360, "paper": 794}  # A4 at 96 dots an inch


@pytest.fixture(scope="module", params=["internal", "published"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the demonstration's store, with everything in it, and the one for everybody."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            missing(f"{program} is not on this machine (Node 20 or newer)")
    if not browser():
        missing("there is no Chromium on this machine")
    try:
        node_packages(PROJECT)
    except ProgramError as error:
        missing(f"axe-core cannot be fetched here: {error}")
    folder = tmp_path_factory.mktemp("page") / "demo"
    demo(folder, lambda _: None, lambda _done, _path: None)
    with Workspace(load(folder / "equity.toml", "")) as workspace:
        if request.param == "internal":
            report = Internal(audit(workspace, programs=COUNTED, by=["age"]).document)
            write_html(report, folder / "page.html")
        else:
            published = publish(workspace, audit(workspace, [folder / "enrollment.834"]))
            assert published.held
            write_html(published, folder / "page.html")
    return folder / "page.html"


def look(page: Path, name: str) -> Seen:
    return seen(page, WIDTHS[name], paper=name == "paper", screenshot=page.with_name(f"{name}.png"))


@pytest.mark.parametrize("name", WIDTHS)
def test_nothing_sticks_out_and_everybody_can_read_it(page: Path, name: str) -> None:
    found = look(page, name)
    assert found.overflow <= 0
    assert found.violations == []
    assert {"color-contrast", "landmark-one-main", "region", "heading-order", "scope-attr-valid"} <= set(found.passed)
    assert (found.asked, found.errors) == ([], [])
    assert page.with_name(f"{name}.png").stat().st_size > 50_000


def test_a_table_with_its_numbers_is_behind_each_chart(page: Path) -> None:
    found = look(page, "wide")
    assert len(found.charts) >= 4
    assert all(words and rows > 1 for _, words, rows in found.charts), found.charts
    assert found.reached == len(re.findall('tabindex="0"', page.read_text(encoding="utf-8"))) > 8


def test_the_referee_is_awake(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    (tmp_path / "wrong.html").write_text(
        text.replace("--muted: #565f69", "--muted: #d0d0d0")
        .replace('<html lang="en">', "<html>")
        .replace("<h2>Completeness by topic</h2>", '<h2 style="width: 1200px">x</h2>')
        .replace('<svg role="img"', '<img src="https://plan.example/x.png" alt="x"><svg role="img"', 1),
        encoding="utf-8",
    )
    found = seen(tmp_path / "wrong.html", 360)
    assert {"color-contrast", "html-has-lang"} <= {rule for rule, *_ in found.violations}
    assert found.overflow > 500
    assert found.asked == ["https://plan.example/x.png"]
