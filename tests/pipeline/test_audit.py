"""audit: the contract, the same numbers from files and from the store, in whatever order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.errors import UsageError
from fhir_equity.model import Severity
from fhir_equity.pipeline.audit import Audit, audit
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import Settings, StoreSettings
from fhir_equity.store import Store

FIXTURES = Path(__file__).resolve().parent.parent.parent / "fixtures"
HEAD = (
    "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *260101*1200*^*00501*000000001*0*T*:~\n"
    "GS*BE*SENDER*RECEIVER*20260101*1200*1*X*005010X220A1~\nST*834*0001*005010X220A1~\n"
    "BGN*00*FIXTURE*20260101*1200****4~\nN1*P5*SPONSOR~\nN1*IN*PAYER~\n"
)
PARTNER = "demo-plan"  # its sheet attests that the survey is self-reported and the 834 unstated
COUNTED = ("population", "topics", "views", "programs", "findings", "losses", "strata")
Look = Callable[..., Audit]


def member(number: int, race: str, *, given: str = "TALA", born: str = "19840506", coverage: str = "HLT") -> str:
    return (
        f"INS*Y*18*030**A***FT~\nREF*0F*FX{number:06}~\nNM1*IL*1*ROSEFIELD*{given}****ZZ*FX{number:06}~\n"
        f"N4*SAMPLETON*{'OR' if number % 2 else 'CA'}*97001~\nDMG*D8*{born}*F**{race}~\nLUI*LE*SPA**7~\n"
        f"HD*030**{coverage}~\n"
    )


def enrollment(path: Path, members: Iterable[str]) -> Path:
    body = "".join(members)
    count = body.count("~") + 5
    path.write_text(f"{HEAD}{body}SE*{count}*0001~\nGE*1*1~\nIEA*1*000000001~\n", encoding="ascii")
    return path


def survey(path: Path, answers: Sequence[tuple[int, str]]) -> Path:
    lines = [f"FX{number:06},Tala,Rosefield,1984-05-06,{answer}" for number, answer in answers]
    header = "member_id,first_name,last_name,birth_date,race_ethnicity"
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return path


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """`look(path, ..., by=["state"])` audits files, `look()` the store."""

    def run(*paths: Path, as_of: str = "2026-01-01", partner: str = PARTNER, **options: Any) -> Audit:
        with Workspace(Settings(store=StoreSettings(url=str(tmp_path / "equity.db"))), as_of) as workspace:
            return audit(workspace, paths, partner=partner, **options)

    return run


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., None]:
    def run(*paths: Path, as_of: str = "2026-01-01", partner: str = PARTNER) -> None:
        with Workspace(Settings(store=StoreSettings(url=str(tmp_path / "equity.db"))), as_of) as workspace:
            ingest(workspace, paths, partner=partner)

    return run


# What a store finds across the records of its files.
ACROSS = ("member.duplicate", "member.seen_in_two_files", "x12.member.subscriber_unknown", "x12.isa13.seen_before")


def counted(done: Audit) -> dict[str, Any]:
    return {name: done.document[name] for name in COUNTED}


def shape(value: Any) -> Any:
    """Keys and types of a document; of a list those of its entries, of free names those of their values."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return [shape(each) for each in value[:1]] if isinstance(value, list) else type(value)


