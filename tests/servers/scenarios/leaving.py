"""What may leave, what may not, and what must not stay."""

from __future__ import annotations

from fhir_equity.pipeline.sync import sync_recall
from tests.servers.hies import Json
from tests.servers.place import Place
from tests.servers.scenarios.table import FOREIGN, YES, foreign, scenario, settled, tried
from tests.sync.scene import HIE, languages_of, race_of


@scenario
def withheld(place: Place) -> str:
    """Without a rule no sexual orientation and no gender identity leaves, in no element and no request"""
    place.survey(place.row(1, sexual_orientation="Bisexual", gender_identity="Nonbinary"))
    made = place.plan()
    assert {topic for topic, _ in made.withheld} >= {"sexual_orientation", "gender_identity"}
    place.apply()
    sent = " ".join(each["body"] for each in place.server.went()).casefold()
    assert "2106-3" in sent
    assert not any(
        word in sent for word in ("bisexual", "42035005", "nonbinary", "33791000087105", "76690-7", "76691-5")
    )
    return YES


@scenario
def sent_by_rule(place: Place) -> str:
    """With a rule that names them they leave as Observations of our own, each once however often it is sent"""
    topics = ["race_ethnicity", "language_spoken", "sexual_orientation", "gender_identity"]
    place.rules({"topics": topics})
    place.survey(place.row(1, sexual_orientation="Bisexual", gender_identity="Nonbinary"))
    key = place.known(1, "Asian")
    place.plan()
    place.server.faults({"kinds": ["lost"], "methods": ["POST"], "times": 2})
    tried(place, rounds=2)
    place.server.faults()
    settled(place)
    assert sorted(observed(place, key)) == [("76690-7", "final"), ("76691-5", "final")]
    return YES


def observed(place: Place, key: str) -> list[tuple[str, str]]:
    """(code, status) of the Observations of a Patient."""
    found = place.server.ask("GET", f"Observation?subject=Patient/{key}&_count=50").json()
    held = [entry["resource"] for entry in found.get("entry", [])]
    return [(each["code"]["coding"][0]["code"], each["status"]) for each in held]


@scenario
def recalled(place: Place) -> str:
    """What may not stay (an opt-out) is withdrawn, looked for, and gone; what others said is still there"""
    place.rules({"topics": ["race_ethnicity", "language_spoken", "sexual_orientation"]})
    place.survey(place.row(1, sexual_orientation="Bisexual"))
    key = place.known(1, **FOREIGN)
    settled(place)
    place.opt_out(place.number(1))
    with place.workspace() as workspace:
        done = sync_recall(workspace, HIE)
    assert set(done.applied.statuses) == {"verified"}
    there = place.get(key)
    assert (race_of(there), languages_of(there), len(there["telecom"])) == ([], [], 1)
    assert observed(place, key) == [("76690-7", "entered-in-error")]
    assert place.plan().changes == []
    return YES


@scenario
def denied(place: Place) -> str:
    """What a FHIR Consent there denies is kept back, as a whole or in part, also one given after the plan; what was
    taken back may be sent again"""
    place.survey(*[place.row(n) for n in range(1, 5)])
    keys = [place.known(n, "Asian", **foreign("Asian")) for n in range(1, 5)]
    everything = _consent(place, keys[0], {"type": "deny"})
    _consent(place, keys[1], {"type": "deny", "securityLabel": [_RACE]})
    _consent(place, keys[2], {"type": "permit"})
    made = place.plan()
    assert made.withheld == {("race_ethnicity", "opted_out"): 2, ("language_spoken", "opted_out"): 1}
    assert len(made.changes) == 3
    later = _consent(place, keys[3], {"type": "deny"})
    place.server.faults()
    assert place.apply().statuses == {"verified": 2, "stale": 1}
    assert [race_of(place.get(key)) for key in keys] == [["2028-9"], ["2028-9"], ["2106-3"], ["2028-9"]]
    assert [languages_of(place.get(key)) for key in keys] == [[], ["es"], ["es"], []]
    written = {each["path"] for each in place.server.went() if each["method"] in ("PUT", "PATCH", "POST")}
    assert not [path for path in written if path.endswith((keys[0], keys[3]))]
    for each in (everything, later):
        answer = place.server.ask("PUT", f"Consent/{each['id']}", each | {"status": "inactive"})
        assert answer.status_code == 200
    assert place.pull().consents >= 2
    settled(place)
    assert [race_of(place.get(key)) for key in keys] == [["2106-3"], ["2028-9"], ["2106-3"], ["2106-3"]]
    assert [languages_of(place.get(key)) for key in keys] == [["es"]] * 4
    return YES


_RACE: Json = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "RACE"}
_SCOPE: Json = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
_CATEGORY: Json = {"system": "http://loinc.org", "code": "59284-0"}


def _consent(place: Place, key: str, provision: Json) -> Json:
    """Somebody else records what a Patient wants."""
    made: Json = {"resourceType": "Consent", "status": "active", "dateTime": "2026-02-03T10:00:00Z"}
    made |= {"scope": {"coding": [_SCOPE]}, "category": [{"coding": [_CATEGORY]}]}
    made |= {"policyRule": {"text": "as agreed"}, "patient": {"reference": f"Patient/{key}"}, "provision": provision}
    answer = place.server.ask("POST", "Consent", made)
    assert answer.status_code == 201
    return dict(answer.json())
