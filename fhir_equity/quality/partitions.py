"""Records of a few bytes in partitions: in memory while they are few, else in a private temporary file.

A partition is a list of pages of the file and the page that is being filled, so that memory does not
grow with the number of records.
"""

from __future__ import annotations

import tempfile
from array import array

PARTS = 256
PAGE = 4096  # bytes; a whole number of records
_IN_MEMORY = 1024 * 1024  # bytes of full pages; only what is more goes to the disk


class Partitions:
    """Keeps records in the order they came, by partition. The file has no name, and is gone at the end."""

    def __init__(self) -> None:
        self._filling = [bytearray() for _ in range(PARTS)]
        self._full = [array("I") for _ in range(PARTS)]  # the numbers of pages in the file
        self._pages = 0
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - gone with the whole

    def __del__(self) -> None:
        self._file.close()

    def __getstate__(self) -> list[bytes]:
        return [self.read(part) for part in range(PARTS)]

    def __setstate__(self, state: list[bytes]) -> None:
        self.__init__()  # type: ignore[misc]
        for part, records in enumerate(state):
            self.add(part, records)

    def add(self, part: int, records: bytes) -> None:
        """One record or several."""
        filling = self._filling[part]
        filling += records
        if len(filling) >= PAGE:
            self._spill(part)

    def read(self, part: int) -> bytes:
        """All records of a partition."""
        return b"".join([*map(self._page, self._full[part]), self._filling[part]])

    def _page(self, number: int) -> bytes:
        self._file.seek(number * PAGE)
        return self._file.read(PAGE)

    def _spill(self, part: int) -> None:
        filling = self._filling[part]
        whole = len(filling) - len(filling) % PAGE
        self._file.seek(self._pages * PAGE)
        self._file.write(filling[:whole])
        self._full[part].extend(range(self._pages, self._pages + whole // PAGE))
        self._pages += whole // PAGE
        del filling[:whole]
