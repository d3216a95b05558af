"""Files that appear whole or not at all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fhir_equity.errors import UsageError
from fhir_equity.privacy import private_file


@contextmanager
def written(dst: str | Path) -> Iterator[IO[bytes]]:
    """A private file that takes its name only when all of it has been written; ``-`` is standard output.

    Raises UsageError for a folder that does not exist.
    """
    if str(dst) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(dst)
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist")
    part = path.with_name(path.name + ".part")
    try:
        with private_file(part) as out:
            yield out
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
