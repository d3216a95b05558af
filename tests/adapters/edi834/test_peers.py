"""Others accept what we write: pyx12 by its map, linuxforhealth-x12 by its models."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from fhir_equity.adapters.edi834 import ADAPTER
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Coding, Expressed, Name, Outgoing, State
from tests.adapters.edi834.peers import PeerError, linuxforhealth, linuxforhealth_counts, pyx12_errors
from tests.adapters.edi834.people import GUIDES, files
from tests.adapters.edi834.test_write import ADA
from tests.conftest import missing

SEX = Expressed("sex", State.ANSWERED, details=(Coding("x12-1068", "F"),))
RACE = Expressed("race_ethnicity", State.ANSWERED, details=(Coding("x12-1109", "B"), Coding("cdcrec", "2118-8")))
SPOKEN = Expressed("language_spoken", State.ANSWERED, details=(Coding("iso639", "spa"),), text="Mam, Español")


def _single(expressed: Expressed) -> Expressed:
    """One race at most: pyx12 4.0.0 fails on a repeated DMG05, which its own map allows ten times."""
    return msgspec.structs.replace(expressed, details=expressed.details[:1])


def _named(record: Outgoing) -> Outgoing:
    """Somebody with a family name, which the guide requires, and with one race."""
    said = tuple(_single(e) if e.topic == "race_ethnicity" else e for e in record.expressed)
    name = Name("ALDER", *msgspec.structs.astuple(record.member.name)[1:])
    return Outgoing(msgspec.structs.replace(record.member, name=name), said)


def _corrected(record: Outgoing) -> Outgoing:
    """The same person under another name and with another race and birth date until now."""
    member = msgspec.structs.replace(record.member, name=Name("ÖLDER", ("A*B",)), birth_date="1979-01-31")
    return Outgoing(record.member, record.expressed, Outgoing(member, (_single(RACE),)))


def _written(records: list[Outgoing], context: Context) -> bytes:
    out = io.BytesIO()
    list(ADAPTER.write(records, out, context))
    return out.getvalue()


@given(files(), st.booleans())
@settings(
    max_examples=25,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    deadline=None,
)
def test_pyx12_accepts_our_files(file: tuple[Context, list[Outgoing]], correcting: bool) -> None:
    context, records = file
    marks = [context.guide["write"][name] for name in ("element", "component", "repetition", "segment")]
    assume(all(mark.isprintable() for mark in marks))  # pyx12 takes no control character as a delimiter
    people = [_corrected(_named(record)) if correcting else _named(record) for record in records]
    assert pyx12_errors(_written(people, context)) == []


def test_the_referee_sees_what_is_wrong() -> None:
    """A file without a family name, so that an empty list means something."""
    context, records = Context(guide=GUIDES[""], created="2026-01-15T12:30"), [Outgoing(_ada("").member, ())]
    assert "NM103" in "".join(pyx12_errors(_written(records, context)))


@pytest.fixture(scope="session")
def peer() -> Path:
    try:
        return linuxforhealth()
    except PeerError as error:
        missing(f"linuxforhealth-x12 cannot be installed here: {error}")
        raise


def _ada(family: str = "ALDER") -> Outgoing:
    return Outgoing(msgspec.structs.replace(ADA, name=Name(family, ("ADA",))), (SEX, RACE, SPOKEN))


def test_linuxforhealth_x12_parses_our_files(peer: Path, tmp_path: Path) -> None:
    paths, sets = [], []
    for purpose in "42":
        for partner, guide in GUIDES.items():
            write = {**guide["write"], "purpose": purpose}
            context = Context(guide={**guide, "write": write}, created="2026-01-15T12:30")
            data = _written([_ada(), _corrected(_ada())], context)
            paths.append(tmp_path / f"{partner or 'base'}-{purpose}.834")
            paths[-1].write_bytes(data)
            told = [part.split("*")[1] for part in data.decode().split("~\n") if part.startswith("SE*")]
            sets += [(2 // len(told), int(count)) for count in told]
    assert len(sets) > len(paths) >= 14
    assert linuxforhealth_counts(paths, peer) == sets


def test_linuxforhealth_x12_complains_of_what_is_wrong(peer: Path, tmp_path: Path) -> None:
    path = tmp_path / "wrong.834"
    path.write_bytes(
        _written([_ada()], Context(guide=GUIDES[""], created="2026-01-15T12:30")).replace(b"INS*Y", b"INS*Q")
    )
    with pytest.raises(ValueError, match="ins_segment"):
        linuxforhealth_counts([path], peer)
