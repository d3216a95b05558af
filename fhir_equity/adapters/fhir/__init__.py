"""FHIR R4 Patients (US Core) and what stands beside them: read, written in several forms, merged, validated.

The definitions of codes are in `fhir_equity.adapters.fhir.terminology`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import IO

from fhir_equity.adapters.fhir import layout
from fhir_equity.adapters.fhir.export import read_export
from fhir_equity.adapters.fhir.forms import bind, bind_bulk, pieces
from fhir_equity.adapters.fhir.mentions import mentions
from fhir_equity.adapters.fhir.merge import merge
from fhir_equity.adapters.fhir.patient import PatientReader, answers_of, observed_in
from fhir_equity.adapters.fhir.read import read, read_again
from fhir_equity.adapters.fhir.shape import objects_in
from fhir_equity.adapters.fhir.tell import give_ids, ids_of
from fhir_equity.adapters.fhir.validate import validate
from fhir_equity.adapters.fhir.write import Writer, patient_from, resources_from
from fhir_equity.adapters.fhir.write_observations import secured
from fhir_equity.adapters.manifest import MOST, is_manifest, manifest_in
from fhir_equity.adapters.protocol import Adapter, Context, Cut, Joint, NoJoint, Piece, Range, Read
from fhir_equity.adapters.source import Source
from fhir_equity.model import Loss, Outgoing, Rejected

__all__ = [
    "ADAPTER",
    "PatientReader",
    "Writer",
    "answers_of",
    "bind_bulk",
    "give_ids",
    "ids_of",
    "mentions",
    "merge",
    "objects_in",
    "observed_in",
    "patient_from",
    "resources_from",
    "secured",
    "validate",
]


class _Fhir:
    """The FHIR format: Patients of R4 and of what came before and after it, as far as they agree."""

    name = "fhir"
    ending = ".ndjson"
    writes = True
    families = False

    def recognises(self, head: bytes, name: str) -> bool:
        """Whether the head is FHIR JSON, NDJSON or XML, or the manifest of a Bulk Data export."""
        return layout.recognises(head) or is_manifest(head)

    def split(self, source: Source, pieces: int) -> list[Range]:
        """Cut NDJSON at line starts; a document stays whole."""
        return layout.split(source, pieces)

    def cut(self, head: bytes) -> Cut | None:
        """Lines of Patients at line starts; a document, and a file with other resources, stays whole."""
        return layout.cut(head)

    def read(self, source: Source, part: Range, context: Context) -> Iterator[Read]:
        """Read a range: see `fhir_equity.adapters.fhir.read`; of a manifest, its export."""
        manifest = manifest_in(b"".join(source.part(0, MOST))) if is_manifest(source.head()) else None
        return read(source, part, context) if manifest is None else read_export(source, manifest, context)

    def joint(self) -> Joint:
        """A range leaves nothing open."""
        return NoJoint()

    def again(self, rejected: Rejected, frame: bytes, context: Context) -> Iterator[Read]:
        """Read a rejected resource again; it stands in no frame."""
        return read_again(rejected, context)

    def pieces(self, context: Context) -> Callable[[Outgoing], Piece]:
        """A line for each resource, or (`form` of the guide) a transaction for each member."""
        return pieces(context)

    def bind(self, pieces: Iterable[Piece], out: IO[bytes], context: Context) -> Iterator[Loss]:
        """The lines one after the other."""
        return bind(pieces, out, context)

    def write(self, records: Iterable[Outgoing], out: IO[bytes], context: Context) -> Iterator[Loss]:
        """Write Patients and what stands beside them, a resource or (`form` of the guide) a transaction per line."""
        return bind(map(pieces(context), records), out, context)


ADAPTER: Adapter = _Fhir()
