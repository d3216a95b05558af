"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from fhir_equity.errors import UsageError
from fhir_equity.privacy import private_file


@contextmanager
def written(dst: str | Path) -> Iterator[IO[bytes]]:
    """A private file that takes its name only when all of it has been written; ``-`` is standard output.

    A device or a pipe is written to and never replaced. Raises UsageError for a folder, or one that does not exist.
    """
    if str(dst) == "-":
        out = getattr(sys.stdout, "buffer", None)
        if out is None:  # a notebook's, which takes words alone
            raise UsageError("standard output takes no bytes here; name a file")
        yield out
        out.flush()
        return
    path = Path(dst)
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist")
    if path.is_dir():
        raise UsageError(f"{path.name} is a folder")
    if path.exists() and not path.is_file():  # a device or a pipe takes what comes, and keeps its place
        with private_file(path) as out:
            yield out
        return
    part = path.with_name(path.name + ".part")
    try:
        with private_file(part) as out:
            yield out
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def written_folder(dst: str | Path) -> Iterator[Callable[[str], IO[bytes]]]:
    """Open private files by their names, in a folder that takes its name only when all of them have been written.

    Raises UsageError for standard output, for a folder that holds something, and where it has no place.
    """
    path = Path(dst)
    if str(dst) == "-":
        raise UsageError("this form is a folder; name one")
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{path.name} exists and is no empty folder")
    part = path.with_name(path.name + ".part")
    shutil.rmtree(part, ignore_errors=True)  # what an interrupted run left
    part.mkdir(mode=0o700)
    try:
        with ExitStack() as files:

            def opened(name: str) -> IO[bytes]:
                place = part / name
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                return files.enter_context(private_file(place))

            yield opened
        part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
