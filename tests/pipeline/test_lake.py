"""What is exported as Parquet can be read by others, and makes an equal store."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.errors import UnreadableError, UsageError
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.lake import COVER, export
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import PrivacySettings, Settings, StoreSettings
from fhir_equity.store import Store
from tests.benchmarks.generate_834 import file_of
from tests.conftest import ROOT, select_rows

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
STORIES = ROOT / "fixtures" / "people"
SOGI = "member_id,first_name,last_name,birth_date,race_ethnicity,gender_identity\nS1,Ida,Vale,1980-01-01,Asian,Female\n"
RUNS = (("2026-03-01", "acme", "834"), ("2026-02-01", "acme", "csv"), ("2026-01-01", "b", "json"))


def opened(url: str, tmp_path: Path, as_of: str) -> Workspace:
    settings = Settings(store=StoreSettings(url=url), privacy=PrivacySettings(key_file=tmp_path / "key"))
    return Workspace(settings, as_of)


def filled(url: str, tmp_path: Path) -> None:
    """Two partners, three days, every format; a later day comes before an earlier one."""
    (tmp_path / "sogi.csv").write_text(SOGI)
    for as_of, partner, ending in RUNS:
        with opened(url, tmp_path, as_of) as workspace:
            stories = [path for path in sorted(STORIES.rglob(f"*.{ending}")) if path.name != "expected.json"]
            more = {"834": [file_of(40, tmp_path)], "csv": [tmp_path / "sogi.csv"]}  # losses, and something sensitive
            assert ingest(workspace, [*stories, *more.get(ending, [])], partner=partner).members


def held(url: str, tmp_path: Path) -> list[Any]:
    """Everything that decisions are made from, without the numbers of the store."""
    with opened(url, tmp_path, "2026-04-01") as workspace:
        return held_in(workspace.store)


def held_in(store: Store) -> list[Any]:
    found = []
    for whole in store.lake.people():
        person = whole.person
        number = {e.identity[0]: (matter, e.origin, e.received) for matter, e in person.events}
        parts = []
        for part in whole.parts:
            events = [
                (matter, e.received, e.origin, e.first_seen, [whole.told[each] for each in e.identity])
                for matter, e in part.events
            ]
            parts.append(
                (part.pseudonym, part.member, part.placed, part.last_seen, part.withdrawn, sorted(events, key=str))
            )
        settled = [
            (*(each.matter, each.state, each.rule, each.policy, each.provisional, each.refused),
             number.get(each.winner or 0), [number[lost] for lost in each.beaten])
            for each in whole.settled
        ]  # fmt: skip
        said = sorted(((matter, e.received, e.origin, e.first_seen) for matter, e in person.events), key=str)
        found.append((person.pseudonym, person.member, parts, said, settled))
    logged = [sorted(map(str, rows)) for rows in (store.lake.findings(), store.lake.losses())]
    return [sorted(found, key=str), logged, store.lake.mergings()]


def test_an_export_makes_an_equal_store(new_url: Callable[[], str], tmp_path: Path) -> None:
    first, second = new_url(), new_url()
    filled(first, tmp_path)
    with opened(first, tmp_path, "2026-04-01") as workspace:
        done = export(workspace, tmp_path / "lake", include_sensitive=True)
    with opened(second, tmp_path, "2026-04-01") as workspace:
        loaded = ingest(workspace, [tmp_path / "lake"])
    assert held(second, tmp_path) == held(first, tmp_path)
    assert done.rows["members"] == loaded.members == loaded.new_members
    assert done.rows["answers"] == loaded.new_answers
    assert {name for name, count in done.rows.items() if not count} == {"merges", "decisions", "opt_outs", "holds"}
    assert select_rows(second, "SELECT count(*) FROM run WHERE finished = ''") == [(0,)]
    with opened(second, tmp_path, "2026-05-01") as workspace:
        again = ingest(workspace, [tmp_path / "lake"])
    assert (again.new_members, again.new_answers) == (0, 0)
    assert held(second, tmp_path)[0] == held(first, tmp_path)[0]


def test_sensitive_topics_stay(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    filled(url, tmp_path)
    with opened(url, tmp_path, "2026-04-01") as workspace:
        done = export(workspace, tmp_path / "lake", partner="acme")
    assert done.withheld
    topics = {topic for path in (tmp_path / "lake").rglob("answers/*/*") for topic in column(path, "topic")}
    assert "race_ethnicity" in topics
    assert not topics & {"sexual_orientation", "gender_identity", "pronouns"}
    matters = {each for path in (tmp_path / "lake").rglob("resolutions/*/*") for each in column(path, "matter")}
    assert matters
    assert not matters & {"sexual_orientation", "gender_identity"}
    assert {path.parent.name for path in (tmp_path / "lake").rglob("*.parquet")} == {"partner=acme"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "lake").rglob("*") if path.is_file()} == {0o600}


def column(path: Path, name: str) -> list[str]:
    found: list[str] = parquet.read_table(path).column(name).to_pylist()
    return found


def test_columns_are_typed_and_said(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    filled(url, tmp_path)
    with opened(url, tmp_path, "2026-04-01") as workspace:
        export(workspace, tmp_path / "lake")
    cover = json.loads((tmp_path / "lake" / COVER).read_bytes())
    assert cover["schema"] == "fhir-equity/lake/3"
    schema = parquet.read_schema(tmp_path / "lake" / "answers" / "partner=acme" / "part-0.parquet")
    assert schema.names == list(cover["tables"]["answers"])
    assert schema.field("event").type == pa.int64()
    assert [each.name for each in schema.field("concepts").type.value_type] == [
        *("system", "code", "display", "relationship", "rule")
    ]
    assert schema.metadata[b"fhir-equity"] == b"lake/3/answers"
    rows = parquet.read_table(tmp_path / "lake" / "answers" / "partner=acme" / "part-0.parquet").to_pylist()
    assert {row["first_seen"] for row in rows} == {"2026-02-01", "2026-03-01"}
    assert "2118-8" in {each["code"] for row in rows for each in row["concepts"]}


def test_what_is_no_export_of_ours_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    folder.mkdir()
    with opened(f"sqlite:///{tmp_path}/a.db", tmp_path, "2026-04-01") as workspace:
        (folder / COVER).write_text("{")
        with pytest.raises(UnreadableError, match=r"^lake/lake.json is not valid JSON$"):
            ingest(workspace, [folder])
        (folder / COVER).write_text('{"schema": "fhir-equity/lake/4"}')
        with pytest.raises(UsageError, match=r"^lake has another layout than fhir-equity/lake/3 and those before it$"):
            ingest(workspace, [folder])
        (folder / COVER).write_text('{"schema": "fhir-equity/lake/1", "rows": {"members": 1}, "across": 1}')
        with pytest.raises(UsageError, match=r"merged of members of two partners \(1\), .* export it again"):
            ingest(workspace, [folder])
        (folder / COVER).write_text('{"schema": "fhir-equity/lake/3", "rows": {"members": 1}}')
        (folder / "members" / "partner=x").mkdir(parents=True)
        (folder / "members" / "partner=x" / "part-0.parquet").write_bytes(b"PAR1")
        with pytest.raises(UnreadableError, match=r"^part-0.parquet is no Parquet file that can be read"):
            ingest(workspace, [folder])
        assert workspace.store  # there is one from now on
        with pytest.raises(UsageError, match=r"exists and is no empty folder$"):
            export(workspace, folder)
