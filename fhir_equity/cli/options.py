"""The global options, and what commands share: a workspace with progress, tables, exit codes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import typer
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from fhir_equity.errors import UsageError
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.privacy import private_file
from fhir_equity.settings import Settings, load

SHOWN_AFTER = 2  # seconds: what is done sooner needs no bar
words = Console(stderr=True, highlight=False)


class Options(Struct):
    """What stood before the command's own words."""

    config: Path | None = None
    store: str | None = None
    quiet: bool = False

    def settings(self) -> Settings:
        """The settings with the global options laid over them. Raises UsageError."""
        return load(self.config, self.store)


def options(context: typer.Context) -> Options:
    """The global options of this call."""
    found: Options = context.find_root().obj
    return found


@contextmanager
def workspace(context: typer.Context, as_of: str = "", settings: Settings | None = None) -> Iterator[Workspace]:
    """A workspace whose progress shows on a terminal once something takes over two seconds."""
    given = options(context)
    bar = BarColumn(bar_width=20)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), bar, TimeElapsedColumn(), TimeRemainingColumn())
    shown = words.is_terminal and not given.quiet
    with Progress(*columns, console=words, transient=True, disable=not shown) as progress:
        task = progress.add_task("starting", total=None, visible=False)

        def told(name: str, count: int, total: int = 0, /) -> None:
            """The rate is that of all so far; how long it will take is rich's estimate, where the end is known."""
            elapsed = progress.tasks[0].elapsed or 0
            words = f"{name}: {count:,}" + (f" of {total:,}" if total else "")
            rate = f", {count / elapsed:,.1f}/s" if elapsed else ""
            progress.update(
                task, description=words + rate, completed=count, total=total or None, visible=elapsed > SHOWN_AFTER
            )

        with Workspace(settings or given.settings(), as_of, told) as opened:
            yield opened


def say(context: typer.Context, text: str) -> None:
    """Words for a person, on stderr; silent with --quiet."""
    if not options(context).quiet:
        words.print(text, markup=False, soft_wrap=True)


def show(
    context: typer.Context, title: str, columns: Iterable[str], rows: Iterable[Sequence[object]], left: int = 1
) -> None:
    """A table for a person, on stderr; the first `left` columns are words, the others numbers."""
    if options(context).quiet:
        return
    table = Table(title=Text(title), title_justify="left", title_style="bold", header_style="")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < left else "right", overflow="fold")
    for row in rows:
        # Text, because brackets in a name or an answer are no markup
        table.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) else str(cell)) for cell in row))
    words.print(table)


def counted(context: typer.Context, title: str, counts: Mapping[str, int]) -> None:
    """A table of names and counts; nothing when there is nothing to show."""
    if counts:
        ordered = sorted(counts.items(), key=_most_first)
        show(context, title, ("", "count"), ordered)


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def put(text: str) -> None:
    """Requested text on standard output: UTF-8 as all that we read, whatever the terminal or the system speaks."""
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()


def write_json(document: Any, place: str) -> None:
    """One JSON document to a private file, or to standard output for ``-``."""
    content = orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"
    if place == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    path = Path(place)
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist")
    with private_file(path) as file:
        file.write(content)


def unreadable(failures: list[str]) -> None:
    """Tell every input that could not be read at all, then end with exit code 3."""
    if failures:
        for message in failures:
            words.print(f"error: {message}", markup=False, soft_wrap=True)
        raise typer.Exit(3)
