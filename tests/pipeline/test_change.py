"""convert to an 834: what the file is for, its control numbers, and a change file beside what the store knows."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from fhir_equity.errors import UsageError
from fhir_equity.model import Address, Enrollment, Identifier, Member, Name, Outgoing
from fhir_equity.pipeline.change import completed, is_change
from fhir_equity.pipeline.convert import convert
from fhir_equity.pipeline.ingest import ingest
from fhir_equity.pipeline.leaving import Converted, Wish
from fhir_equity.pipeline.merge import merge
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import MappingSettings, Settings, StoreSettings

HEAD = (
    "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *260101*1200*^*00501*000000001*0*T*:~"
    "GS*BE*SENDER*RECEIVER*20260101*1200*1*X*005010X220A1~ST*834*0001*005010X220A1~BGN*00*X*20260101*1200****2~"
)
TAIL = "GE*1*1~IEA*1*000000001~"
NUMBERS = {"ISA": 13, "GS": 6, "ST": 2, "SE": 2, "GE": 2, "IEA": 2}


def ins(number: int, race: str = ":RET:2106-3", *, code: str = "030", name: str = "ALDER", city: str = "SALEM") -> str:
    return (
        f"INS*Y*18*{code}**A~REF*0F*S{number}~NM1*IL*1*{name}*ADA****ZZ*M{number}~N4*{city}*OR*97301~"
        f"DMG*D8*19800131*F**{race}~HD*{code}**HLT~DTP*348*D8*20260101~"
    )


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, *members: str) -> Path:
        body = "".join(members)
        place = tmp_path / name
        place.write_text(f"{HEAD}{body}SE*{body.count('~') + 3}*0001~{TAIL}", encoding="ascii")
        return place

    return write


class Desk:
    """Converts and ingests with one store, on the day that is given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "s.db"

    def ingest(self, *paths: Path, as_of: str = "2026-01-01", partner: str = "plan") -> None:
        with Workspace(self._settings(store=True), as_of) as workspace:
            ingest(workspace, paths, partner=partner)

    def merge(self, into: str, member: str) -> None:
        with Workspace(self._settings(store=True), "2026-01-02") as workspace:
            merge(workspace, into, member, reason="moved")

    def convert(
        self, src: Path, *, store: bool = True, as_of: str = "2026-02-01", **wish: object
    ) -> tuple[Converted, list[list[str]]]:
        out = self.folder / "out.834"
        with Workspace(self._settings(store=store), as_of) as workspace:
            done = convert(workspace, src, out, wish=Wish(partner="plan", **wish))  # type: ignore[arg-type]
        return done, [segment.strip().split("*") for segment in out.read_text().split("~")]

    def _settings(self, *, store: bool) -> Settings:
        overlay = self.folder / "overlay" if (self.folder / "overlay").is_dir() else None
        kept = StoreSettings(url=str(self.store)) if store else StoreSettings()
        return Settings(store=kept, mappings=MappingSettings(overlay=overlay))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path)


def numbers(segments: list[list[str]]) -> dict[str, int]:
    return {s[0]: int(s[NUMBERS[s[0]]]) for s in segments if s[0] in NUMBERS}


def of(segments: list[list[str]], kind: str) -> list[str]:
    return ["*".join(s) for s in segments if s[0] == kind]


def test_control_numbers_go_on_in_the_store(desk: Desk, put: Callable[..., Path]) -> None:
    src = put("a.834", ins(1))
    assert numbers(desk.convert(src)[1]) == {"ISA": 1, "GS": 1, "ST": 2, "SE": 2, "GE": 1, "IEA": 1}
    assert stat.S_IMODE(desk.store.stat().st_mode) == 0o600
    assert numbers(desk.convert(src)[1])["ISA"] == 3
    assert numbers(desk.convert(src, control_number=70)[1]) == {
        **numbers(desk.convert(src, store=False, control_number=70)[1])
    }
    assert numbers(desk.convert(src)[1])["ISA"] == 72
    with pytest.raises(UsageError, match="control number 70 was passed already"):
        desk.convert(src, control_number=70)


