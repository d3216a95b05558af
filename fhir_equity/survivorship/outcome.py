"""Choose the winning answer of one matter of one person by a policy, and say which rule decided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fhir_equity.model import CHOSEN, Event, Resolution, State
from fhir_equity.survivorship.policy import Policy
from fhir_equity.survivorship.rules import Answers, Rules, never_filled
from fhir_equity.survivorship.weighed import Elsewhere, Meant, Weighed
from fhir_equity.vocabulary import Detail

DECIDED = "decided"  # the rule of a resolution that somebody made

_NOBODY: Elsewhere = {}


def resolve(
    matter: str,
    events: Iterable[Event],
    meaning: Meant,
    policy: Policy,
    detail: Detail,
    elsewhere: Elsewhere = _NOBODY,
) -> Resolution:
    """Choose the winning event of one matter of one person; no event at all resolves to unknown.

    `meaning` reads what was received; of a partner who is `elsewhere`, what stands there.

    An event that somebody decided for wins over every rule. A tie between different answers goes to the earliest,
    provisionally, and is not sent anywhere until somebody decides.

    Raises TableError for an origin whose method the policy does not rank (a broken attestation).
    """
    weighed = [Weighed(matter, event, meaning, policy, elsewhere) for event in dict.fromkeys(events)]
    if not weighed:
        return Resolution(matter, State.UNKNOWN, (), None, rule="no_answer")
    chosen = next((each for each in weighed if each.event.decided == CHOSEN), None)
    if chosen is not None:
        return _decided(matter, weighed, chosen)
    answered = [each for each in weighed if each.state is State.ANSWERED]
    if not answered:
        return _absent(matter, weighed, weighed, policy, "nothing_known")
    refused = [each for each in weighed if each.state is State.DECLINED]
    if policy.replaces(matter) and any(_later(each, answered) for each in refused):
        return _absent(matter, weighed, refused, policy, "refused_later")
    able = never_filled(answered, weighed) if "never_filled" in policy.rules else answered
    if not able:
        return _absent(matter, weighed, refused, policy, "never_filled")
    return _answered(matter, weighed, able, Rules(matter, policy, detail))


def _answered(matter: str, weighed: list[Weighed], able: Answers, rules: Rules) -> Resolution:
    """Of those that may win, the one that the rules leave, or the earliest of several."""
    left = rules(able)
    winner = left[0] if len(left) == 1 else min(left, key=Weighed.order)
    provisional = any(each.said != winner.said for each in left)
    return Resolution(
        matter=matter,
        state=State.ANSWERED,
        meanings=winner.meanings,
        winner=winner.event,
        beaten=_others(weighed, winner),
        rule="tie_earliest" if provisional else rules.decided_by or _without_a_rule(weighed, able),
        provisional=provisional,
        refused=_refused_after(weighed, winner),
    )


def _without_a_rule(weighed: Sequence[Weighed], able: Answers) -> str:
    """Why somebody wins where no rule had anything to decide between those who may."""
    if any(each.state is State.ANSWERED for each in weighed if each not in able):
        return "never_filled"
    if len(able) < len(weighed):
        return "known_over_unknown"
    return "only_answer" if len(weighed) == 1 else "same_answer"


def _decided(matter: str, weighed: list[Weighed], chosen: Weighed) -> Resolution:
    """Somebody decided; what was said since and says otherwise asks them again, and until then nothing is sent."""
    stands = all(each.event.decided or each.state is not State.ANSWERED or each.said == chosen.said for each in weighed)
    return Resolution(
        matter=matter,
        state=chosen.state,
        meanings=chosen.meanings,
        winner=chosen.event,
        beaten=_others(weighed, chosen),
        rule=DECIDED if stands else "decided_before",
        provisional=not stands,
        refused=_refused_after(weighed, chosen),
    )


def _absent(matter: str, weighed: list[Weighed], among: list[Weighed], policy: Policy, rule: str) -> Resolution:
    """No known answer stands: the most telling absence does."""
    most_telling = min(policy.absent[each.state] for each in among)
    front = [each for each in among if policy.absent[each.state] == most_telling]
    winner = front[0] if len(front) == 1 else min(front, key=lambda each: (each.rank, each.order()))
    return Resolution(matter, winner.state, winner.meanings, winner.event, _others(weighed, winner), rule)


def _later(refusal: Weighed, answered: Answers) -> bool:
    return all(refusal.date > each.date for each in answered)


def _refused_after(weighed: Iterable[Weighed], winner: Weighed) -> bool:
    return any(each.state is State.DECLINED and each.date > winner.date for each in weighed)


def _others(weighed: list[Weighed], winner: Weighed) -> tuple[Event, ...]:
    others = [each for each in weighed if each is not winner]
    if len(others) > 1:
        others.sort(key=lambda each: (each.rank, each.order()))
    return tuple([each.event for each in others])
