"""One run at a time sends to an HIE, whatever database the store is in."""

from __future__ import annotations

from contextlib import closing

import pytest

from fhir_equity.errors import StoreLockedError
from fhir_equity.store import Store


def test_one_at_a_time(store: Store, url: str) -> None:
    with closing(Store(url)) as other:
        with store.hie("hx").alone():
            with pytest.raises(StoreLockedError, match=r"^another run deals with this HIE"), other.hie("hx").alone():
                pass
            with other.hie("hy").alone():
                pass
        with other.hie("hx").alone(), pytest.raises(StoreLockedError), store.hie("hx").alone():
            pass
        with pytest.raises(ValueError, match="x"), other.hie("hx").alone():
            raise ValueError("x")
        with store.hie("hx").alone():
            pass
