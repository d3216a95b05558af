"""What a pair seen before costs beside a dictionary look-up: ``python -m tests.benchmarks.bench_vocabulary``.

Prints the cost of both and their ratio, best of several runs, on the same codes in the same order.
"""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable

from fhir_equity.model import Coding
from fhir_equity.vocabulary import Vocabulary, lookup, translate

RUNS, ROUNDS = 7, 100
ALLOWED = 5.0


def best(measured: Callable[[], None]) -> float:
    """Seconds of the fastest of several runs."""
    return min(timeit.repeat(measured, number=ROUNDS, repeat=RUNS))


def main() -> None:
    """Measure looking up and translating against a dictionary with the same keys."""
    vocabulary = Vocabulary()
    codes = list(vocabulary.codes.cdcrec)
    codings = [Coding("cdcrec", code) for code in codes]
    plain = {(code, ""): lookup(vocabulary, code) for code in codes}
    targets = {(coding, "omb2024"): translate(vocabulary, coding, "omb2024") for coding in codings}

    def plain_lookups() -> None:
        for code in codes:
            plain[code, ""]

    def our_lookups() -> None:
        for code in codes:
            lookup(vocabulary, code)

    def plain_translations() -> None:
        for coding in codings:
            targets[coding, "omb2024"]

    def our_translations() -> None:
        for coding in codings:
            translate(vocabulary, coding, "omb2024")

    pairs = (("lookup", plain_lookups, our_lookups), ("translate", plain_translations, our_translations))
    for name, base, ours in pairs:
        floor, cost = best(base), best(ours)
        each = 1e9 / (ROUNDS * len(codes))
        sys.stdout.write(
            f"{name}: {cost * each:.0f} ns, dictionary {floor * each:.0f} ns, "
            f"ratio {cost / floor:.1f} (at most {ALLOWED:.0f})\n"
        )


if __name__ == "__main__":
    main()
