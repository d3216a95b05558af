"""audit --publish on the command line: what holds goes out, what does not is not written."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from msgspec import json as packed

from fhir_equity.quality.publish.earlier import Publication
from fhir_equity.store import Store
from tests.cli.conftest import Run
from tests.conftest import ROOT


def members(path: Path, races: str) -> None:
    header = "member_id,first_name,last_name,birth_date,race_ethnicity\n"
    rows = (f"P{n:04},A{n},B,1980-01-01,{'Asian' if race == 'a' else 'White'}\n" for n, race in enumerate(races))
    path.write_text(header + "".join(rows))


def test_a_publication_is_written_remembered_and_on_the_trail(run: Run, tmp_path: Path) -> None:
    members(tmp_path / "survey.csv", "a" * 40 + "w" * 60)
    done = run("audit", "survey.csv", "--publish", "--json", "p.json", "--html", "p.html")
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "p.json").read_bytes())
    assert (told["audience"], told["population"]) == ("public", 100)
    assert told["views"]["omb2024"]["categories"]["Asian"] == {"any": 40, "alone": 40}
    assert "Published: small counts are suppressed" in (tmp_path / "p.html").read_text()
    assert run("audit", "survey.csv", "--publish", "--json", "-").returncode == 0
    store = Store(str(tmp_path / "equity.db"))
    assert len(store.publications.all()) == 2
    assert [entry.action for entry in store.trail.entries()] == ["publish", "publish"]
    store.close()


def test_what_could_be_found_out_is_not_written(run: Run, tmp_path: Path) -> None:
    """Four of a hundred are Asian; an earlier publication of the same data told all the others."""
    members(tmp_path / "survey.csv", "a" * 4 + "w" * 96)
    assert run("audit", "survey.csv", "--publish").returncode == 0
    store = Store(str(tmp_path / "equity.db"))
    (content,) = store.publications.all()
    publication = packed.decode(content, type=Publication)
    for _, cell in publication.cells:
        cell.hidden, cell.withheld = cell.small, False
    store.publications.remember("later", packed.encode(publication))
    store.close()
    done = run("audit", "survey.csv", "--publish", "--json", "p.json", "--html", "p.html")
    assert done.returncode == 1
    assert b"Nothing is published" in done.stderr
    assert not (tmp_path / "p.json").exists()
    assert not (tmp_path / "p.html").exists()


def test_without_publish_everything_says_that_it_is_internal(run: Run, tmp_path: Path) -> None:
    assert (
        run(
            "audit", ROOT / "fixtures/people/lebanese/enrollment.834", "--json", "a.json", "--html", "a.html"
        ).returncode
        == 0
    )
    assert json.loads((tmp_path / "a.json").read_bytes())["audience"] == "internal"
    assert "Internal: counts are not suppressed" in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert not (tmp_path / "equity.db").exists()


def test_words_of_ones_own_are_in_no_publication(run: Run, tmp_path: Path) -> None:
    """What only one person wrote is who they are: not even its being there is told, in no form."""
    words = {"race_ethnicity": "Zyrgonian", "gender_identity": "starlit", "sexual_orientation": "moonwise"}
    everybody = [("White", "Woman", "Straight")] * 60 + [("Black", "Man", "Straight")] * 60 + [tuple(words.values())]
    rows = (f"P{n:04},A{n},B,1980-01-01,{','.join(said)}\n" for n, said in enumerate(everybody))
    header = f"member_id,first_name,last_name,birth_date,{','.join(words)}\n"
    (tmp_path / "survey.csv").write_text(header + "".join(rows))
    outputs = ("--json", "p.json", "--html", "p.html", "--csv", "tables", "--xlsx", "p.xlsx", "--bundle", "evidence")
    done = run("audit", "survey.csv", "--publish", *outputs, "--measure-report", "m.json")
    assert done.returncode == 0, done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in (".db", ".key")]
    written = [path for path in written if path.name != "survey.csv"]
    assert len(written) > 5
    for path in written:
        for content in _contents(path):
            assert not [word for word in words.values() if word.lower().encode() in content.lower()], path.name
    assert json.loads((tmp_path / "p.json").read_bytes())["population"] == len(everybody)


def _contents(path: Path) -> list[bytes]:
    if not zipfile.is_zipfile(path):
        return [path.read_bytes()]
    with zipfile.ZipFile(path) as packed_file:
        return [packed_file.read(name) for name in packed_file.namelist()]
