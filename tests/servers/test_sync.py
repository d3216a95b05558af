"""Synchronising with servers that nobody here wrote, on good and on bad days: every scenario with every server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.hies import KINDS, Hie
from tests.servers.matrix import written
from tests.servers.place import opened
from tests.servers.scenarios.every import SCENARIOS


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("hie", [kind.name for kind in KINDS], indirect=True, scope="session")
def test_scenario(hie: Hie, name: str, tmp_path: Path) -> None:
    """What is seen is what the README's matrix says of it."""
    with opened(tmp_path, hie) as place:
        assert SCENARIOS[name](place) == written()[name, hie.kind.name]


def test_the_matrix_has_every_scenario_and_every_server() -> None:
    assert set(written()) == {(name, kind.name) for name in SCENARIOS for kind in KINDS}
    assert all(written().values())