def test_the_contract(tmp_path: Path, look: Look) -> None:
    path = enrollment(tmp_path / "a.834", [member(1, ":RET:2034-7"), member(2, "ZZ9")])
    document = look(path, by=["partner"]).document
    assert json.loads(json.dumps(document)) == document
    assert (document["schema"], document["audience"]) == ("fhir-equity/audit/1", "internal")
    rows = document["programs"]["base"]["rows"]
    assert {"topic", "numerator", "denominator", "rate", "threshold", "met"} <= rows[0].keys()
    assert [rows[0][name] for name in ("topic", "numerator", "rate")] == ["race_ethnicity", 1, 0.5]
    assert shape(document["run"]["inputs"]) == [
        {"name": str, "sha256": str, "bytes": int, "format": str, "members": int, "rejected": int}
    ]
    assert document["population"] == 2
    race, spoken = document["topics"]["race_ethnicity"], document["topics"]["language_spoken"]
    assert {"states", "methods", "detailed"} <= race.keys()
    assert "values" not in race
    assert {"states", "methods", "values"} <= spoken.keys()
    assert {"states", "values"} <= document["topics"]["language_written"].keys()
    assert (race["states"], race["methods"], race["detailed"]) == (
        {"answered": 1, "invalid": 1},
        {"unstated": 2},
        1,
    )
    assert (spoken["states"], spoken["values"]) == ({"answered": 2}, {"es": 2})
    assert document["topics"]["language_written"]["states"] == {"unknown": 2}
    assert document["views"]["omb2024"]["categories"] == {"Asian": {"any": 1, "alone": 1}}
    assert {"answered", "categories", "multiracial_or_multiethnic"} <= document["views"]["omb2024"].keys()
    assert {"race", "ethnicity", "bridged", "cannot_be_bridged"} <= document["views"]["omb1997"].keys()
    assert shape(document["strata"]) == [
        {
            "by": {"partner": str},
            "population": int,
            "topics": shape(document["topics"]),
            "views": shape(document["views"]),
        }
    ]
    assert shape(document["findings"]) == [{"code": str, "severity": str, "count": int}]
    assert document["losses"] == []


def test_the_input_that_was_read(tmp_path: Path, look: Look) -> None:
    path = enrollment(tmp_path / "a.834", [member(1, "7"), "INS*Q~\n", member(2, "7")])
    (entry,) = look(path).document["run"]["inputs"]
    assert entry == {
        "name": "a.834",
        "sha256": entry["sha256"],
        "bytes": path.stat().st_size,
        "format": "edi834",
        "members": 2,
        "rejected": 1,
    }
    assert len(entry["sha256"]) == 64


def test_an_empty_store(tmp_path: Path, look: Look) -> None:
    Store(str(tmp_path / "equity.db")).close()
    done = look(partner="")
    assert (done.document["population"], done.document["run"]["inputs"], done.document["findings"]) == (0, [], [])
    assert done.document["topics"]["race_ethnicity"]["states"] == {}
    assert done.worst() is None
    assert not done.reaches(Severity.INFO)


def test_wrong_usage(tmp_path: Path, look: Look) -> None:
    Store(str(tmp_path / "equity.db")).close()
    with pytest.raises(UsageError, match=r"^there is no stratum colour, shoe; there are: partner, coverage,"):
        look(by=["shoe", "partner", "colour"])
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UsageError, match=r"^there is nothing to read in .*nothing$"):
        look(tmp_path / "nothing")
    assert look(tmp_path / "nowhere.834").failures == [f"{tmp_path / 'nowhere.834'} does not exist"]


def test_inputs_that_cannot_be_read_are_told_and_the_others_counted(tmp_path: Path, look: Look) -> None:
    good = enrollment(tmp_path / "a.834", [member(1, "7")])
    empty = tmp_path / "empty.csv"
    empty.touch()
    broken = FIXTURES / "broken/survey"
    done = look(empty, good, broken / "binary.csv", broken / "no-key.csv")
    assert [entry["name"] for entry in done.document["run"]["inputs"]] == ["a.834"]
    assert [message.split(" ")[0].rstrip(":,") for message in done.failures] == [
        "empty.csv",
        "binary.csv",
        "no-key.csv",
    ]
    assert done.document["population"] == 1


def test_a_person_in_two_files_of_one_partner_counts_once(tmp_path: Path, look: Look) -> None:
    one = enrollment(tmp_path / "1.834", [member(1, ":RET:2106-3"), member(2, "7")])
    two = enrollment(tmp_path / "2.834", [member(1, ":RET:2106-3"), member(3, "7")])
    document = look(one, two).document
    assert document["population"] == 3
    assert document["topics"]["race_ethnicity"]["states"] == {"answered": 1, "blank": 2}
    assert document["topics"]["race_ethnicity"]["provisional"] == 0


