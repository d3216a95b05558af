"""Intervals and agreement against published values."""

from __future__ import annotations

import pytest

from fhir_equity.quality.intervals import kappa, wilson


@pytest.mark.parametrize(
    ("count", "whole", "low", "high"), [(8, 10, 0.4902, 0.9433), (0, 30, 0, 0.1135), (80, 100, 0.7112, 0.8666)]
)
def test_wilson(count: int, whole: int, low: float, high: float) -> None:
    found = wilson(count, whole)
    assert found is not None
    assert found == pytest.approx((low, high), abs=5e-5)


def test_of_nobody_and_of_everybody() -> None:
    assert wilson(0, 0) is None
    everybody = wilson(30, 30)
    assert everybody is not None
    assert everybody == pytest.approx((1 - 0.1135, 1.0), abs=5e-5)
    assert everybody[1] == 1.0


def test_kappa() -> None:
    assert kappa(20, 5, 10, 15) == pytest.approx(0.4)
    assert kappa(5, 0, 0, 5) == 1.0
    assert kappa(0, 5, 5, 0) == -1.0
    assert kappa(7, 0, 0, 0) is None
    assert kappa(0, 0, 0, 0) is None
