"""What differs between the databases a store may live in; everything else is the same for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from sqlalchemy import URL, Connection, Engine

from fhir_equity.errors import FhirEquityError, StoreError, StoreLockedError, StoreUnavailableError

BUSY_SECONDS = 5  # how long a writer waits for another one
Said = tuple[type[FhirEquityError], str]  # an error of ours and its sentence


class UnstorableError(StoreError):
    """A text holds a character that the database does not take; nothing of the transaction was written."""


LOCKED: Said = (StoreLockedError, "the store is locked by another process; try again when it is done")
TAKEN: Said = (StoreLockedError, "another run deals with this HIE; try again when it is done")
FULL: Said = (StoreError, "the disk of the store is full; nothing of this step was written")
LOST: Said = (
    StoreUnavailableError,
    "the connection to the store's server was lost; run it again",
)


def refused(error: BaseException) -> Said:
    """What is said of an error that nobody foresaw."""
    return StoreError, f"the store refused an operation ({type(error).__name__})"


class Backend(Protocol):
    """One kind of database."""

    def engine(self, url: URL, key: str) -> Engine:
        """An engine for a URL, with whatever every connection needs; `key` encrypts. Raises UsageError, StoreError."""

    def begin(self, connection: Connection, *, write: bool) -> None:
        """Begin a transaction: one writer at a time, and one consistent view for a reader."""

    def said(self, error: BaseException) -> Said:
        """What an error of the driver is for us; its message may hold values and is never passed on."""

    def insert(self, connection: Connection, table: Any, columns: Sequence[str], rows: Sequence[Any]) -> None:
        """Insert many rows, given as tuples of these columns."""

    def insert_new(self, connection: Connection, table: Any, columns: Sequence[str], rows: Sequence[Any]) -> int:
        """As `insert`, leaving out what would break a unique constraint; returns how many rows are new."""

    def upsert(self, table: Any) -> Any:
        """An INSERT of SQLAlchemy that knows ``on_conflict_do_update``."""

    def alone(self, engine: Engine, name: str) -> AbstractContextManager[None]:
        """While it lasts, no other process deals with the HIE of this name; it ends at the latest with ours.

        Raises StoreLockedError at once where another does.
        """

    def scrub(self, engine: Engine) -> None:
        """Overwrite or give back what was deleted, so that its bytes are in no file of the database any more."""
