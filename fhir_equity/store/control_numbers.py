"""Control numbers of the 834 (ISA13, GS06, ST02): never given twice, not even to a file that failed."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine, select
from sqlmodel import Field, SQLModel

from fhir_equity.errors import StoreError, UsageError
from fhir_equity.store.connection import writing
from fhir_equity.store.rows import upsert
from fhir_equity.store.schema import core

LAST = 999_999_999  # nine digits (data elements I12, 28, 329)
_BLOCK = 1000  # numbers taken at a time after the first two, which a file with one set needs


class ControlNumber(SQLModel, table=True):
    """The last control number given to 834 files from one sender to one receiver; none is given twice."""

    __tablename__ = "control_number"
    sender: str = Field(primary_key=True)
    receiver: str = Field(primary_key=True)
    last: int


def control_numbers(engine: Engine, sender: str, receiver: str, first: int = 0) -> Iterator[int]:
    """The numbers that follow the last one given from `sender` to `receiver`, or that start at `first`.

    Raises UsageError where `first` was passed already, StoreError when all are given.
    """
    block = 2
    while True:
        numbers = _taken(engine, sender, receiver, first, block)
        yield from numbers
        first, block = 0, _BLOCK


def _taken(engine: Engine, sender: str, receiver: str, first: int, many: int) -> range:
    """Take as many numbers, so that nobody else gets them."""
    table = core(ControlNumber)
    with writing(engine) as connection:
        mine = (table.c.sender == sender) & (table.c.receiver == receiver)
        last = connection.execute(select(table.c.last).where(mine)).scalar() or 0
        if first and first <= last:
            raise UsageError(f"control number {first} was passed already; the last one given is {last}")
        start = first or last + 1
        stop = min(start + many, LAST + 1)
        if start >= stop:
            raise StoreError("all control numbers from this sender to this receiver are given")
        row = {"sender": sender, "receiver": receiver, "last": stop - 1}
        upsert(connection, ControlNumber, ("sender", "receiver"), [row])
    return range(start, stop)