def test_two_people_under_one_key_count_twice(tmp_path: Path, look: Look, load: Callable[..., None]) -> None:
    twins = [member(1, ":RET:2106-3"), member(1, "7", given="BRUNO", born="20110405")]
    path = enrollment(tmp_path / "1.834", twins)
    load(path)
    assert look(path).document["population"] == look().document["population"] == 2


def test_the_members_own_word_beats_the_enrollment_file(tmp_path: Path, look: Look) -> None:
    path = enrollment(tmp_path / "a.834", [member(1, ":RET:2106-3"), member(2, ":RET:2106-3"), member(3, "7")])
    asked = survey(tmp_path / "s.csv", [(1, "Black or African American"), (2, "Prefer not to answer"), (4, "Korean")])
    document = look(path, asked).document
    race = document["topics"]["race_ethnicity"]
    assert document["population"] == 4
    assert race["states"] == {"answered": 3, "blank": 1}
    assert race["methods"] == {"self": 2, "unstated": 2}
    assert document["views"]["omb2024"]["categories"] == {
        "Asian": {"any": 1, "alone": 1},
        "Black or African American": {"any": 1, "alone": 1},
        "White": {"any": 1, "alone": 1},
    }


def test_strata(tmp_path: Path, look: Look, load: Callable[..., None]) -> None:
    path = enrollment(
        tmp_path / "a.834",
        [
            member(1, ":RET:2106-3"),
            member(2, "7", coverage="DEN"),
            member(3, ":RET:2028-9").replace("INS*Y*18", "INS*N*19"),
        ],
    )
    asked = survey(tmp_path / "s.csv", [(1, "Korean"), (9, "Korean")])
    load(path, asked)
    for done in (
        look(path, asked, by=["state", "coverage", "relationship"]),
        look(by=["state", "coverage", "relationship"]),
    ):
        found = {next(iter(s["by"].items())): s for s in done.document["strata"]}
        assert {by: stratum["population"] for by, stratum in found.items()} == {
            ("state", "CA"): 1,
            ("state", "OR"): 2,
            ("state", "(none)"): 1,
            ("coverage", "DEN"): 1,
            ("coverage", "HLT"): 2,
            ("coverage", "(none)"): 1,
            ("relationship", "subscriber"): 2,
            ("relationship", "dependent"): 1,
            ("relationship", "(none)"): 1,
        }
        assert found["state", "CA"]["topics"]["race_ethnicity"]["states"] == {"blank": 1}
        assert found["state", "OR"]["views"]["omb2024"]["categories"] == {"Asian": {"any": 2, "alone": 2}}


def test_partners_are_strata_and_may_be_looked_at_alone(tmp_path: Path, look: Look, load: Callable[..., None]) -> None:
    one = enrollment(tmp_path / "1.834", [member(1, "7"), "INS*Q~\n"])
    two = enrollment(tmp_path / "2.834", [member(1, "7"), member(2, "7")])
    load(one, partner="north")
    load(two, partner="south")
    both = look(partner="", by=["partner"]).document
    assert both["population"] == 3
    assert [(s["by"], s["population"]) for s in both["strata"]] == [
        ({"partner": "north"}, 1),
        ({"partner": "south"}, 2),
    ]
    south = look(partner="south").document
    assert (south["population"], [i["name"] for i in south["run"]["inputs"]]) == (2, ["2.834"])
    assert "x12.ins01.not_in_code_list" not in {finding["code"] for finding in south["findings"]}


def test_the_order_of_files_changes_nothing(tmp_path: Path, look: Look) -> None:
    files = [
        enrollment(tmp_path / "1.834", [member(1, ":RET:2106-3"), member(2, ":RET:2054-5")]),
        enrollment(tmp_path / "2.834", [member(1, ":RET:2028-9"), member(2, "7"), member(2, "7", given="BRUNO")]),
        enrollment(
            tmp_path / "3.834", [member(1, "7", given="BRUNO", born="20110405"), member(2, "7", born="20110405")]
        ),
        survey(tmp_path / "s.csv", [(1, "Korean"), (1, "Chinese"), (2, "White")]),
    ]
    documents = [counted(look(*order, by=["state,age", "source,language"])) for order in permutations(files)]
    assert all(document == documents[0] for document in documents)
    assert documents[0]["population"] == 3


