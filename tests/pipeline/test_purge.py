"""purge and hold: what goes and what stays, that nobody else wins by it, the certificate, and bytes that are gone."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_equity.errors import TableError, UsageError
from fhir_equity.model import Answer, Coding, Finding, Locator, Member, Name, Origin, Received, Rejected, Severity
from fhir_equity.pipeline.hold import hold_add, hold_list, hold_release
from fhir_equity.pipeline.merge import merge
from fhir_equity.pipeline.purge import Purged, purge
from fhir_equity.pipeline.record import record_of
from fhir_equity.pipeline.resolve import resolve
from fhir_equity.pipeline.retract import retract
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import MappingSettings, PrivacySettings, Settings, StoreSettings, TrailSettings
from fhir_equity.store import Disclosure, Kept, hie_journal
from fhir_equity.store.planned import Planned, Settled
from tests.conftest import select_rows
from tests.faults.points import everything

KINDS = ("people", "quarantine", "findings", "journal", "disclosures")
WHITE, BLACK, ASIAN = "2106-3", "2054-5", "2028-9"
BEFORE = "2021-01-01"
Said = tuple[str, str, str, str]  # key, method, topic, code


def opened(url: str, folder: Path, years: int = 0) -> Workspace:
    policies = folder / "overlay" / "policies"
    policies.mkdir(parents=True, exist_ok=True)
    text = "".join(f"[{kind}]\nyears = {6 if kind == 'disclosures' else years}\n" for kind in KINDS)
    (policies / "retention.toml").write_text(text, encoding="utf-8")
    found = Settings(
        store=StoreSettings(url=url),
        privacy=PrivacySettings(key_file=folder / "equity.key"),
        trail=TrailSettings(who="officer"),
        mappings=MappingSettings(overlay=folder / "overlay"),
    )
    return Workspace(found, "2026-11-29")


def member(key: str, *said: tuple[str, str, str]) -> Member:
    answers = []
    for method, topic, code in said:
        system = {"race": "cdcrec", "sexual_orientation": "sct"}.get(topic, "bcp47")
        received = Received(topic, f"test.{topic}", (Coding(system, code),), "", code)
        answers.append(Answer(received, Origin("plan", "a.csv", "plan", method), "row", 1, 0, ""))
    return Member("plan", key, name=Name("MARKED" + key, ("Ada",)), answers=tuple(answers))


def load(workspace: Workspace, as_of: str, *said: Said, rejected: bytes = b"") -> int:
    """One run in which each of these is said."""
    run = workspace.run("plan", as_of)
    artefact = run.artefact(f"{as_of}.csv", "survey")
    told: dict[str, list[tuple[str, str, str]]] = {}
    for key, method, topic, code in said:
        told.setdefault(key, []).append((method, topic, code))
    records = [record_of(workspace, member(key, *found)) for key, found in told.items()]
    finding = Finding("survey.row", Severity.ERROR, Locator("", "row", 1))
    run.add(artefact, records, [Rejected(rejected, finding)] if rejected else [], [finding])
    digest = hashlib.sha256(as_of.encode()).hexdigest()
    run.close(artefact, sha256=digest, size=1, members=len(records), rejected=0)
    run.finish()
    return run.id


def take(workspace: Workspace, folder: Path, *, before: str = BEFORE, dry_run: bool = False) -> Purged:
    number = len(list(folder.glob("*.certificate")))
    return purge(workspace, before, folder / f"{number}.certificate", dry_run=dry_run)


def kept(url: str) -> list[tuple[Any, ...]]:
    """Who wins, as the store has it."""
    query = "SELECT key, matter, winner, state, provisional, refused FROM resolution"
    return select_rows(url, query + " JOIN member ON member.id = member_id ORDER BY 1, 2")


def answers(url: str) -> list[tuple[str, str]]:
    query = "SELECT member.key, received.value FROM answer JOIN member ON member.id = member_id"
    rows = select_rows(url, query + " JOIN received ON received.id = received_id ORDER BY answer.id")
    return [(key, json.loads(bytes(value))["raw"]) for key, value in rows]


def test_an_answer_that_lost_long_ago_goes_and_the_one_that_wins_stays(
    workspace: Workspace, url: str, tmp_path: Path
) -> None:
    load(workspace, "2015-01-01", ("a", "observed", "race", WHITE), ("b", "self", "race", BLACK))
    load(workspace, "2025-01-01", ("a", "observed", "race", ASIAN), ("b", "self", "race", BLACK))
    before = everything(url)
    dry = take(workspace, tmp_path, dry_run=True)
    assert everything(url) == before
    assert not list(tmp_path.glob("*.certificate"))
    won = kept(url)
    done = take(workspace, tmp_path)
    assert (dict(done.gone.counts), dict(done.gone.runs)) == (dict(dry.gone.counts), dict(dry.gone.runs))
    assert {name: n for name, n in done.gone.counts.items() if n} == {"answers": 1, "received": 1}
    assert answers(url) == [("b", BLACK), ("a", ASIAN)]
    assert kept(url) == won
    assert select_rows(url, "SELECT count(*) FROM beaten") == [(0,)]
    assert resolve(workspace, dry_run=True).changed == 0
    values = select_rows(url, "SELECT value FROM received")
    assert not any(WHITE.encode() in bytes(value) for (value,) in values)
    assert select_rows(url, "SELECT count(*) FROM saying_part") == [(2,)]
    retract(workspace, 2, reason="r")
    assert answers(url) == [("b", BLACK), ("a", ASIAN)]
    assert [person.member.key for person in workspace.store.people] == ["a", "b"]
    assert workspace.store.trail.verify().problems == []


def test_what_was_given_again_since_stays(workspace: Workspace, url: str, tmp_path: Path) -> None:
    load(workspace, "2015-01-01", ("a", "observed", "race", WHITE), ("a", "self", "race", ASIAN))
    load(workspace, "2022-01-01", ("a", "observed", "race", WHITE), ("a", "self", "race", ASIAN))
    assert take(workspace, tmp_path).gone.counts["answers"] == 0
    assert len(answers(url)) == 2


def test_nothing_goes_that_somebody_has_to_decide_or_that_would_change_who_wins(
    workspace: Workspace, url: str, tmp_path: Path
) -> None:
    load(workspace, "2015-01-01", ("tie", "self", "race", WHITE), ("tie", "self", "language_spoken", "en"))
    load(workspace, "2015-02-01", ("tie", "self", "race", BLACK), ("no", "self", "sexual_orientation", "38628009"))
    load(workspace, "2015-03-01", ("no", "self", "sexual_orientation", "asked-declined"))
    load(workspace, "2025-01-01", ("tie", "self", "language_spoken", "es"), ("no", "self", "race", ASIAN))
    won = kept(url)
    waiting = [(case.kind, case.matter) for case in workspace.store.cases.cases()]
    take(workspace, tmp_path)
    assert kept(url) == won
    assert [(case.kind, case.matter) for case in workspace.store.cases.cases()] == waiting
    assert resolve(workspace, dry_run=True).changed == 0


def test_who_was_not_sent_since_goes_with_everything(workspace: Workspace, url: str, tmp_path: Path) -> None:
    load(workspace, "2015-01-01", ("a", "self", "race", WHITE), ("b", "self", "race", BLACK))
    load(workspace, "2025-01-01", ("b", "self", "race", BLACK))
    store = workspace.store
    who = store.people.known("plan", "a")
    assert who is not None
    store.hie("north").journal.begin_plan([], "r", {who.id: ("p1", "")})
    for number, day in enumerate(("2019-01-01", "2021-01-01")):
        told = (who.pseudonym, "plan", "hie", f"t{number}", "treatment", "b", ("race",), "r1", "p1")
        store.disclosures.intend([Disclosure(*told, intended_at=day)])
    done = take(workspace, tmp_path)
    assert [person.member.key for person in store.people] == ["b"]
    assert done.gone.counts["members"] == done.gone.counts["answers"] == done.gone.counts["disclosures"] == 1
    assert store.hie("north").links() == {}
    assert [each.transmission for each in store.disclosures.of(who.pseudonym)] == ["t1"]
    for table, rows in everything(url).items():
        if table not in ("trail", "disclosure"):
            assert not any(cell in ("a", who.pseudonym) or cell == b"MARKEDa" for row in rows for cell in row), table


@pytest.mark.parametrize(("became", "goes"), [("unverified", 0), ("verified", 0), ("moved", 1)])
def test_what_may_be_at_an_hie_is_remembered_for_a_recall(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, became: str, goes: int
) -> None:
    for day in ("2015-01-01", "2025-01-01"):
        load(workspace, day, ("a", "self", "race", WHITE))
    journal = workspace.store.hie("north").journal
    monkeypatch.setattr(hie_journal, "now", lambda: "2015-01-02T00:00:00+00:00")
    journal.begin_plan([Planned(0, 1, ("race",), "create", "", "", {"race": WHITE})], "r", {})
    _, (change,) = journal.latest_plan()
    journal.settle([Settled(change, became)])
    held = journal.held()
    assert take(workspace, tmp_path).gone.counts["journal"] == goes
    assert journal.held() == held
    assert (held == {}) == bool(goes)


def test_who_keeps_something_back_is_remembered(workspace: Workspace, url: str, tmp_path: Path) -> None:
    load(workspace, "2015-01-01", ("a", "self", "race", WHITE), ("b", "self", "race", WHITE))
    workspace.store.opt_outs.record([Kept(1, "2015-01-01"), Kept(2, "2015-01-01", until="2016-01-01")])
    take(workspace, tmp_path)
    assert [person.member.key for person in workspace.store.people] == ["a"]
    assert len(workspace.store.opt_outs.of(1)) == 1


def test_a_merged_person_goes_as_one_or_not_at_all(workspace: Workspace, tmp_path: Path) -> None:
    load(workspace, "2015-01-01", *((key, "self", "race", WHITE) for key in "abcd"))
    load(workspace, "2025-01-01", ("b", "self", "race", WHITE))
    merge(workspace, "a", "b", reason="r")
    merge(workspace, "c", "d", reason="r")
    assert take(workspace, tmp_path).gone.counts["members"] == 2
    assert [person.member.key for person in workspace.store.people] == ["a"]
    assert [each.id for each in workspace.store.merges.all()] == [1]


def test_what_is_under_hold_stays_until_it_is_released(workspace: Workspace, url: str, tmp_path: Path) -> None:
    run = load(workspace, "2015-01-01", ("a", "self", "race", WHITE), rejected=b"MARKEDBYTES")
    load(workspace, "2015-02-01", ("b", "self", "race", WHITE), ("c", "self", "race", WHITE))
    one = hold_add(workspace, run=run, reason="a lawsuit")
    two = hold_add(workspace, member="b", reason=" a lawsuit ")
    done = take(workspace, tmp_path)
    assert (done.gone.held, done.gone.counts["members"]) == (2, 1)
    assert [person.member.key for person in workspace.store.people] == ["a", "b"]
    assert select_rows(url, "SELECT count(*) FROM quarantine") == [(1,)]
    hold_release(workspace, one.id)
    with pytest.raises(UsageError, match=f"no hold {one.id} that holds"):
        hold_release(workspace, one.id)
    take(workspace, tmp_path)
    assert [person.member.key for person in workspace.store.people] == ["b"]
    assert select_rows(url, "SELECT count(*) FROM quarantine") == [(0,)]
    assert [(h.pseudonym != "", h.run, h.reason, h.released_by) for h in hold_list(workspace)] == [
        (False, 1, "a lawsuit", "officer"),
        (True, 0, "a lawsuit", ""),
    ]
    told = [(e.action, e.about) for e in workspace.store.trail.entries() if e.action.startswith("hold")]
    assert told == [
        ("hold", {"hold": "1", "run": "1", "reason": "a lawsuit"}),
        ("hold", {"hold": "2", "reason": "a lawsuit"}),
        ("hold release", {"hold": "1"}),
    ]
    hold_release(workspace, two.id)
    take(workspace, tmp_path)
    assert list(workspace.store.people) == []


def test_a_hold_is_on_one_thing_that_there_is_and_says_why(workspace: Workspace) -> None:
    load(workspace, "2015-01-01", ("a", "self", "race", WHITE))
    for what in ({"member": "a", "run": 1}, {}, {"run": 7}, {"member": "x"}, {"run": -1}):
        with pytest.raises(UsageError):
            hold_add(workspace, reason="r", **what)
    with pytest.raises(UsageError, match="keeps why"):
        hold_add(workspace, run=1, reason=" ")
    assert hold_list(workspace) == []


def test_quarantine_and_findings_of_what_was_read_again(workspace: Workspace, url: str, tmp_path: Path) -> None:
    load(workspace, "2015-01-01", ("a", "self", "race", WHITE), rejected=b"MARKEDBYTES")
    assert take(workspace, tmp_path).gone.counts["quarantined"] == 1
    assert select_rows(url, "SELECT count(*) FROM finding") == [(2,)]  # they are those of the newest input of the name
    run = workspace.run("plan", "2025-01-01")
    run.close(run.artefact("2015-01-01.csv", "survey"), sha256="f", size=1, members=0, rejected=0)
    run.finish()
    assert take(workspace, tmp_path).gone.counts["findings"] == 2
    assert select_rows(url, "SELECT count(*) FROM finding") == [(0,)]


def test_the_certificate_is_private_and_says_what_went_and_the_trail_knows_it(
    workspace: Workspace, tmp_path: Path
) -> None:
    load(workspace, "2015-01-01", ("a", "self", "race", WHITE), ("b", "self", "race", WHITE))
    hold_add(workspace, member="b", reason="r")
    file = tmp_path / "certificate.json"
    done = purge(workspace, BEFORE, file)
    content = file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert done.certificate == hashlib.sha256(content).hexdigest()
    document = json.loads(content)
    assert document["gone"]["members"] == document["gone"]["answers"] == document["people_under_hold"] == 1
    assert document["holds"] == [1]
    digest = hashlib.sha256(b"2015-01-01").hexdigest()
    assert document["runs"] == [{"run": 1, "partner": "plan", "as_of": "2015-01-01", "rows": 1, "inputs": [digest]}]
    assert document["policy"]["before"]["disclosures"] == "2020-11-29"
    assert not any(word in content for word in (b"MARKED", WHITE.encode(), b'"a"'))
    (entry,) = [each for each in workspace.store.trail.entries() if each.action == "purge"]
    assert entry.about == {"before": BEFORE, "certificate": done.certificate, "policy": document["policy"]["version"]}
    assert entry.counts == document["gone"]
    with pytest.raises(UsageError, match="never overwritten"):
        purge(workspace, BEFORE, file)
    with pytest.raises(UsageError, match="name a file"):
        purge(workspace, BEFORE)
    assert file.read_bytes() == content


def test_what_went_is_in_no_file_of_the_store(tmp_path: Path) -> None:
    path = tmp_path / "equity.db"
    with opened(f"sqlite:///{path}", tmp_path) as workspace:
        load(workspace, "2015-01-01", *((f"k{n}", "self", "race", WHITE) for n in range(50)), rejected=b"MARKEDBYTES")
        load(workspace, "2025-01-01", ("k1", "self", "race", WHITE))

        def found(word: bytes) -> bool:
            return any(word in each.read_bytes() for each in tmp_path.glob("equity.db*"))

        assert found(b"MARKEDk7")
        assert found(b"MARKEDBYTES")
        take(workspace, tmp_path)
        assert not found(b"MARKEDk7")
        assert not found(b"MARKEDBYTES")
        assert found(b"MARKEDk1")


def test_the_policy_keeps_what_is_younger_whatever_is_asked_for(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path, years=10) as workspace:
        load(workspace, "2017-01-01", ("a", "self", "race", WHITE))
        done = take(workspace, tmp_path, before="2026-11-29")
        assert (done.cutoffs.people, done.cutoffs.disclosures) == ("2016-11-29", "2020-11-29")
        assert len(list(workspace.store.people)) == 1
        for wrong in ("soon", "2026-11-30", "2026-13-01"):
            with pytest.raises(UsageError, match="--before"):
                take(workspace, tmp_path, before=wrong)
    (tmp_path / "overlay" / "policies" / "retention.toml").write_text('[people]\nyears = "ten"\n', encoding="utf-8")
    with Workspace(workspace.settings, "2024-02-29") as again:
        with pytest.raises(TableError, match=r"\[people\] needs years"):
            take(again, tmp_path)
        (tmp_path / "overlay" / "policies" / "retention.toml").write_text("[people]\nyears = 1\n", encoding="utf-8")
    with Workspace(workspace.settings, "2024-02-29") as again:
        assert take(again, tmp_path, before="2024-02-29", dry_run=True).cutoffs.people == "2023-02-28"


RUNS = st.lists(
    st.tuples(
        st.sampled_from(["2015", "2018", "2022", "2025"]),
        st.dictionaries(
            st.sampled_from("abc"),
            st.tuples(st.sampled_from(["self", "observed"]), st.sampled_from([WHITE, BLACK, ASIAN])),
            min_size=1,
        ),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RUNS)
def test_nobody_else_wins_whatever_goes_and_twice_takes_nothing_more(
    new_url: Callable[[], str], tmp_path: Path, runs: list[tuple[str, dict[str, tuple[str, str]]]]
) -> None:
    url = new_url()
    with opened(url, tmp_path) as workspace:
        for number, (year, said) in enumerate(runs):
            load(workspace, f"{year}-01-0{number + 1}", *((k, m, "race", code) for k, (m, code) in said.items()))
        before = kept(url)
        done = take(workspace, tmp_path)
        young = {key for year, said in runs if year > "2021" for key in said}
        assert kept(url) == [row for row in before if row[0] in young]
        assert resolve(workspace, dry_run=True).changed == 0
        assert done.gone.counts["members"] == len({key for _, said in runs for key in said} - young)
        again = take(workspace, tmp_path)
        assert sum(again.gone.counts.values()) == 0
        assert workspace.store.trail.verify().problems == []
