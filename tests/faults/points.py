"""An ingest that something happens to: at a chosen moment of its dealings with the database, then run again.

The moments are counted: before and after every statement, and before every commit. Whatever happens, the
store must end as that of an ingest to which nothing happened, row by row, clocks aside.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event, select
from sqlmodel import SQLModel

from fhir_equity.pipeline import ingest as module
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.settings import PrivacySettings, Settings, StoreSettings
from tests.benchmarks.generate_834 import file_of
from tests.conftest import engine_of

CLOCKS = {"started", "finished", "at", "planned_at", "done_at", "undone_at", "released_at"}
CHAINED = {("trail", "digest"), ("trail", "previous"), ("trail_head", "digest")}  # which hold the clock of an entry
CHUNK = 10
Happening = Callable[[Connection], None]
SURVEY = "member_id,first_name,last_name,race_ethnicity,language_spoken\n"


def files(folder: Path) -> list[Path]:
    """An 834 of 45 people with a record that is none, a second one that contradicts it, and a survey."""
    enrollment = file_of(45, folder)
    text = enrollment.read_text(encoding="ascii")
    enrollment.write_text(text.replace("~INS*Y*18", "~INS*Q*18", 1), encoding="ascii")
    later = folder / "later.834"
    later.write_text(text.replace(":RET:2106-3", ":RET:2131-1").replace("*ADA*", "*ADELE*"), encoding="ascii")
    survey = folder / "survey.csv"
    rows = [f"{key},ADA,ALDER,Samoan,es\n" for key in ("M000000002", "M000000033", "NEW", "")]
    survey.write_text(SURVEY + "".join(rows), encoding="utf-8")
    return [enrollment, later, survey]


def load(url: str, folder: Path) -> None:
    """Ingest the files of a folder."""
    settings = Settings(store=StoreSettings(url=url), privacy=PrivacySettings(key_file=folder / "equity.key"))
    module.CHUNK = CHUNK
    with Workspace(settings, "2026-01-01") as workspace:
        module.ingest(workspace, sorted([*folder.glob("*.834"), *folder.glob("*.csv")]), partner="plan")


def everything(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table in order; of a clock only whether it was set."""
    engine = engine_of(url)
    found: dict[str, list[tuple[Any, ...]]] = {}
    with engine.connect() as connection:
        for table in SQLModel.metadata.sorted_tables:
            clocks = {c.name for c in table.columns if c.name in CLOCKS or (table.name, c.name) in CHAINED}
            columns = [c != "" if c.name in clocks else c for c in table.columns]
            found[table.name] = sorted(tuple(row) for row in connection.execute(select(*columns)))
    return found


@contextmanager
def moments(point: int, happening: Happening) -> Iterator[list[int]]:
    """At the `point`-th moment within, something happens; yields how many moments there were, in a list of one."""
    counted = [0]

    def moment(connection: Connection, *_: object) -> None:
        counted[0] += 1
        if counted[0] == point:
            happening(connection)

    names = ("before_cursor_execute", "after_cursor_execute", "commit")
    for name in names:
        event.listen(Engine, name, moment)
    try:
        yield counted
    finally:
        for name in names:
            event.remove(Engine, name, moment)


def kill(_: Connection) -> None:
    """End this process as the kernel does when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


def killed(url: str, folder: Path, point: int) -> bool:
    """Ingest in a process of its own that is killed at a moment; whether it was, or came to its end before."""
    return killed_in(lambda: load(url, folder), point)


def killed_in(deed: Callable[[], object], point: int) -> bool:
    """Do something in a process of its own that is killed at a moment; whether it was. Raises ValueError."""
    child = os.fork()
    if not child:
        with moments(point, kill), suppress(Exception):
            deed()
            os._exit(0)
        os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, -signal.SIGKILL):
        raise ValueError(f"what was to be killed ended with {status}")
    return status != 0
