"""Read a survey given as text or bytes; write members and get the bytes and the losses."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from fhir_equity.adapters.protocol import Context, Range, Read
from fhir_equity.adapters.source import Source
from fhir_equity.adapters.survey import ADAPTER
from fhir_equity.model import Frame, Loss, Outgoing


@pytest.fixture(scope="session")
def read() -> Callable[..., list[Read]]:
    """Everything the adapter yields for a file ``s.csv`` with this content, but the frame."""

    def all_of(content: str | bytes, context: Context | None = None) -> list[Read]:
        data = content.encode() if isinstance(content, str) else content
        source = Source("s.csv", lambda: io.BytesIO(data))
        items = ADAPTER.read(source, Range(), context or Context(partner="p"))
        return [item for item in items if not isinstance(item, Frame)]

    return all_of


@pytest.fixture(scope="session")
def write() -> Callable[..., tuple[bytes, list[Loss]]]:
    """The bytes and the losses of writing these records."""

    def all_of(records: list[Outgoing]) -> tuple[bytes, list[Loss]]:
        out = io.BytesIO()
        losses = list(ADAPTER.write(records, out, Context(partner="p")))
        return out.getvalue(), losses

    return all_of
