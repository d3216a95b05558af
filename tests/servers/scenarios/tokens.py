"""SMART Backend Services with npm's oidc-provider: tokens end, are refused, and are renewed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fhir_equity.errors import RemoteError
from fhir_equity.pipeline.demo_people import MEMBER_SYSTEM
from fhir_equity.settings import SmartSettings
from tests.servers.hies import BRIEF, Json
from tests.servers.place import Place
from tests.servers.scenarios.table import YES, scenario
from tests.sync.scene import HIE, PARTNER, race_of

STOPPED = 4  # the exit code of a run that the other side stopped
MANY = 10**6
PEOPLE = 6


@scenario
def tokens_refused(place: Place) -> str:
    """SMART Backend Services (oidc-provider, RS384, ES384): a token refused in mid-run is renewed once, on it goes"""
    for number, algorithm in enumerate(("RS384", "ES384")):
        guarded = _guarded(place, algorithm)
        place.server.faults(issuer=place.server.issuer.address, uses=5 + number)
        assert len(guarded.plan().changes) == PEOPLE
        assert guarded.apply().statuses == {"verified": PEOPLE}
        assert guarded.plan().changes == []
        assert [race_of(each) for each in guarded.people(PEOPLE)] == [["2106-3"]] * PEOPLE
        went = place.server.went()
        refused = [each for each in went if each["kind"] == "refused"]
        assert len(refused) >= 3
        assert all(_follows(went, each) for each in refused)
        guarded.set(smart=None)
        with pytest.raises(RemoteError, match="401"):  # the guard is there
            guarded.pull()
    return YES


def _guarded(place: Place, algorithm: str, client: str = "plan") -> Place:
    """People and a store of their own, and a log-in with a key."""
    folder = place.folder / algorithm
    folder.mkdir()
    made = Place(folder, place.server, attempts=4)
    made.set(smart=SmartSettings(client_id=f"{client}-{algorithm}", key_file=place.server.issuer.key_file(algorithm)))
    made.survey(*[made.row(n) for n in range(1, PEOPLE + 1)])
    made.known(1, "Asian")
    return made


def _follows(went: list[Json], refused: Json) -> bool:
    """Whether the same request came again at once, with the next token."""
    again = went[went.index(refused) + 1]
    same = all(again[word] == refused[word] for word in ("method", "path", "body"))
    return same and (again["token"], again["kind"]) == (refused["token"] + 1, "")


@scenario
def tokens_brief(place: Place) -> str:
    """Tokens that last for seconds, and an apply that lasts longer: each is renewed before it ends, none is refused"""
    guarded = _guarded(place, "RS384", "brief")
    place.server.faults(issuer=place.server.issuer.address, uses=MANY)
    assert len(guarded.plan().changes) == PEOPLE
    slow = {"kinds": ["slow"], "seconds": BRIEF / (PEOPLE * 3)}  # a person is four requests
    place.server.faults(slow, issuer=place.server.issuer.address, uses=MANY)
    began = time.monotonic()
    assert guarded.apply().statuses == {"verified": PEOPLE}
    assert time.monotonic() - began > BRIEF
    went = place.server.went()
    assert max(each["token"] for each in went) > 1
    assert not [each for each in went if each["kind"] == "refused"]
    assert guarded.plan().changes == []
    return YES


@scenario
def tokens_over(place: Place) -> str:
    """Tokens are refused for good in mid-run: exit code 4 after one renewal; run again, it goes on to the same end"""
    guarded = _guarded(place, "ES384")
    issuer = place.server.issuer.address
    place.server.faults(issuer=issuer, uses=MANY)
    assert len(guarded.plan().changes) == PEOPLE
    place.server.faults({"kinds": ["401"], "skip": 2 * PEOPLE}, issuer=issuer, uses=MANY)
    stopped = _apply(guarded)
    assert stopped.returncode == STOPPED
    assert b"401" in stopped.stderr
    went = [(each["kind"], each["token"]) for each in place.server.went() if each["kind"] != "discovery"]
    refused = went[2 * PEOPLE :]
    assert {kind for kind, _ in refused} == {"401"}
    assert refused[:2] == [("401", 1), ("401", 2)]
    assert len(refused) <= 4  # the write, and whether the server may be read at all
    written = [race_of(each) for n in range(1, PEOPLE + 1) for each in guarded.there(n)]
    assert 0 < written.count(["2106-3"]) < PEOPLE
    place.server.faults(issuer=f"{issuer}/gone", uses=MANY)
    with pytest.raises(RemoteError, match="gave no token"):  # where tokens are, nobody gives one
        guarded.apply()
    place.server.faults(issuer=issuer, uses=MANY)
    assert _apply(guarded).returncode == 0
    assert guarded.plan().changes == []
    assert [race_of(each) for each in guarded.people(PEOPLE)] == [["2106-3"]] * PEOPLE
    return YES


def _apply(place: Place) -> subprocess.CompletedProcess[bytes]:
    """The command, with the settings of a place."""
    hie, smart = place.hie, place.hie.smart
    assert smart is not None
    words: Json = {"url": hie.url, "recipient": hie.recipient, "mode": hie.mode, "unmatched": hie.unmatched}
    words |= {"page_size": hie.page_size, "attempts": hie.attempts, "identifier_systems": [MEMBER_SYSTEM]}
    login = {"client_id": smart.client_id, "key_file": str(smart.key_file)}
    lines = [f"partner = {json.dumps(PARTNER)}", f"[hie.{HIE}]", *_lines(words), f"[hie.{HIE}.smart]", *_lines(login)]
    settings = place.folder / "equity.toml"
    settings.write_text("\n".join([*lines, ""]))
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "fhir_equity",
        "--config",
        settings,
        "--store",
        place.folder / "equity.db",
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_EQUITY_")}
    return subprocess.run(
        [*command, "sync", "apply", "--hie", HIE],
        capture_output=True,
        cwd=place.folder,
        env=environment,
        timeout=300,
        check=False,
    )


def _lines(words: Json) -> list[str]:
    return [f"{name} = {json.dumps(value)}" for name, value in words.items()]
