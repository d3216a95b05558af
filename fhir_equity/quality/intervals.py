"""Wilson's interval of a share, and Cohen's kappa of two yes-or-no judgements."""

from __future__ import annotations

from math import sqrt

Z = 1.959963984540054  # 95 percent


def wilson(count: int, whole: int) -> tuple[float, float] | None:
    """The 95 % interval of `count` of `whole`; None of nobody. (Wilson 1927)"""
    if not whole:
        return None
    p, n = count / whole, whole
    center = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return center - half if count else 0.0, center + half if count < whole else 1.0


def kappa(both: int, one: int, other: int, neither: int) -> float | None:
    """Agreement beyond chance; None where both always say the same one thing, or of nobody. (Cohen 1960)

    `one` and `other` are how often only one of them says yes.
    """
    n = both + one + other + neither
    chance = (both + one) * (both + other) + (other + neither) * (one + neither)
    if not n or chance == n * n:
        return None
    return (n * (both + neither) - chance) / (n * n - chance)
