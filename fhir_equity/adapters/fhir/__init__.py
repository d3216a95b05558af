"""FHIR R4 Patients (US Core): read from resources, Bundles, NDJSON and XML, written as NDJSON, merged, validated.

The definitions of codes are in `fhir_equity.adapters.fhir.terminology`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from fhir_equity.adapters.fhir import layout
from fhir_equity.adapters.fhir.export import read_export
from fhir_equity.adapters.fhir.merge import merge
from fhir_equity.adapters.fhir.patient import answers_of
from fhir_equity.adapters.fhir.read import read, read_again
from fhir_equity.adapters.fhir.validate import validate
from fhir_equity.adapters.fhir.write import patient_from, resources_from, write
from fhir_equity.adapters.manifest import MOST, is_manifest, manifest_in
from fhir_equity.adapters.protocol import Adapter, Context, Range, Read, Seam
from fhir_equity.adapters.source import Source
from fhir_equity.model import Loss, Outgoing, Rejected

__all__ = ["ADAPTER", "answers_of", "merge", "patient_from", "resources_from", "validate"]


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
        return layout.cut(source, pieces)

    def read(self, source: Source, part: Range, context: Context) -> Iterator[Read]:
        """Read a range: see `fhir_equity.adapters.fhir.read`; of a manifest, its export."""
        manifest = manifest_in(b"".join(source.part(0, MOST))) if is_manifest(source.head()) else None
        return read(source, part, context) if manifest is None else read_export(source, manifest, context)

    def join(self, seams: Sequence[Seam]) -> list[Read] | None:
        """Nothing: a range leaves nothing open."""
        return []

    def again(self, rejected: Rejected, frame: bytes, context: Context) -> Iterator[Read]:
        """Read a rejected resource again; it stands in no frame."""
        return read_again(rejected, context)

    def write(self, records: Iterable[Outgoing], out: IO[bytes], context: Context) -> Iterator[Loss]:
        """Write Patients and their Observations, one per line: see `fhir_equity.adapters.fhir.write`."""
        return write(records, out, context)


ADAPTER: Adapter = _Fhir()
