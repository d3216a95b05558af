"""convert: what leaves only where sensitive topics may, and the forms of FHIR."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest

from fhir_equity.errors import UnreadableError, UsageError
from fhir_equity.pipeline.convert import convert
from fhir_equity.pipeline.leaving import Converted, Wish
from fhir_equity.pipeline.patients import Form
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.pipeline.writing import written
from fhir_equity.settings import MappingSettings, Settings, StoreSettings
from tests.adapters.edi834.files import ADA, file

SHEET = """
[[reporting]]
name = "GENDER IDENTITY"
reference = "ZZ"
topic = "gender_identity"
values = { F = "snomed|446141000124107" }
"""
RULE = """
[[rule]]
id = "state"
recipient = "state"
purpose = "required_by_law"
topics = ["gender_identity"]
from = "2026-01-01"
agreement = "invented"
"""
CATEGORY = "LS*2700~\nLX*1~\nN1*75*GENDER IDENTITY~\nREF*ZZ*F~\nLE*2700~\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    overlay = tmp_path / "overlay"
    for name, text in (("partners/plan/guides/edi834.toml", SHEET), ("policies/release.toml", RULE)):
        (overlay / name).parent.mkdir(parents=True)
        (overlay / name).write_text(text, encoding="utf-8")
    said = ("LS*2700", "LX*1", "N1*75*Gender identity", "REF*ZZ*f", "DTP*007*D8*20250601", "LE*2700")
    (tmp_path / "in.834").write_bytes(file((*ADA, "HD*030**HLT", "DTP*348*D8*20260101", *said)))
    return Settings(mappings=MappingSettings(overlay=overlay), store=StoreSettings(url=str(tmp_path / "equity.db")))


def converted(settings: Settings, folder: Path, wish: Wish) -> tuple[str, Converted]:
    with Workspace(settings, "2026-02-01") as workspace:
        done = convert(workspace, folder / "in.834", folder / "out.834", wish=wish)
    return (folder / "out.834").read_text(encoding="ascii"), done


def test_a_category_is_left_out_unless_it_is_asked_for(settings: Settings, tmp_path: Path) -> None:
    text, done = converted(settings, tmp_path, Wish(partner="plan"))
    assert "2700" not in text
    assert done.losses["release.sensitive_left_out"] == 1


@pytest.mark.parametrize(
    "wish", [Wish(partner="plan", include_sensitive=True), Wish(partner="plan", recipient="state")]
)
def test_a_category_goes_out_as_it_came_where_it_may(settings: Settings, tmp_path: Path, wish: Wish) -> None:
    text, done = converted(settings, tmp_path, wish)
    assert f"DTP*348*D8*20260101~\n{CATEGORY}SE*" in text
    assert "release.sensitive_left_out" not in done.losses


def test_for_a_partner_without_such_a_guide_there_is_no_place(settings: Settings, tmp_path: Path) -> None:
    text, done = converted(settings, tmp_path, Wish(partner="other", include_sensitive=True))
    assert "2700" not in text
    assert done.losses["x12.not_kept.N1"] == 1


# Forms of FHIR ------------------------------------------------------------------------------------

SURVEY = """\
member_id,first_name,last_name,birth_date,survey_date,answered_by,race_ethnicity,sexual_orientation
FX1,Tala,Rosefield,1984-05-06,2026-01-02,self,Asian,Lesbian
FX2,Omar,Pinecrest,2001-07-15,2026-01-02,proxy,Middle Eastern,
"""
FORMS: tuple[Form, ...] = ("ndjson", "bundle", "bulk")


def formed(folder: Path, wish: Wish, name: str = "out", source: str = SURVEY) -> Converted:
    """A survey converted in a folder that has a store of its own, or would."""
    (folder / "in.csv").write_text(source, encoding="utf-8")
    with Workspace(Settings(store=StoreSettings(url=str(folder / "equity.db")))) as workspace:
        return convert(workspace, folder / "in.csv", folder / name, wish=wish)


def test_a_folder_of_private_files(tmp_path: Path) -> None:
    formed(tmp_path, Wish(form="bulk", include_sensitive=True, validate=True))
    files = {path.name: path for path in (tmp_path / "out").iterdir()}
    assert set(files) == {"Patient.ndjson", "Observation.ndjson", "Provenance.ndjson", "manifest.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    counts = {each["url"]: each["count"] for each in json.loads(files["manifest.json"].read_bytes())["output"]}
    assert counts == {"Patient.ndjson": 2, "Observation.ndjson": 1, "Provenance.ndjson": 3}
    assert {name: len(files[name].read_bytes().splitlines()) for name in counts} == counts
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError):
        formed(tmp_path, Wish(form="bulk"), source="first_name,race_ethnicity\nTala,Asian\n")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == []
    (tmp_path / "out").mkdir()
    (tmp_path / "out.part").mkdir()  # of a run that was killed
    formed(tmp_path, Wish(form="bulk"))
    with pytest.raises(UsageError, match=r"^out exists and is no empty folder$"):
        formed(tmp_path, Wish(form="bulk"))
    (tmp_path / "file").write_text("kept")
    with Workspace() as workspace, pytest.raises(UsageError):
        convert(workspace, "in.csv", tmp_path / "out", wish=Wish(form="bulk"), losses=tmp_path / "losses")
    assert not (tmp_path / "losses").exists()
    with pytest.raises(UsageError, match=r"^file exists and is no empty folder$"):
        formed(tmp_path, Wish(form="bulk"), "file")


def test_a_device_is_written_to_and_stays_one(tmp_path: Path) -> None:
    (tmp_path / "out.csv").symlink_to("/dev/null")
    assert formed(tmp_path, Wish(), "out.csv").members == 2
    assert (tmp_path / "out.csv").is_symlink()
    assert (tmp_path / "out.csv").is_char_device()
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match=r"^folder.csv is a folder$"):
        formed(tmp_path, Wish(), "folder.csv")


def test_every_form_says_the_same_under_the_same_ids(tmp_path: Path) -> None:
    """Ids stay from run to run: the key lies beside the store."""
    for form in FORMS:
        formed(tmp_path, Wish(to="fhir", form=form, include_sensitive=True), form)
    lines = [json.loads(line) for line in (tmp_path / "ndjson").read_bytes().splitlines()]
    names = sorted(each["id"] for each in lines)
    bundles = [json.loads(line) for line in (tmp_path / "bundle").read_bytes().splitlines()]
    assert [len(each["entry"]) for each in bundles] == [4, 2]
    assert sorted(entry["resource"]["id"] for bundle in bundles for entry in bundle["entry"]) == names
    files = (tmp_path / "bulk").glob("*.ndjson")
    assert sorted(json.loads(line)["id"] for path in files for line in path.read_bytes().splitlines()) == names
    assert stat.S_IMODE((tmp_path / "equity.key").stat().st_mode) == 0o600
    (tmp_path / "equity.key").unlink()
    formed(tmp_path, Wish(to="fhir"), "again")
    assert json.loads((tmp_path / "again").read_bytes().splitlines()[0])["id"] not in names


def test_a_form_is_for_fhir(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--us-core and --form are for FHIR$"):
        formed(tmp_path, Wish(to="edi834", form="bundle"))


def test_a_notebook_is_told_that_its_output_takes_no_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", io.StringIO())
    with pytest.raises(UsageError, match="name a file"), written("-"):
        pass
