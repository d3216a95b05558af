"""convert for a recipient: what leaves is accounted for before it is handed over, and on the trail."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from fhir_equity.adapters import adapter_named
from fhir_equity.errors import UsageError
from fhir_equity.model import Member
from fhir_equity.pipeline import convert as module
from fhir_equity.pipeline import disclosing
from fhir_equity.pipeline.convert import convert
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.leaving import Wish
from fhir_equity.pipeline.merge import merge
from fhir_equity.pipeline.opt_out import opt_out
from fhir_equity.pipeline.purge import purge
from fhir_equity.pipeline.trail import disclosures
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import MappingSettings, PrivacySettings, Settings, StoreSettings
from fhir_equity.store import disclosures as account_of
from fhir_equity.store.connection import writing
from fhir_equity.store.members import called
from fhir_equity.store.schema import StoredDisclosure, core
from tests.conftest import select_rows

HEAD = "member_id,first_name,last_name,survey_date,race_ethnicity,language_spoken,gender_identity\n"
RULES = """
[[rule]]
id = "state-rel"
recipient = "state"
purpose = "required_by_law"
topics = ["race_ethnicity"]
from = "2026-01-01"
legal_basis = "the invented act"
[[rule]]
id = "state-language"
recipient = "state"
purpose = "operations"
topics = ["language_spoken"]
from = "2026-01-01"
"""
WISH = Wish(to="survey", partner="plan", recipient="state")


@pytest.fixture
def workspace(new_url: Callable[[], str], tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "overlay" / "policies").mkdir(parents=True)
    (tmp_path / "overlay" / "policies" / "release.toml").write_text(RULES, encoding="utf-8")
    rows = ["m1,Ada,Alder,2026-01-02,White,en,", "m2,Ben,Birch,2026-01-02,,es,", "m3,Cy,Cedar,2026-01-02,,,Male"]
    (tmp_path / "in.csv").write_text(HEAD + "\n".join(rows), encoding="utf-8")
    settings = Settings(
        store=StoreSettings(url=new_url()),
        privacy=PrivacySettings(key_file=tmp_path / "equity.key"),
        mappings=MappingSettings(overlay=tmp_path / "overlay"),
    )
    with Workspace(settings, "2026-03-01") as opened:
        yield opened


def account(workspace: Workspace) -> list[tuple[str, tuple[str, ...], str, str]]:
    named = {workspace.pseudonyms("plan", key): key for key in ("m1", "m2", "m3")}
    found = workspace.store.disclosures.in_transmission("convert/1")
    return [(named[each.pseudonym], each.topics, each.rule, each.state) for each in found]


# That nothing was answered is told, too.
TOLD = [
    (key, (topic,), rule)
    for key in ("m1", "m2", "m3")
    for topic, rule in (("race_ethnicity", "state-rel"), ("language_spoken", "state-language"))
]


def test_who_was_told_what_under_which_rule(workspace: Workspace, tmp_path: Path) -> None:
    convert(workspace, tmp_path / "in.csv", tmp_path / "out.csv", wish=WISH)
    assert sorted(account(workspace)) == sorted((*each, "sent") for each in TOLD)
    (first, *_) = workspace.store.disclosures.in_transmission("convert/1")
    assert (first.recipient, first.partner, first.policy) == ("state", "plan", workspace.release.version)
    bases = {each.rule: (each.purpose, each.basis) for each in workspace.store.disclosures.in_transmission("convert/1")}
    assert bases["state-rel"] == ("required_by_law", "the invented act")
    begun, done = workspace.store.trail.entries()
    about = {"recipient": "state", "format": "survey", "partner": "plan"}
    assert (begun.action, begun.outcome, begun.about) == ("convert", "begun", about)
    digest = hashlib.sha256((tmp_path / "out.csv").read_bytes()).hexdigest()
    assert (done.outcome, done.about) == ("done", about | {"transmission": "convert/1", "sha256": digest})
    assert (done.counts, done.topics) == ({"members": 3}, {"race_ethnicity": 3, "language_spoken": 3})


def test_it_is_written_down_before_a_byte_is_handed_over(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disclosing, "PAGE", 1)
    seen: list[int] = []
    adapter = adapter_named("survey")
    bind = adapter.bind

    def watched(pieces: Any, out: Any, context: Any) -> Any:
        def each() -> Iterator[Any]:
            for piece in pieces:
                seen.append(len(account(workspace)))
                yield piece

        return bind(each(), out, context)

    monkeypatch.setattr(type(adapter), "bind", lambda _, *given: watched(*given))
    convert(workspace, tmp_path / "in.csv", tmp_path / "out.csv", wish=WISH)
    assert seen == [2, 4, 6]


@pytest.mark.parametrize(("dst", "state"), [("out.csv", "failed"), ("-", "intended")])
def test_what_fails_was_told_to_nobody_unless_somebody_was_reading(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dst: str, state: str
) -> None:
    def broken(*_: object) -> Any:
        raise OSError

    monkeypatch.setattr(module._Run, "lose", lambda _, losses, __: [broken() for _ in losses] or broken())
    with pytest.raises(OSError):  # noqa: PT011 - it is our own
        convert(workspace, tmp_path / "in.csv", "-" if dst == "-" else tmp_path / dst, wish=WISH)
    assert {found[3] for found in account(workspace)} == {state}
    assert [entry.outcome for entry in workspace.store.trail.entries()] == ["begun", "failed"]
    assert not (tmp_path / "out.csv").exists()


def test_what_a_member_keeps_back_under_any_of_their_keys_stays(workspace: Workspace, tmp_path: Path) -> None:
    ingest(workspace, [tmp_path / "in.csv"], partner="plan")
    opt_out(workspace, "m2", "language_spoken", "state", "", "")
    merge(workspace, "m3", "m2", reason="r")
    before = len(list(workspace.store.trail.entries()))
    done = convert(workspace, tmp_path / "in.csv", tmp_path / "out.csv", wish=WISH)
    assert done.losses["release.opted_out"] == 2
    found = disclosures(workspace, "m2")["disclosures"]
    assert [(each["topics"], each["transmission"]) for each in found] == [
        (["race_ethnicity"], f"convert/{before + 1}")
    ] * 2
    assert ["es" in line.split(",") for line in (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()] == [
        False
    ] * 4


def test_two_people_under_one_key_have_an_account_each(workspace: Workspace, tmp_path: Path) -> None:
    head = HEAD.replace("survey_date", "birth_date,survey_date")
    rows = ["m1,Ada,Alder,1980-02-03,2026-01-02,White,en,", "m1,Ben,Birch,2010-01-01,2026-01-02,,es,"]
    (tmp_path / "twins.csv").write_text(head + "\n".join(rows), encoding="utf-8")
    ingest(workspace, [tmp_path / "twins.csv"], partner="plan")
    (tmp_path / "ben.csv").write_text(head + rows[1], encoding="utf-8")
    convert(workspace, tmp_path / "ben.csv", tmp_path / "out.csv", wish=WISH)
    ada, ben = (workspace.pseudonyms("plan", key) for key in ("m1", "m1#1"))
    assert [person.pseudonym for person in workspace.store.people] == [ada, ben]
    assert workspace.store.disclosures.of(ada) == []
    assert {each.topics for each in workspace.store.disclosures.of(ben)} == {("race_ethnicity",), ("language_spoken",)}
    convert(workspace, tmp_path / "twins.csv", tmp_path / "out.csv", wish=WISH)
    assert [len(workspace.store.disclosures.of(whose)) for whose in (ada, ben)] == [2, 4]
    (tmp_path / "cy.csv").write_text(head + "m1,Cy,Cedar,1999-01-01,2026-01-02,,es,", encoding="utf-8")
    convert(workspace, tmp_path / "cy.csv", tmp_path / "out.csv", wish=WISH)
    assert len(workspace.store.disclosures.of(workspace.pseudonyms("plan", "m1#2"))) == 2


def test_two_people_whom_no_file_has_brought_have_an_account_each_and_keep_it(
    workspace: Workspace, tmp_path: Path
) -> None:
    head = HEAD.replace("survey_date", "birth_date,survey_date")
    rows = ["m1,Ada,Alder,1980-02-03,2026-01-02,White,en,", "m1,Ben,Birch,2010-01-01,2026-01-02,,es,"]
    rows.append("m1,Cy,Cedar,1999-01-01,2026-01-02,,es,")
    for name, told in (("two", rows[:2]), ("ben", rows[1:2]), ("late", [rows[2], rows[1], rows[0]])):
        (tmp_path / f"{name}.csv").write_text(head + "\n".join(told), encoding="utf-8")
    ada, ben, cy = (workspace.pseudonyms("plan", key) for key in ("m1", "m1#1", "m1#2"))
    convert(workspace, tmp_path / "two.csv", tmp_path / "out.csv", wish=WISH)
    convert(workspace, tmp_path / "ben.csv", tmp_path / "out.csv", wish=WISH)
    of = workspace.store.disclosures.of
    assert [len(of(whose)) for whose in (ada, ben, cy)] == [2, 4, 0]
    ingest(workspace, [tmp_path / "late.csv"], partner="plan")  # in another order
    named = {person.member.name.given: person.pseudonym for person in workspace.store.people}
    assert named == {("Ada",): ada, ("Ben",): ben, ("Cy",): cy}
    convert(workspace, tmp_path / "late.csv", tmp_path / "out.csv", wish=WISH)
    assert [len(of(whose)) for whose in (ada, ben, cy)] == [4, 6, 2]
    kept = str(select_rows(workspace.settings.store.url, "SELECT * FROM stranger"))
    assert not any(word in kept.casefold() for word in ("alder", "1980-02-03", "birch"))


def test_a_purge_takes_a_stranger_with_the_last_disclosure_about_them(workspace: Workspace, tmp_path: Path) -> None:
    head = HEAD.replace("survey_date", "birth_date,survey_date")
    rows = ["m1,Ada,Alder,1980-02-03,2026-01-02,White,en,", "m1,Ben,Birch,2010-01-01,2026-01-02,,es,"]
    rows.append("m1,Cy,Cedar,1999-01-01,2026-01-02,,es,")
    for name, told in (("all", rows), ("ben", rows[1:2])):
        (tmp_path / f"{name}.csv").write_text(head + "\n".join(told), encoding="utf-8")
    ada, ben, cy = (workspace.pseudonyms("plan", key) for key in ("m1", "m1#1", "m1#2"))
    convert(workspace, tmp_path / "all.csv", tmp_path / "out.csv", wish=WISH)
    with writing(workspace.store.engine) as connection:  # so long ago was the first
        connection.execute(update(core(StoredDisclosure)).values(intended_at="2015-01-01T00:00:00+00:00"))
    convert(workspace, tmp_path / "ben.csv", tmp_path / "out.csv", wish=WISH)
    with writing(workspace.store.engine) as connection:  # as what was killed once left them
        called(connection, "plan", [Member("plan", "m2")], workspace.pseudonyms)
    workspace.store.holds.add("officer", "r", pseudonym=cy)

    def strangers() -> list[str]:
        return [one for (one,) in select_rows(workspace.settings.store.url, "SELECT pseudonym FROM stranger")]

    m2 = workspace.pseudonyms("plan", "m2")
    assert sorted(strangers()) == sorted([ada, ben, cy, m2])
    done = purge(workspace, "2019-01-01", tmp_path / "first.json")
    assert (done.gone.counts["disclosures"], done.gone.counts["strangers"]) == (4, 2)
    assert sorted(strangers()) == sorted([ben, cy])
    workspace.store.holds.release(1, "officer")
    assert purge(workspace, "2019-01-01", tmp_path / "second.json").gone.counts["strangers"] == 1
    assert strangers() == [ben]
    convert(workspace, tmp_path / "ben.csv", tmp_path / "out.csv", wish=WISH)
    assert len(workspace.store.disclosures.of(ben)) == 4  # whose account is theirs still


def test_nobody_is_named_of_whom_nothing_is_written_down(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(account_of, "_intend", killed)
    with pytest.raises(KeyboardInterrupt):
        convert(workspace, tmp_path / "in.csv", tmp_path / "out.csv", wish=WISH)
    assert select_rows(workspace.settings.store.url, "SELECT pseudonym FROM stranger") == []


def test_what_stays_in_the_house_is_no_disclosure(workspace: Workspace, tmp_path: Path) -> None:
    convert(workspace, tmp_path / "in.csv", tmp_path / "out.csv", wish=Wish(to="survey", partner="plan"))
    assert list(workspace.store.trail.entries()) == []


def test_on_a_cluster_nothing_is_told_to_anybody(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--engine local"):
        convert(workspace, "file:///in.csv", "file:///out", wish=WISH, engine="spark")
    assert list(workspace.store.trail.entries()) == []
