"""Measure writing FHIR beside its floor: ``python -m tests.benchmarks.bench_fhir_write [members]``.

The floor builds the same Patients as plain dictionaries from the same members and hands them to `orjson.dumps`.
Both in this process in turn, CPU time, the median of five rounds. Before anything is measured both wrote the same.
"""

from __future__ import annotations

import io
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import orjson

from fhir_equity.adapters.edi834 import ADAPTER as EDI834
from fhir_equity.adapters.fhir import ADAPTER, Writer
from fhir_equity.adapters.protocol import Context, Range
from fhir_equity.adapters.source import sources
from fhir_equity.model import Coding, Expressed, Member, Outgoing, Received
from fhir_equity.pipeline.patients import context_fhir
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.privacy import Pseudonyms
from fhir_equity.quality.people import events_of
from tests.benchmarks.generate_834 import file_of

ROUNDS = 5
ALLOWED = 4.0
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"


def people(path: Path, workspace: Workspace) -> list[Outgoing]:
    """Everybody in a file with their answers as US Core holds them; equal answers are one object, as in `convert`."""
    known: dict[tuple[Received, ...], tuple[Expressed, ...]] = {}
    found = []
    express = workspace.vocabulary("bench").express
    for item in EDI834.read(sources([path])[0], Range(), workspace.context("bench", "edi834")):
        if not isinstance(item, Member):
            continue
        key = tuple(answer.received for answer in item.answers)
        if key not in known:
            events = events_of(item.answers, workspace.matter_of, workspace.as_of)
            known[key] = tuple(express.us_core(workspace.resolutions("bench", events))[0])
        found.append(Outgoing(msgspec.structs.replace(item, answers=()), known[key]))
    return found


def plain(outgoing: Outgoing, name: str, context: Context) -> dict[str, Any]:
    """A Patient as a script that knows its data would build it: no choice, no check, no loss."""
    member, uris = outgoing.member, context.systems
    extension: list[dict[str, Any]] = []
    communication = []
    gender = "unknown"
    for each in outgoing.expressed:
        if each.topic in ("race", "ethnicity"):
            parts = [{"url": "ombCategory", "valueCoding": coding(c, uris)} for c in each.categories]
            parts += [{"url": "detailed", "valueCoding": coding(c, uris)} for c in each.details]
            parts.append({"url": "text", "valueString": each.text})
            extension.append({"url": f"{US_CORE}us-core-{each.topic}", "extension": parts})
        elif each.topic == "sex":
            gender = each.details[0].code
        else:
            language = {"coding": [coding(c, uris) for c in each.details], "text": each.text}
            communication.append({"language": language, "preferred": True})
    identifier = [
        {"type": {"text": i.kind}, "system": f"urn:fhir-equity:bench:{i.kind}", "value": i.value}
        for i in member.identifiers
    ]
    address = member.address
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "id": name,
        "meta": {"profile": [f"{US_CORE}us-core-patient"]},
        "extension": extension,
        "identifier": identifier,
        "name": [{"family": member.name.family, "given": list(member.name.given)}],
        "gender": gender,
        "birthDate": member.birth_date,
        "address": [
            {
                "line": list(address.lines),
                "city": address.city,
                "state": address.state,
                "postalCode": address.postal_code,
            }
        ],
        "communication": communication,
    }
    if address.county:
        patient["address"][0]["district"] = address.county
    if not extension:
        del patient["extension"]
    if not communication:
        del patient["communication"]
    return patient


def coding(of: Coding, uris: Any) -> dict[str, str]:
    """A Coding with the URI of its system."""
    return {"system": uris[of.system], "code": of.code, "display": of.display}


def floor(everybody: list[Outgoing], out: io.BytesIO, context: Context) -> None:
    """Plain dictionaries and `orjson.dumps`, one line each."""
    for number, outgoing in enumerate(everybody):
        out.write(orjson.dumps(plain(outgoing, str(number), context)) + b"\n")


def ours(everybody: list[Outgoing], out: io.BytesIO, context: Context) -> None:
    """The writer, losses and all."""
    for _ in ADAPTER.write(everybody, out, context):
        continue


def difference(everybody: list[Outgoing], context: Context) -> list[str]:
    """The elements in which the two differ, apart from the id and how languages and identifiers are worded."""
    writer, found = Writer(context), set()
    worded = ("id", "communication", "identifier")
    for outgoing in everybody:
        pair = (writer.resources(outgoing)[0][0], plain(outgoing, "", context))
        found |= {key for key in pair[0].keys() | pair[1].keys() if pair[0].get(key) != pair[1].get(key)}
    return sorted(found - set(worded))


def measure(folder: Path, members: int, rounds: int = ROUNDS) -> dict[str, list[float]]:
    """CPU seconds of the floor and of the writer in every round. Raises ValueError where they write other people."""
    workspace = Workspace(as_of="2026-01-01")
    workspace.pseudonyms = Pseudonyms(b"k" * 32)
    everybody = people(file_of(members, folder), workspace)
    version = workspace.vocabulary("bench").express.version()
    context = context_fhir(workspace, workspace.context("bench", "fhir"), version)
    if found := difference(everybody[:1000], context):
        raise ValueError(f"the floor writes another {', '.join(found)}")
    seconds: dict[str, list[float]] = {"plain dictionaries": [], "write Members": []}
    for _ in range(rounds):
        for name, write in (("plain dictionaries", floor), ("write Members", ours)):
            out = io.BytesIO()
            start = time.process_time()
            write(everybody, out, context)
            seconds[name].append(time.process_time() - start)
            if out.getvalue().count(b"\n") != members:
                raise ValueError("not everybody was written")
    return seconds


def report(seconds: dict[str, list[float]], members: int) -> str:
    """The table: median CPU seconds, members per CPU second, and the median of the rounds' ratios."""
    lines = [f"{members} members, CPU time, median of {len(seconds['write Members'])} rounds"]
    for name, spent in seconds.items():
        pairs = zip(spent, seconds["plain dictionaries"], strict=True)
        ratio, median = statistics.median(one / base for one, base in pairs), statistics.median(spent)
        allowed = f" (at most {ALLOWED:g})" if name == "write Members" else ""
        lines.append(f"{name:18} {median:8.3f} s {members / median:10,.0f} members/s {ratio:6.2f} x the floor{allowed}")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Generate, measure, print."""
    members = int(arguments[0]) if arguments else 100_000
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(report(measure(Path(folder), members), members) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
