"""Records by partition come back in the order they came, from memory, from the file, and from a pickle."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_equity.quality import partitions
from fhir_equity.quality.partitions import PAGE, PARTS, Partitions

SMALL = 32  # bytes of a page: two records
RECORDS = st.lists(st.tuples(st.sampled_from([0, 1, PARTS - 1]), st.binary(min_size=16, max_size=16)), max_size=40)


def kept(records: Iterable[tuple[int, bytes]]) -> Partitions:
    found = Partitions()
    for part, record in records:
        found.add(part, record)
    return found


def expected(records: Iterable[tuple[int, bytes]]) -> list[bytes]:
    return [b"".join(record for at, record in records if at == part) for part in range(PARTS)]


@given(records=RECORDS)
def test_what_was_kept_comes_back_in_its_order(records: list[tuple[int, bytes]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partitions, "PAGE", SMALL)
        patch.setattr(partitions, "_IN_MEMORY", 3 * SMALL)
        found = kept(records)
        assert [found.read(part) for part in range(PARTS)] == expected(records)
        found.add(1, b"a" * 16)  # reading does not disturb what comes after it
        again = pickle.loads(pickle.dumps(found))  # noqa: S301 - as between our own processes
        assert [again.read(part) for part in range(PARTS)] == expected([*records, (1, b"a" * 16)])


def test_memory_does_not_grow_with_the_records() -> None:
    found = Partitions()
    for _ in range(4):
        found.add(3, b"r" * PAGE * 1000)  # 8 MB each
    held = sum(map(sys.getsizeof, (*found._filling, *found._full)))
    assert held < 64 * PARTS * 2 + 4 * 4000 * 2
    assert found._file.name is not None  # on the disk
    assert len(found.read(3)) == 4000 * PAGE
