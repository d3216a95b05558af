"""Whether what an HIE says is our own word coming back, as we sent it or rolled up on the way."""

from __future__ import annotations

from collections.abc import Iterable

from fhir_equity.vocabulary import Codes

CDCREC = "cdcrec"
NOT_HISPANIC = "2186-5"  # what the 1997 roll-up of a combined answer adds where only races were named


def is_echo(said: str, ours: Iterable[str], codes: Codes) -> bool:
    """Whether a fingerprint (`sync.exchange.fingerprint`) says what one of `ours` says, or less of the same.

    Rolled up: every code there is one of ours or stands above one of ours, in the tree or in the 1997 standard,
    and every code of ours is there itself or by one that stands above it.
    """
    return any(said == own or _is_rolled_up(said, own, codes) for own in ours)


def _is_rolled_up(said: str, own: str, codes: Codes) -> bool:
    there, here = _codes(said), _codes(own)
    if not there or not here:
        return False
    above = {code: _above(code, codes) for code in here if code in codes.cdcrec}
    reachable = set().union(*above.values()) | {NOT_HISPANIC}
    return len(above) == len(here) and there <= reachable and all(each & there for each in above.values())


def _above(code: str, codes: Codes) -> set[str]:
    """A code and those above it, without the words Race and Ethnicity themselves."""
    above = {code, *codes.parents(code), codes.cdcrec[code]["omb1997"]} - {""}
    return {each for each in above if codes.cdcrec[each]["abstract"] != "yes"}


def _codes(said: str) -> set[str]:
    """The race and ethnicity codes of a fingerprint; nothing where it says anything else too."""
    pairs = [line.partition("|") for line in said.split("\n")]
    if any(system not in (CDCREC, "text") for system, _, _ in pairs):
        return set()
    return {code for system, _, code in pairs if system == CDCREC}
