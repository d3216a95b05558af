"""Coverage-guided fuzzing of the 834 reader with atheris.

``python -m tests.fuzz.fuzz_834 [options of libFuzzer] CORPUS``; `tests.fuzz.soak` runs it with sensible ones.
"""

from __future__ import annotations

import sys

import atheris

from tests.fuzz.mutate import mutated


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Half of the changes know what an 834 is, half are libFuzzer's own."""
    return mutated(data, seed, most) if seed % 2 else bytes(atheris.Mutate(data, most))


def main() -> None:
    """Fuzz until an option of libFuzzer says stop or an input breaks a rule; that input is then kept in a file."""
    with atheris.instrument_imports(include=["fhir_equity.adapters.edi834"]):
        from tests.fuzz.check import check
    atheris.Setup(sys.argv, check, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
