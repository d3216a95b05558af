"""The wheel holds everything: built, installed elsewhere, it looks a code up without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

LOOK_UP = """
import fhir_equity, pathlib
from fhir_equity import Vocabulary
found = Vocabulary().codes.find("cdcrec", "2118-8")
print(pathlib.Path(fhir_equity.__file__).parent, found.display, sep="|")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=900)
    return next(out.glob("*.whl"))


def test_the_wheel_carries_every_table_and_nothing_of_the_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tables = {f"fhir_equity/{p.relative_to(ROOT)}" for p in (ROOT / "mappings").rglob("*") if p.is_file()}
    assert tables <= names
    assert "fhir_equity/py.typed" in names
    assert "fhir_equity/reports/templates/audit.html.j2" in names
    assert not [name for name in names if name.startswith(("tests/", "fixtures/"))]


def test_installed_elsewhere_it_looks_a_code_up(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(place), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=900)
    # The path file of an editable install must not win, so only the target and the libraries are seen.
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    code = f"import sys; sys.path[:0] = {[str(place)]!r}; sys.path += {libraries!r}\n{LOOK_UP}"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    )
    where, display = done.stdout.strip().split("|")
    assert Path(where) == place / "fhir_equity"
    assert display == "Middle Eastern or North African"
