"""What was published is kept in the order it went out."""

from __future__ import annotations

from fhir_equity.store import Store


def test_publications_come_back_in_their_order(url: str) -> None:
    store = Store(url)
    try:
        assert store.publications.all() == []
        store.publications.remember("2026-01-01", b"one")
        store.publications.remember("2026-02-01", b"\x00two")
        assert store.publications.all() == [b"one", b"\x00two"]
    finally:
        store.close()
