"""What a run has written so far, counted in the very transactions: an interrupted run adds up, too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, select, update

from fhir_equity.store.rows import encode
from fhir_equity.store.schema import Run, core

TOPIC = "topic."  # begins the name of a count of members with a new answer about a matter

_counts = msgspec.json.Decoder(dict[str, int]).decode


def tally(connection: Connection, run: int) -> dict[str, int]:
    """The counts of a run, by name."""
    table = core(Run)
    return _counts(connection.execute(select(table.c.written).where(table.c.id == run)).scalar_one())


def add_to_tally(connection: Connection, run: int, counts: Mapping[str, int]) -> None:
    """Add counts to those of a run."""
    table, total = core(Run), Counter(tally(connection, run))
    total.update({name: count for name, count in counts.items() if count})
    text = encode(dict(sorted(total.items()))).decode()
    connection.execute(update(table).where(table.c.id == run).values(written=text))


def split(counts: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Plain counts, and members by topic."""
    topics = {name.removeprefix(TOPIC): count for name, count in counts.items() if name.startswith(TOPIC)}
    return {name: count for name, count in counts.items() if not name.startswith(TOPIC)}, topics