def test_files_and_store_give_the_same_numbers(look: Look, load: Callable[..., None]) -> None:
    folders = [FIXTURES / "people", FIXTURES / "broken"]
    load(*folders)
    strata = ["partner", "coverage,relationship", "state,county,age", "language", "source"]
    of_files, of_store = look(*folders, by=strata), look(by=strata)
    assert of_files.document["population"] > 5
    found = [f for f in of_store.document["findings"] if f["code"] not in ACROSS]
    assert len(found) < len(of_store.document["findings"])
    assert counted(of_store) | {"findings": found} == counted(of_files)
    assert of_store.document["run"]["inputs"] == of_files.document["run"]["inputs"]
    assert of_store.failures == []


def test_findings_of_a_file_read_again_count_once(tmp_path: Path, look: Look, load: Callable[..., None]) -> None:
    path = enrollment(tmp_path / "a.834", [member(1, "ZZ9")])
    once = look(path).document["findings"]
    for _ in range(3):
        load(path)
    assert look().document["findings"] == once


def test_the_worst_finding(tmp_path: Path, look: Look) -> None:
    calm, bad = enrollment(tmp_path / "a.834", [member(1, "7")]), enrollment(tmp_path / "b.834", [member(1, "ZZ9")])
    assert look(calm).worst() is None
    done = look(bad)
    assert done.worst() is Severity.ERROR
    assert [done.reaches(severity) for severity in Severity] == [True, True, True]
    assert done.document["findings"][0]["severity"] == "error"
    done.document["findings"] = [{"code": "x", "severity": "info", "count": 1}]
    assert [done.reaches(severity) for severity in Severity] == [True, False, False]


def test_rules_say_where_and_what_to_do_in_files_and_in_the_store(
    tmp_path: Path, look: Look, load: Callable[..., None]
) -> None:
    same = [member(n, ":RET:2106-3").replace(f"REF*0F*FX{n:06}", "REF*0F*FAMILY") for n in (1, 2, 3)]
    others = [member(number, ":RET:2106-3") for number in range(10, 60)]
    path = enrollment(tmp_path / "a.834", [*same, *others])
    asked = tmp_path / "s.csv"
    asked.write_text(
        "member_id,first_name,last_name,birth_date,survey_date,race_ethnicity,sexual_orientation\n"
        "FX000001,Tala,Rosefield,1984-05-06,1984-05-05,White,\n"
        "FX000002,Tala,Rosefield,2020-05-06,2025-05-06,White,Prefer not to answer\n"
        "FX000003,Tala,Rosefield,2020-05-06,2025-05-06,White,\n"
        "FX000010,Tala,Rosefield,1984-05-06,2026-01-02,White,Straight or heterosexual\n",
        encoding="utf-8",
    )
    load(path, asked)
    for done in (look(path, asked), look()):
        found = {f["code"]: f for f in done.document["findings"] if f["code"].startswith(RULES)}
        assert {code: (f["severity"], f["count"]) for code, f in found.items()} == {
            "answers.collected_after_receipt": ("warning", 1),
            "household.one_answer": ("info", 1),
            "member.asked_too_young": ("warning", 1),
            "member.collected_before_birth": ("warning", 1),
            "source.no_detail": ("info", 53),
            "source.one_value": ("warning", 53),
        }
        where = [f["message"] for f in done.document["findings"] if f["code"] == "source.one_value"]
        assert [words.split(": ")[0] for words in where] == [
            "demo-plan/plan/unstated, Race and ethnicity",
            "demo-plan/plan/unstated, Spoken language",
        ]
        assert all(f["message"].endswith(".") for f in found.values())


RULES = ("answers.", "household.", "source.", "member.asked", "member.collected")