def test_without_a_store_the_clock_gives_them(
    desk: Desk, put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    src = put("a.834", ins(1))
    monkeypatch.setattr("fhir_equity.pipeline.change.time.time", lambda: 1_790_000_000.7)
    assert numbers(desk.convert(src, store=False)[1])["ISA"] == 790_000_001
    monkeypatch.setattr("fhir_equity.pipeline.change.time.time", lambda: 999_999_999 * 2)
    found = numbers(desk.convert(src, store=False)[1])
    assert (found["ISA"], found["ST"]) == (999_999_999, 1)  # nine digits, and begin again
    assert not desk.store.exists()
    assert not Path("equity.db").exists()


def test_the_store_of_the_folder_is_used_where_there_is_one(desk: Desk, put: Callable[..., Path]) -> None:
    src = put("a.834", ins(1))
    with Workspace() as workspace:
        assert not workspace.has_store
        workspace.store.people.counts()
    assert [numbers(desk.convert(src, store=False)[1])["ISA"] for _ in range(2)] == [1, 3]


def test_a_full_file_has_everybody_whatever_is_known(desk: Desk, put: Callable[..., Path]) -> None:
    src = put("a.834", ins(1), ins(2))
    desk.ingest(src)
    done, segments = desk.convert(src, purpose="full")
    assert (done.members, done.unchanged) == (2, 0)
    assert of(segments, "BGN")[0].endswith("****4")
    assert of(segments, "INS") == ["INS*Y*18*030**A"] * 2


def test_a_change_file_has_those_who_changed(desk: Desk, put: Callable[..., Path]) -> None:
    desk.ingest(put("a.834", ins(1), ins(2), ins(3), ins(4), ins(5)))
    new = put("b.834", ins(1), ins(2, "B"), ins(3, code="024"), ins(4, city="BEND"), ins(5, name="BIRCH"), ins(6))
    done, segments = desk.convert(new, purpose="change")
    assert (done.members, done.unchanged) == (6, 1)
    assert of(segments, "BGN")[0].endswith("****2")
    assert of(segments, "INS") == [f"INS*Y*18*{code}**A" for code in ("001", "024", "001", "001", "001")]
    assert of(segments, "NM1") == [
        *("NM1*74*1*ALDER*ADA****ZZ*M2", "NM1*70*1*ALDER*ADA"),
        "NM1*IL*1*ALDER*ADA****ZZ*M3",
        "NM1*IL*1*ALDER*ADA****ZZ*M4",
        *("NM1*74*1*BIRCH*ADA****ZZ*M5", "NM1*70*1*ALDER*ADA"),
        "NM1*IL*1*ALDER*ADA****ZZ*M6",
    ]
    races = [segment.split("*")[-1] for segment in of(segments, "DMG")]
    assert races[:2] == [":RET:2054-5", ":RET:2106-3"]
    assert of(segments, "HD")[:2] == ["HD*001**HLT", "HD*024**HLT"]


def test_without_a_store_a_change_file_has_everybody_as_they_come(desk: Desk, put: Callable[..., Path]) -> None:
    done, segments = desk.convert(put("a.834", ins(1), ins(2)), store=False, purpose="change")
    assert (done.members, done.unchanged) == (2, 0)
    assert [s.split("*")[1] for s in of(segments, "NM1")] == ["IL", "IL"]


def test_a_survey_answer_goes_out_with_the_enrollment_that_is_known(desk: Desk, put: Callable[..., Path]) -> None:
    desk.ingest(put("a.834", ins(1), ins(2)))
    survey = desk.folder / "survey.csv"
    survey.write_text("member_id,first_name,last_name,birth_date,race_ethnicity\nM1,ADA,ALDER,1980-01-31,Samoan\n")
    _, segments = desk.convert(survey, purpose="change")
    assert of(segments, "INS") == ["INS*Y*18*001**A"]
    assert of(segments, "REF") == ["REF*0F*S1"]
    assert of(segments, "N4") == ["N4*SALEM*OR*97301"]
    assert of(segments, "DMG") == ["DMG*D8*19800131*F**:RET:2080-0", "DMG*D8*19800131*F**:RET:2106-3"]
    assert of(segments, "HD") == ["HD*001**HLT"]


@pytest.mark.parametrize(("into", "member"), [("M2", "M1"), ("M1", "M2")])
@pytest.mark.parametrize("restricted", [False, True])
def test_another_partners_numbers_and_enrollment_go_nowhere(
    desk: Desk, put: Callable[..., Path], into: str, member: str, *, restricted: bool
) -> None:
    theirs = ins(2, city="BEND").replace("HLT", "DEN").replace("NM1*", "REF*1L*GROUP2~NM1*")
    theirs = theirs.replace("**A~", "**A********R~") if restricted else theirs
    desk.ingest(put("a.834", ins(1)))
    desk.ingest(put("theirs.834", theirs), partner="other")
    desk.merge(into, member)
    survey = desk.folder / "survey.csv"
    survey.write_text("member_id,first_name,last_name,birth_date,race_ethnicity\nM1,ADA,ALDER,1980-01-31,Samoan\n")
    _, segments = desk.convert(survey, purpose="change")
    assert of(segments, "NM1")[0] == "NM1*74*1*ALDER*ADA****ZZ*M1"
    assert of(segments, "REF") == ["REF*0F*S1"]
    assert of(segments, "N4") == ["N4*SALEM*OR*97301"]
    assert of(segments, "HD") == ["HD*001**HLT"]
    assert of(segments, "INS") == ["INS*Y*18*001**A" + ("********R" if restricted else "")]


def test_what_the_recipient_may_not_have_is_no_old_value_either(desk: Desk, put: Callable[..., Path]) -> None:
    policies = desk.folder / "overlay" / "policies"
    policies.mkdir(parents=True)
    (policies / "release.toml").write_text(
        '[[rule]]\nid = "sex-only"\nrecipient = "state"\npurpose = "operations"\ntopics = ["sex"]\n'
        'from = "2026-01-01"\nagreement = "test"\n'
    )
    desk.ingest(put("a.834", ins(1)))
    done, segments = desk.convert(put("b.834", ins(1, "B", name="BIRCH")), purpose="change", recipient="state")
    assert of(segments, "DMG") == ["DMG*D8*19800131*F", "DMG*D8*19800131*F"]
    assert [rule for rule in done.losses if rule.startswith("release.")]


@pytest.mark.parametrize("wish", [Wish(to="fhir", purpose="change"), Wish(to="survey", control_number=5)])
def test_only_an_834_has_a_purpose_and_control_numbers(desk: Desk, put: Callable[..., Path], wish: Wish) -> None:
    with Workspace() as workspace, pytest.raises(UsageError, match="are for an 834"):
        convert(workspace, put("a.834", ins(1)), desk.folder / "x", wish=wish)


KNOWN = Member(
    "plan",
    "M1",
    identifiers=(Identifier("", "S1", "REF*0F"), Identifier("", "M1", "NM109")),
    name=Name("ALDER", ("ADA",)),
    birth_date="1980-01-31",
    address=Address(city="SALEM"),
    enrollment=Enrollment(True, "18", "021", "S1", "G1", "HLT", (("2026-01-01", ""),), restricted=True),
)


def test_what_a_record_leaves_out_is_as_known() -> None:
    whole = completed(Member("plan", "M1"), KNOWN)
    assert (whole.name, whole.birth_date, whole.address) == (KNOWN.name, KNOWN.birth_date, KNOWN.address)
    assert whole.identifiers == KNOWN.identifiers
    assert whole.enrollment == Enrollment(True, "18", "", "S1", "G1", "HLT", (("2026-01-01", ""),), restricted=True)


def test_what_a_record_says_is_its_own() -> None:
    said = Member(
        "plan",
        "M1",
        identifiers=(Identifier("", "M9", "NM109"),),
        name=Name("BIRCH"),
        birth_date="1981-01-31",
        address=Address(city="BEND"),
        enrollment=Enrollment(False, "19", "024"),
    )
    whole = completed(said, KNOWN)
    assert whole.identifiers == (Identifier("", "M9", "NM109"), Identifier("", "S1", "REF*0F"))
    assert (whole.name, whole.birth_date, whole.address) == (said.name, said.birth_date, said.address)
    assert whole.enrollment == said.enrollment
    assert completed(Member("plan", "M1", enrollment=Enrollment(restricted=True)), KNOWN).enrollment.restricted


def test_an_event_of_the_enrollment_is_news_by_itself() -> None:
    same = Outgoing(KNOWN, (), Outgoing(KNOWN, ()))
    assert is_change(same)  # 021
    audit = Member("plan", "M1", enrollment=Enrollment(maintenance="030"))
    assert not is_change(Outgoing(audit, (), Outgoing(Member("plan", "M1", enrollment=Enrollment()), ())))
    assert is_change(Outgoing(audit, ()))


def test_capitals_and_the_name_of_a_number_are_no_news() -> None:
    before = Member(
        "plan", "M1", identifiers=KNOWN.identifiers, name=Name("Alder", ("Ada",)), address=Address(city="Salem")
    )
    more = (Identifier("u", "M1", "MR"), *KNOWN.identifiers)
    now = Member("plan", "M1", identifiers=more, name=KNOWN.name, address=KNOWN.address)
    assert not is_change(Outgoing(now, (), Outgoing(before, ())))
    other = Member("plan", "M1", identifiers=(*more, Identifier("u", "M2", "MR")), name=now.name, address=now.address)
    assert is_change(Outgoing(other, (), Outgoing(before, ())))
