"""Member surveys as text tables: CSV, TSV, semicolon or pipe, in UTF-8, UTF-16 or Windows-1252."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import IO

from fhir_equity.adapters.protocol import Adapter, Context, Cut, Joint, NoJoint, Piece, Range, Read
from fhir_equity.adapters.source import Source
from fhir_equity.adapters.survey.columns import header_of
from fhir_equity.adapters.survey.guide import Guide, guide_from
from fhir_equity.adapters.survey.read import read_again, read_members
from fhir_equity.adapters.survey.rows import encoding_of
from fhir_equity.adapters.survey.write import bind, rows_of
from fhir_equity.model import Loss, Outgoing, Rejected

__all__ = ["ADAPTER", "SurveyAdapter"]

_ENDINGS = (".csv", ".tsv", ".txt")
_OTHER_FORMATS = ("ISA", "{", "[", "<")


class SurveyAdapter:
    """Surveys, read and written by guides/survey.toml. See `Adapter` for what the methods promise."""

    name = "survey"
    ending = ".csv"
    writes = True
    families = False

    def recognises(self, head: bytes, name: str) -> bool:
        """Whether the first row shows a key and a question; a .csv needs one known heading only.

        So a survey that lacks its key column is still met here and told so in one clear sentence.
        """
        encoding = encoding_of(head)
        start = head[len(encoding.bom) : len(encoding.bom) + 256].decode(encoding.name, "ignore")
        if start.lstrip().startswith(_OTHER_FORMATS):
            return False
        guide = _built_in()
        header = header_of(head, guide)
        if header is None or len(header.known) < 2:
            return False
        known = [column for column in header.known if column]
        keys = {role for recipe in guide.keys for role in recipe}
        has_key = any(column.role in keys for column in known)
        has_question = any(column.box or column.role in guide.topics for column in known)
        named = name.lower().removesuffix(".gz").endswith(_ENDINGS)
        return (has_key and has_question) or (named and bool(known))

    def split(self, source: Source, pieces: int) -> list[Range]:
        """Always one range: a line break may stand inside quotes, so no cut in the middle is safe."""
        return [Range()]

    def cut(self, head: bytes) -> Cut | None:
        """Nowhere, for the same reason."""
        return None

    def read(self, source: Source, part: Range, context: Context) -> Iterator[Read]:
        """Read a survey row by row. Raises UnreadableError without a header or a member key column."""
        return read_members(source, context)

    def joint(self) -> Joint:
        """A range leaves nothing open."""
        return NoJoint()

    def again(self, rejected: Rejected, frame: bytes, context: Context) -> Iterator[Read]:
        """Read a rejected row again; its frame is the header row."""
        return read_again(rejected, frame, context)

    def pieces(self, context: Context) -> Callable[[Outgoing], Piece]:
        """A row of a CSV for each member."""
        return rows_of(context)

    def bind(self, pieces: Iterable[Piece], out: IO[bytes], context: Context) -> Iterator[Loss]:
        """The header and the rows."""
        return bind(pieces, out, context)

    def write(self, records: Iterable[Outgoing], out: IO[bytes], context: Context) -> Iterator[Loss]:
        """Write a CSV of members, yielding what a table of wordings cannot carry."""
        return bind(map(rows_of(context), records), out, context)


@cache
def _built_in() -> Guide:
    return guide_from({})


ADAPTER: Adapter = SurveyAdapter()
