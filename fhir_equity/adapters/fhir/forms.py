"""The forms in which what is written leaves: one resource per line, transactions, a Bulk Data folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO
from urllib.parse import quote

from fhir_equity.adapters.fhir.shape import Json, compact
from fhir_equity.adapters.fhir.write import Writer
from fhir_equity.adapters.fhir.write_provenance import instant
from fhir_equity.adapters.protocol import Context, Piece
from fhir_equity.model import Loss, Outgoing, Relationship

MANIFEST = "manifest.json"
_NOT_TOLD = Loss("fhir.provenance.patient_not_ours", Relationship.UNMATCHED)


def pieces(context: Context) -> Callable[[Outgoing], Piece]:
    """What writes one member after the other: a line for each resource, or (`form` of the guide) a transaction."""
    return _transactions(context) if context.guide.get("form") == "bundle" else _lines(context)


def bind(pieces: Iterable[Piece], out: IO[bytes], context: Context) -> Iterator[Loss]:  # noqa: ARG001 - as all
    """Write lines one after the other (application/fhir+ndjson), yielding what was lost on the way."""
    for piece in pieces:
        out.writelines(line for _, line in piece.parts)
        yield from piece.losses


def _lines(context: Context) -> Callable[[Outgoing], Piece]:
    writer = Writer(context)

    def piece(outgoing: Outgoing) -> Piece:
        resources, losses = writer.resources(outgoing)
        return Piece(tuple((each["resourceType"], compact(each) + b"\n") for each in resources), tuple(losses))

    return piece


def _transactions(context: Context) -> Callable[[Outgoing], Piece]:
    """One transaction Bundle for each member. The guide's ``transaction`` says how the receiver finds the Patient.

    https://hl7.org/fhir/R4/http.html#transaction
    """
    writer = Writer(context, _urn)
    by_identifier = context.guide.get("transaction", {}).get("patient") == "identifier"

    def piece(outgoing: Outgoing) -> Piece:
        resources, losses = writer.resources(outgoing)
        kept = [each for each in resources if not by_identifier or not _is_about_patient(each)]
        line = compact(transaction(kept, by_identifier=by_identifier)) + b"\n"
        return Piece((("Bundle", line),), (*losses, *[_NOT_TOLD] * (len(resources) - len(kept))))

    return piece


def bind_bulk(pieces: Iterable[Piece], opened: Callable[[str], IO[bytes]], context: Context) -> Iterator[Loss]:
    """Write one file for each type of resource and their manifest, yielding what was lost on the way.

    `opened` opens a new file by its name. https://hl7.org/fhir/uv/bulkdata/export.html#response---output-manifest
    """
    files = {"Patient": opened("Patient.ndjson")}
    counts: Counter[str] = Counter(Patient=0)
    for piece in pieces:
        for kind, line in piece.parts:
            if kind not in files:
                files[kind] = opened(f"{kind}.ndjson")
            files[kind].write(line)
            counts[kind] += 1
        yield from piece.losses
    opened(MANIFEST).write(compact(_manifest(counts, context)) + b"\n")


def transaction(resources: list[Json], *, by_identifier: bool) -> Json:
    """A transaction Bundle of a Patient and what stands beside it, whose references are URNs.

    By id, ours are put at ids of ours, and sending them again changes nothing. By identifier, the receiver gives the
    ids: a Patient is made only where there is none with the first identifier, an Observation replaces its earlier self.
    """
    entries = [
        {
            "fullUrl": _urn(each["resourceType"], each["id"]),
            "resource": {name: value for name, value in each.items() if name != "id"} if by_identifier else each,
            "request": _conditional(each) if by_identifier else _by_id(each),
        }
        for each in resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _by_id(resource: Json) -> Json:
    return {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}


def _conditional(resource: Json) -> Json:
    kind, (first, *_) = resource["resourceType"], resource.get("identifier", [{}])
    if not first:
        return {"method": "POST", "url": kind}
    token = f"identifier={quote(first['system'], safe='')}|{quote(first['value'], safe='')}"
    if kind == "Patient":
        return {"method": "POST", "url": kind, "ifNoneExist": token}
    return {"method": "PUT", "url": f"{kind}?{token}"}


def _is_about_patient(resource: Json) -> bool:
    """Whether it tells who told elements of the Patient, which may be somebody else's where there was one."""
    return resource["resourceType"] == "Provenance" and "extension" in resource["target"][0]


def _urn(kind: str, name: str) -> str:  # noqa: ARG001 - a URN needs no type
    return f"urn:uuid:{name}"


def _manifest(counts: Mapping[str, int], context: Context) -> Json:
    output = [{"type": kind, "url": f"{kind}.ndjson", "count": count} for kind, count in counts.items()]
    return {
        "transactionTime": instant(context.created),
        "request": "fhir-equity convert",
        "requiresAccessToken": False,
        "output": output,
        "error": [],
    }
