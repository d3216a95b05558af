"""Marked values go through every command, good files and broken ones; no output may carry one of them."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_equity import cli
from fhir_equity.sandbox import running
from tests.cli.conftest import Run
from tests.cli.test_documentation import commands

MARKS = ["CANARYNAME", "CANARYGIVEN", "CANARYID77", "CANARYSUB88", "CANARYSTREET", "CANARYRACE", "CANARYWORD"]
FORM = "CANARYFORM"  # which wording was asked is told by an audit, and by nothing else
MARKS += [FORM, "19031104", "1903-11-04", "11/04/1903", "999887766"]
ISA = "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *260101*1200*^*00501*000000001*0*T*:~"
HEAD = "GS*BE*SENDER*RECEIVER*20260101*1200*1*X*005010X220A1~ST*834*0001*005010X220A1~BGN*00*1*20260101*1200****4~"
GOOD = "INS*Y*18*030**A***FT~REF*0F*CANARYSUB88~NM1*IL*1*CANARYNAME*CANARYGIVEN****ZZ*CANARYID77~N3*CANARYSTREET~"
GOOD += "DMG*D8*19031104*F**CANARYRACE^:RET:9999-9~LUI***CANARYWORD**7~"
SSN = "INS*Y*18*030**A***FT~REF*0F*CANARYSUB88~NM1*IL*1*CANARYNAME*CANARYGIVEN****34*999887766~DMG*D8*19031104*F~"
BAD = "INS*Q*18*030**A***FT~NM1*IL*1*CANARYNAME~INS*Y*18~REF*0F*CANARYSUB88~DMG*D8*1903110*F**CANARYRACE~"
PATIENT = {
    "resourceType": "Patient",
    "identifier": [{"system": "https://demo-plan.example/member-number", "value": "CANARYID77"}],
    "name": [{"family": "CANARYNAME", "given": ["CANARYGIVEN"]}],
    "birthDate": "1903-11-04",
    "gender": "CANARYWORD",
    "extension": [{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "valueString": "CANARYRACE"}],
    "communication": [{"language": {"text": "CANARYWORD"}, "preferred": "CANARYWORD"}],
}
XML = """<Patient xmlns="http://hl7.org/fhir"><extension url="http://hl7.org/fhir/us/core/StructureDefinition/us-core-race">
<extension url="text"><valueString value="CANARYRACE"/></extension></extension><identifier><value value="CANARYID77"/>
</identifier><name><family value="CANARYNAME"/></name><birthDate value="1903-11-04"/></Patient>"""
ASIDE = {
    "resourceType": "Observation",
    "code": {"coding": [{"system": "http://loinc.org", "code": "76690-7"}]},
    "subject": {"reference": "Patient/CANARYID77"},
    "valueString": "CANARYWORD",
}
MANIFEST = {
    "transactionTime": "CANARYWORD",
    "output": [
        {"type": "Patient", "url": "https://CANARYNAME/Patient.ndjson"},
        {"type": "CANARYWORD", "url": "https://h/CANARYID77.ndjson"},
    ],
    "deleted": [{"type": "Bundle", "url": "CANARYNAME"}],
}
RESPONSE = {
    "resourceType": "QuestionnaireResponse",
    "questionnaire": "https://fhir-equity.example/Questionnaire/member-reported|CANARYFORM",
    "status": "completed",
    "subject": {"identifier": {"value": "CANARYID77"}, "display": "CANARYNAME"},
    "authored": "CANARYWORD",
    "source": {"reference": "Patient/CANARYSUB88", "display": "CANARYGIVEN"},
    "item": [
        {
            "linkId": "race-black",
            "text": "CANARYWORD",
            "answer": [{"valueString": "CANARYRACE"}, {"valueDate": "1903-11-04"}],
        },
        {"linkId": "CANARYWORD", "answer": [{"valueString": "CANARYSTREET"}, "CANARYGIVEN"]},
        {"linkId": "race-ethnicity", "answer": [{"valueCoding": {"system": "CANARYWORD", "code": "CANARYRACE"}}]},
        {"linkId": "gender-identity", "answer": [{"valueCoding": {"display": "CANARYWORD"}}]},
    ],
}
SURVEY = "member_id,first_name,last_name,birth_date,survey_date,race_ethnicity,language_spoken,gender_identity\n"
SURVEY += "CANARYID77,CANARYGIVEN,CANARYNAME,11/04/1903,CANARYWORD,CANARYRACE,CANARYWORD,CANARYWORD\n"
SURVEY += "CANARYID77,CANARYGIVEN,CANARYNAME\n,,CANARYNAME,,,CANARYRACE,,\n"
CONFIG = """partner = "demo-plan"
[hie.up]
url = "{url}"
recipient = "demo-hie"
identifier_systems = ["https://demo-plan.example/member-number"]
mode = "editor"
unmatched = "create"
attempts = 1
sandbox = true
[hie.down]
url = "http://127.0.0.1:9/fhir"
recipient = "demo-hie"
mode = "editor"
attempts = 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A working folder full of marked values, and an HIE that has some too."""
    files = {
        "good.834": ISA + HEAD + GOOD + SSN + "SE*9*0001~GE*1*1~IEA*1*000000001~",
        "bad.834": ISA + HEAD + GOOD + BAD + "SE*99*0009~GE*7*1~IEA*1*000000009~",
        "cut.834": ISA + HEAD + GOOD[:-20],
        "patient.json": json.dumps(PATIENT),
        "lines.ndjson": json.dumps(PATIENT) + '\n{"resourceType": "Patient", "id": CANARYID77\n"CANARYNAME"\n',
        "broken.json": '{"resourceType": "Patient", "name": "CANARYNAME", CANARYWORD',
        "response.json": json.dumps(RESPONSE),
        "nobody.ndjson": json.dumps(RESPONSE | {"subject": {"display": "CANARYNAME"}}) + "\n",
        "survey.csv": SURVEY,
        "other.csv": SURVEY.partition("\n")[0] + "\nCANARYWORD,CANARYGIVEN,CANARYNAME,11/04/1903,,CANARYRACE,,\n",
        "no-key.csv": "first_name,race_ethnicity\nCANARYGIVEN,CANARYRACE\n",
        "text.txt": "CANARYNAME is CANARYRACE\n",
        "patient.xml": XML,
        "broken.xml": XML.replace("</name>", "<CANARYWORD>"),
        "unfit.xml": XML.replace("birthDate", "CANARYWORD"),
        "aside.ndjson": f"{json.dumps(ASIDE)}\n{json.dumps(ASIDE)}\n",
        "bulk/Patient.ndjson": json.dumps(PATIENT) + "\n",
        "bulk/manifest.json": json.dumps(MANIFEST),
        "people.csv": "county,category,people\nCANARYWORD,CANARYRACE,1903\n",
        "own.toml": "CANARYWORD is no TOML\n",
    }
    (tmp_path / "bulk").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with running(tmp_path / "hie.db") as url:
        (tmp_path / "equity.toml").write_text(CONFIG.format(url=url))
        yield tmp_path
    assert threading.active_count() < 20


FILES = ["good.834", "bad.834", "cut.834", "patient.json", "lines.ndjson", "broken.json", "survey.csv", "no-key.csv"]
FILES += ["patient.xml", "broken.xml", "unfit.xml", "aside.ndjson", "bulk"]
FILES += ["response.json", "nobody.ndjson"]
# Two partners know one person: what is said of them goes by the tables of both, and into a folder and back.
ACROSS = [
    ["ingest", "other.csv", "--partner", "another"],
    ["merge", "CANARYWORD", "999887766", "--reason", "moved"],
    ["explain", "999887766", "--json", "-"],
    ["audit", "--by", "source"],
    ["audit", "--partner", "another"],
    ["export", "--parquet", "both", "--include-sensitive"],
    ["ingest", "both"],
]
CALLS: list[list[str]] = [
    ["audit", *FILES, "text.txt", "--by", "state", "--by", "county,age", "--by", "language,source,month"],
    ["audit", "good.834", "--population", "survey.csv"],
    ["audit", "good.834", "--population", "people.csv"],
    *(["audit", name] for name in FILES),
    ["audit", *FILES, "--program", "rdm-style", "--require", "tmsis", "--as-of", "2026-01-31"],
    ["audit", *FILES, "--program", "own.toml", "--program", "CANARYWORD"],
    ["ingest", *FILES, "text.txt"],
    ["ingest", "good.834", "survey.csv", "--accept-drop"],
    ["audit", "--by", "relationship"],
    ["members", "--cell", "state/race_ethnicity/answered", "--sample", "2", "--out", "behind.csv", "--show-values"],
    ["members", "--cell", "stratum/county/CANARYWORD", "--cell", "CANARYNAME/x", "--out", "behind.csv"],
    ["members", "--cell", "program/CANARYWORD/x", "--program", "CANARYNAME", "--out", "behind.csv"],
    ["members", "--cell", "state/gender_identity/answered", "--include-sensitive", "--out", "behind.csv"],
    ["worklist", "--out", "ask.csv"],
    ["snapshot", "create", "one", "--by", "county,age"],
    ["snapshot", "create", "one"],
    ["snapshot", "list"],
    ["audit", "--snapshot", "one", "--since", "one"],
    ["audit", "--snapshot", "CANARYWORD"],
    ["audit", "--since", "patient.json"],
    ["worklist", "--out", "ask.csv", "--topic", "CANARYWORD", "--reason", "CANARYRACE"],
    ["worklist", "--out", "ask.csv", "--topic", "gender_identity", "--include-sensitive"],
    ["audit", *FILES, "--by", "county", "--publish", "--json", "p.json", "--html", "p.html"],
    ["audit", *FILES, "--by", "state", "--measure-report", "reports.json"],
    ["audit", *FILES, "--xlsx", "a.xlsx", "--csv", "tables", "--bundle", "evidence"],
    ["verify", "evidence"],
    ["verify", "bulk"],
    *(["convert", name, f"{name}.ndjson", "--losses", "l.ndjson", "--validate"] for name in FILES),
    ["convert", "good.834", "back.834", "--recipient", "demo-hie"],
    ["convert", "survey.csv", "back.csv", "--include-sensitive"],
    *(["convert", name, "all.ndjson", "--include-sensitive", "--us-core", "8.0.1", "--validate"] for name in FILES),
    *(
        ["convert", name, "change.834", "--purpose", "change", "--losses", "l.ndjson"]
        for name in ("bad.834", "survey.csv")
    ),
    *(
        ["convert", name, f"{name}.bulk", "--form", "bulk", "--include-sensitive", "--us-core", "none"]
        for name in FILES
    ),
    ["convert", "survey.csv", "all.bundle", "--form", "bundle", "--include-sensitive"],
    ["convert", "good.834", "back.834", "--control-number", "1"],
    ["convert", "CANARYNAME.834", "x.ndjson"],
    *(["ack", name] for name in FILES),
    ["ack", "bad.834", "--out", "asked.999", "--with-values"],
    ["questionnaire", "--out", "-"],
    ["questionnaire", "--lang", "es", "--out", "form.json"],
    ["questionnaire", "--lang", "CANARYWORD"],
    ["codes", "lookup", "2118-8"],
    ["codes", "show", "x12_1109_to_cdcrec", "--partner", "cms-ffe"],
    ["codes", "lint"],
    ["codes", "export", "--fhir", "terminology"],
    ["codes", "unmapped", *FILES, "text.txt", "--json", "unmapped.json"],
    *(["codes", "unmapped", name, "--json", "-"] for name in FILES),
    ["codes", "unmapped", "good.834", "--out", "rows.csv"],
    ["codes", "unmapped", "good.834", "--show-values", "--out", "rows.csv"],
    ["codes", "unmapped"],
    ["init"],
    ["init", "new"],
    ["doctor", "--json", "-"],
    ["explain", "CANARYID77"],
    ["explain", "CANARYID77", "--partner", "demo-plan", "--topic", "race", "--json", "-"],
    ["explain", "999887766", "--json", "explained.json", "--as-of", "2030-01-01"],
    ["explain", "CANARYNAME"],
    ["resolve", "--dry-run", "--json", "-"],
    ["resolve"],
    ["resolve", "--policy", "own.toml"],
    ["retract"],
    ["retract", "--json", "-"],
    ["retract", "1", "--reason", "the wrong file"],
    ["explain", "CANARYID77"],
    ["retract", "1", "--undo"],
    ["retract", "77"],
    ["merge", "CANARYID77", "DP000353", "--reason", "the same"],
    ["merge", "CANARYNAME", "CANARYID77", "--reason", "CANARYWORD", "--partner", "demo-plan"],
    ["merge", "CANARYID77", "999887766", "--reason", "the same"],
    *ACROSS,
    ["merge", "--json", "-"],
    ["unmerge", "1"],
    ["unmerge", "77"],
    ["split", "CANARYID77", "--run", "1", "--reason", "two people"],
    ["split", "CANARYNAME", "--file", "CANARYWORD", "--reason", "two people"],
    ["split", "--json", "-"],
    ["split", "--undo", "77"],
    ["hold", "add", "--member", "CANARYID77", "--reason", "a complaint"],
    ["hold", "add", "--member", "CANARYNAME", "--reason", "a complaint"],
    ["hold", "add", "--run", "1", "--reason", "a complaint"],
    ["hold", "list", "--json", "-"],
    ["hold", "release", "1"],
    ["purge", "--before", "2026-08-15", "--dry-run"],
    ["purge", "--before", "2020-01-01", "--certificate", "gone.json"],
    ["purge", "--before", "CANARYWORD", "--certificate", "gone.json"],
    ["quarantine", "list", "--json", "-"],
    ["quarantine", "list", "--partner", "demo-plan", "--code", "x12.nm1.missing"],
    *(["quarantine", "show", str(number)] for number in (1, 2, 3, 99)),
    ["quarantine", "show", "1", "--out", "raw.txt"],
    ["quarantine", "show", "1", "--show-values", "--out", "raw.txt"],
    ["quarantine", "retry", "1"],
    ["quarantine", "retry"],
    ["sync", "probe", "--hie", "up", "--write-canary", "--json", "profile.json"],
    ["sync", "probe", "--hie", "up"],
    ["sync", "probe", "--hie", "down", "--write-canary"],
    ["export", "--parquet", "lake"],
    ["export", "--parquet", "lake"],
    ["ingest", "lake"],
    ["sync", "plan", "--hie", "up", "--json", "plan.json"],
    ["sync", "plan", "--hie", "up", "--members", "text.txt", "--only", "race"],
    ["sync", "plan", "--hie", "up", "--only", "CANARYWORD"],
    ["sync", "plan", "--hie", "up", "--dry-run", "--limit", "1", "--full"],
    ["sync", "apply", "--hie", "up", "CANARYNAME"],
    ["sync", "apply", "--hie", "up", "--dry-run"],
    ["sync", "status", "--hie", "up", "--json", "status.json", "--metrics", "sync.prom"],
    ["sync", "apply", "--hie", "up"],
    ["sync", "opt-out", "CANARYID77", "--topic", "race"],
    ["sync", "opt-out", "CANARYNAME"],
    ["sync", "recall", "--hie", "up", "--dry-run"],
    ["sync", "recall", "--hie", "up"],
    ["sync", "pull", "--hie", "up"],
    ["sync", "pull", "--hie", "up", "--bulk", "system"],
    ["sync", "pull", "--hie", "up", "--bulk", "CANARYWORD"],
    ["sync", "pull", "--hie", "down", "--bulk", "patient"],
    *(["sync", verb, "--hie", "down"] for verb in ("probe", "plan", "apply", "pull")),
    ["review", "list", "--all", "--json", "review.json"],
    ["review", "list", "1"],
    ["review", "list", "CANARYWORD"],
    ["review", "decide", "1", "--choose", "1", "--reason", "CANARYWORD"],
    ["review", "decide", "1/CANARYID77", "--choose", "CANARYRACE", "--reason", "CANARYWORD"],
    ["review", "decide", "1", "--choose", "CANARYRACE", "--relationship", "wider", "--reason", "CANARYWORD"],
    ["review", "decide", "1", "--choose", "1", "--relationship", "CANARYWORD", "--reason", "the same"],
    ["review", "undo", "1"],
    ["review", "export", "review.csv"],
    ["review", "export", "review.xlsx", "--show-values"],
    ["review", "import", "review.csv"],
    ["review", "import", "survey.csv"],
    ["trail", "list", "--json", "trail.json"],
    ["trail", "verify"],
    ["trail", "verify", "--expect", "CANARYWORD"],
    ["trail", "export", "--out", "trail.ndjson"],
    ["disclosures", "CANARYID77", "--json", "-"],
    ["disclosures", "CANARYNAME"],
    ["sandbox", "--port", "0", "--file", "good.834"],
    ["demo", "--dir", "."],
]


# The password of a server's URL is a secret, and so is whoever uses it.
STORES = [
    "postgresql://CANARYNAME:CANARYWORD@127.0.0.1:9/CANARYID77",
    "postgresql://CANARYNAME:CANARYWORD@db.example/CANARYID77?sslmode=disable",
    "postgresql://CANARYNAME:CANARYWORD@db.example:CANARYSUB88/CANARYID77",
    "postgresql+nothing://CANARYNAME:CANARYWORD@db.example/CANARYID77",
    "mysql://CANARYNAME:CANARYWORD@db.example/CANARYID77",
]


def test_every_command_is_called() -> None:
    called = {
        " ".join(call[:2])
        if call[0] in ("codes", "hold", "quarantine", "review", "snapshot", "sync", "trail")
        else call[0]
        for call in CALLS
    }
    assert called == set(commands())


@pytest.mark.parametrize("url", STORES)
def test_no_output_carries_the_url_of_a_store(run: Run, folder: Path, url: str) -> None:
    for call in (["audit"], ["ingest", "text.txt", "survey.csv"], ["quarantine", "list"]):
        done = run("--log-level", "debug", "--store", url, *call)
        assert done.returncode in (2, 4), (call, done.stderr)
        said = (done.stdout + done.stderr).decode().casefold()
        assert [mark for mark in MARKS if mark.casefold() in said] == []


def test_no_output_carries_a_value_of_a_record(run: Run, folder: Path) -> None:
    told = []
    for call in CALLS:
        done = run("--log-level", "debug", *call)
        assert done.returncode in ((0,) if call in ACROSS else (0, 1, 2, 3, 4)), (call, done.stderr)
        said = (done.stdout + done.stderr).decode()
        if "CANARYNAME.834" in call:  # the user's own word is repeated to them, and that is all
            said = said.replace("CANARYNAME.834", "")
        told += [(call, mark) for mark in MARKS if mark.casefold() in said.casefold()]
    assert told == []
    plan = (folder / "plan.json").read_text()
    assert '"member"' in plan
    assert not [mark for mark in MARKS if mark in plan]
    assert not [mark for mark in MARKS if mark in (folder / "unmapped.json").read_text()]
    assert "CANARYRACE" in (folder / "rows.csv").read_text()  # asked for by name, in a file of one's own
    assert "CANARYNAME" in (folder / "raw.txt").read_text()
    for name in ("gone.json", "review.json", "review.csv", "trail.json", "trail.ndjson"):
        content = (folder / name).read_text()
        assert len(content) > 60
        assert not [mark for mark in MARKS if mark in content], name
    explained = (folder / "explained.json").read_text()
    assert '"statements"' in explained
    assert not [mark for mark in MARKS if mark in explained]


def test_an_acknowledgement_sends_no_value_back_unless_asked(run: Run, folder: Path) -> None:
    stray = (
        "CANARYNAME~CANARYID77*1~NM1*IL*CANARYGIVEN*CANARYNAME~DMG*CANARYID77*1903*CANARYRACE**CANARYWORD^CANARYRACE~"
    )
    (folder / "strays.834").write_text(ISA + HEAD + GOOD + BAD + stray + "SE*20*0001~GE*1*1~IEA*1*000000001~")
    quiet, asked = run("ack", "strays.834"), run("ack", "strays.834", "--with-values")
    assert quiet.stdout.count(b"IK4*") == asked.stdout.count(b"IK4*") > 8
    assert [mark for mark in MARKS if mark.encode() in quiet.stdout] == []
    assert b"CANARYRACE" in asked.stdout
    assert b"SUBSCRIBER NUMBER REF02:CANARYSUB88" in asked.stdout


def test_the_audit_document_and_page_carry_no_value(run: Run, folder: Path) -> None:
    run("audit", *FILES, "--json", "a.json", "--html", "a.html")
    for name in ("a.json", "a.html"):
        content = (folder / name).read_text()
        assert "good.834" in content
        assert [mark for mark in MARKS if mark in content] == [FORM]


def test_the_loss_ledger_has_positions_and_no_value(run: Run, folder: Path) -> None:
    run("convert", "good.834", "x.ndjson", "--losses", "l.ndjson")
    ledger = (folder / "l.ndjson").read_text()
    assert "segment" in ledger
    assert not [mark for mark in MARKS if mark in ledger]


def test_an_internal_error_shows_classes_and_places_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        try:
            raise KeyError("CANARYNAME")
        except KeyError as error:
            raise ValueError("CANARYID77 is no CANARYRACE") from error

    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys.modules["fhir_equity.cli.audit"], "verb", fail)
    assert cli.run(["audit", "good.834"]) == 5
    said = capsys.readouterr().err
    assert said.startswith("internal error: ValueError (test_canary.py:")
    assert "KeyError" in said
    assert not [mark for mark in MARKS if mark in said]
