"""A disk that is truly full: nothing of the step is written, the sentence says so, and with room again it goes on."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fhir_equity.errors import StoreError
from tests.faults.points import everything, files, load

ROOM = 640 * 1024  # bytes: for the tables and some of the people
Inside = Callable[[Callable[[], None]], str]


@contextmanager
def small_tmpfs(place: Path) -> Iterator[Inside]:
    """A file system of that size (ENOSPC); it grows when the first has failed."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs root")

    def inside(deed: Callable[[], None]) -> str:
        with pytest.raises(StoreError) as caught:
            deed()
        subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
        return str(caught.value)

    try:
        yield inside
    finally:
        subprocess.run(["umount", str(place)], check=True)


@contextmanager
def short_files(place: Path) -> Iterator[Inside]:
    """A process that may not let a file grow beyond that (EFBIG, RLIMIT_FSIZE)."""
    place.mkdir()

    def inside(deed: Callable[[], None]) -> str:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))
                deed()
            except StoreError as error:
                os.write(writer, str(error).encode())
            finally:
                os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        with os.fdopen(reader) as told:
            return told.read()

    yield inside


@pytest.mark.parametrize("full", [small_tmpfs, short_files])
def test_a_full_disk_stops_an_ingest_that_goes_on_with_room(
    tmp_path: Path, full: Callable[[Path], Iterator[Inside]]
) -> None:
    files(tmp_path)
    whole = f"sqlite:///{tmp_path}/whole.db"
    load(whole, tmp_path)
    assert (tmp_path / "whole.db").stat().st_size > ROOM / 2
    with full(tmp_path / "small") as inside:  # type: ignore[attr-defined]
        url = f"sqlite:///{tmp_path}/small/equity.db"
        said = inside(lambda: load(url, tmp_path))
        assert said.startswith("the disk of the store is full")
        load(url, tmp_path)
        assert everything(url) == everything(whole)
