"""The audit trail: who did what, when, with which versions, to how many; append-only and hash-chained. Never a value.

An entry can be written in the transaction of the deed itself, so that there is never one without the
other. Writers of a store wait for one another, and so does the chain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Engine, select

from fhir_equity.store.connection import reading, writing
from fhir_equity.store.rows import encode, now, upsert
from fhir_equity.store.schema import TrailEntry, TrailHead, core

# What an entry may be about. Names that we gave, never something that came with a person.
ABOUT = frozenset(
    (
        *("run", "partner", "hie", "recipient", "plan", "transmission", "purpose", "format", "sha256", "as_of"),
        *("decision", "pattern", "case", "quarantine", "policy", "before", "hold", "certificate"),
        *("merge", "split", "reason"),
    )
)
BEGUN, DONE, FAILED = "begun", "done", "failed"
FIRST = "0" * 64  # what the first entry follows
_HASHED = ("at", "who", "action", "outcome", "about", "counts", "topics", "versions", "previous")

_texts = msgspec.json.Decoder(dict[str, str]).decode
_numbers = msgspec.json.Decoder(dict[str, int]).decode


class Signature(Struct, frozen=True):
    """Who acts, and with which software, policies and tables (asked for the first entry and when tables change)."""

    who: str = "unknown"
    versions: Callable[[], Mapping[str, str]] = dict


class Entry(Struct, frozen=True):
    """One deed. `id` counts from 1 without gaps; `at` is UTC; `counts` and `topics` are how many."""

    id: int
    at: str
    who: str
    action: str
    outcome: str
    about: dict[str, str]
    counts: dict[str, int]
    topics: dict[str, int]
    versions: dict[str, str]
    previous: str
    digest: str


class Head(Struct, frozen=True):
    """How many entries a trail has and the digest of the last one; written down elsewhere it proves the past."""

    entries: int = 0
    digest: str = FIRST

    def __str__(self) -> str:
        return f"{self.entries}:{self.digest}"


class Verified(Struct, frozen=True):
    """What verifying found: the head as the entries give it, and (entry, what is wrong) for whatever does not fit."""

    head: Head
    problems: list[tuple[int, str]]


class Trail:
    """The trail of one store. Every method raises StoreError, StoreLockedError, StoreUnavailableError."""

    def __init__(self, engine: Engine, signature: Signature) -> None:
        self._engine = engine
        self._signature = signature
        self._versions: dict[str, str] | None = None

    def record(
        self,
        action: str,
        *,
        connection: Connection | None = None,
        outcome: str = DONE,
        about: Mapping[str, str | int] | None = None,
        counts: Mapping[str, int] | None = None,
        topics: Mapping[str, int] | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> Entry:
        """Append an entry, in the open write transaction of `connection` where one is given.

        `action` is the command (``sync apply``), `outcome` ``begun``, ``done`` or ``failed``. `about` takes
        the names of `ABOUT` only; `counts` is how many of what, `topics` how many members by topic or matter;
        `versions` are added to those of the signature. Raises ValueError for something else to be about.
        """
        if stray := set(about or ()) - ABOUT:
            raise ValueError(f"an entry of the trail is not about {', '.join(sorted(stray))}")
        if self._versions is None:
            self._versions = dict(self._signature.versions())
        said = {
            "action": action,
            "outcome": outcome,
            "about": _text({name: str(value) for name, value in (about or {}).items()}),
            "counts": _text(counts or {}),
            "topics": _text(topics or {}),
            "versions": _text(self._versions | dict(versions or {})),
        }
        if connection is not None:
            return self._append(connection, said)
        with writing(self._engine) as own:
            return self._append(own, said)

    def forget_versions(self) -> None:
        """Ask the signature again: tables have changed."""
        self._versions = None

    def _append(self, connection: Connection, said: dict[str, str]) -> Entry:
        before = _head(connection)
        row: dict[str, Any] = {"id": before.entries + 1, "at": now(), "who": self._signature.who, **said}
        row["previous"] = before.digest
        row["digest"] = digest_of(row)
        connection.execute(core(TrailEntry).insert(), [row])
        upsert(connection, TrailHead, ("id",), [{"id": 1, "entries": row["id"], "digest": row["digest"]}])
        return _entry(row)

    def entries(self, *, since: str = "", action: str = "") -> Iterator[Entry]:
        """The entries from an ISO date or instant on, of one action or of all, oldest first, in constant memory."""
        table = core(TrailEntry)
        query = select(table).where(table.c.at >= since).order_by(table.c.id).execution_options(yield_per=1000)
        if action:
            query = query.where(table.c.action == action)
        with reading(self._engine) as connection:
            for row in connection.execute(query).mappings():
                yield _entry(dict(row))

    def head(self) -> Head:
        """The head as the store remembers it."""
        with reading(self._engine) as connection:
            return _head(connection)

    def verify(self, expected: Head | None = None) -> Verified:
        """Read the whole trail: every digest, every link, no number left out, and its end.

        `expected` is a head that was written down earlier: the entry of that number must still have that digest.
        """
        last, problems = Head(), list[tuple[int, str]]()
        table = core(TrailEntry)
        query = select(table).order_by(table.c.id).execution_options(yield_per=1000)
        kept = expected is None or expected.entries == 0
        with reading(self._engine) as connection:
            for found in connection.execute(query).mappings():
                row = dict(found)
                problems += [(row["id"], what) for what in _wrong(row, last)]
                if expected is not None and row["id"] == expected.entries:
                    kept = row["digest"] == expected.digest
                last = Head(row["id"], row["digest"])
            if _head(connection) != last:
                problems.append((last.entries, "end"))
        if not kept and expected is not None:
            problems.append((expected.entries, "expected"))
        return Verified(last, problems)


class Since:
    """Whether the trail has gone on since it was last asked.

    Others that delete put it on the trail in the transaction that does; an id that somebody remembered from before
    may then be nobody's, or another row's.
    """

    def __init__(self) -> None:
        self._last = ""

    def moved(self, connection: Connection) -> bool:
        """Whether it has."""
        last, self._last = self._last, _head(connection).digest
        return last != self._last


def digest_of(row: Mapping[str, Any]) -> str:
    """The digest of an entry, over its number, everything it says, and the digest of the entry before."""
    return hashlib.sha256(encode([row["id"], *(row[name] for name in _HASHED)])).hexdigest()


def _wrong(row: Mapping[str, Any], before: Head) -> Iterator[str]:
    """``edited``: not what was written; ``missing``: entries before it; ``chain``: it follows another one."""
    if row["digest"] != digest_of(row):
        yield "edited"
    if row["id"] != before.entries + 1:
        yield "missing"
    elif row["previous"] != before.digest:
        yield "chain"


def _head(connection: Connection) -> Head:
    table = core(TrailHead)
    found = connection.execute(select(table.c.entries, table.c.digest)).one_or_none()
    return Head() if found is None else Head(*found)


def _text(named: Mapping[str, Any]) -> str:
    return encode(dict(sorted(named.items()))).decode()


def _entry(row: Mapping[str, Any]) -> Entry:
    counted = {name: _numbers(row[name]) for name in ("counts", "topics")}
    return Entry(**{**row, **counted, "about": _texts(row["about"]), "versions": _texts(row["versions"])})
