"""The rules of survivorship, each of which narrows the answers that may win; `Rules` asks them in their order.

`never_filled` comes first, before anything else is compared. `combined` and `detail` come last: they put an
answer that says more in the place of one that came later and says the same in fewer words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

from fhir_equity.model import State
from fhir_equity.survivorship.policy import Policy
from fhir_equity.survivorship.weighed import Weighed
from fhir_equity.vocabulary import Detail

FULL_DATE = len("YYYY-MM-DD")
Answers = list[Weighed]
Narrow = Callable[[Answers], Answers]
Says = Callable[[Weighed, Weighed], bool]  # whether the first says what the second says, and more


def never_filled(answered: Answers, weighed: Sequence[Weighed]) -> Answers:
    """A refusal is never filled from another source.

    Whoever declined has not answered until they answer that source. What others say does not count, unless we
    knew it before; nor does a refusal that others tell of weigh more than the person's own word.
    """
    standing = [
        refusal
        for refusal in weighed
        if refusal.state is State.DECLINED
        and not any(each.source == refusal.source and each.date >= refusal.date for each in answered)
    ]
    return [each for each in answered if not any(_fills(each, refusal) for refusal in standing)]


def _fills(answer: Weighed, refusal: Weighed) -> bool:
    known_before = answer.event.first_seen < refusal.date
    return answer.source != refusal.source and not known_before and (refusal.own or not answer.own)


class Rules:
    """The rules of one policy about one matter, asked in their order. `decided_by` is the last that narrowed."""

    def __init__(self, matter: str, policy: Policy, detail: Detail) -> None:
        self._matter, self._policy, self._detail = matter, policy, detail
        self._ranking: dict[str, Narrow] = {
            "current": self._current,
            "method": lambda answers: _best(answers, lambda each: each.rank),
            "partner": lambda answers: _best(answers, lambda each: each.partner),
            "collector": lambda answers: _best(answers, lambda each: each.collector),
        }
        self.decided_by = ""

    def __call__(self, answered: Answers) -> Answers:
        """Those of some answers (at least one) that nothing ranks below another."""
        answered = self._asked("several_over_one", answered, _several_over_one)
        front = self._asked("own_word", answered, self._own_word)
        for rule, narrow in self._ranking.items():
            front = self._asked(rule, front, narrow)
        answered = self._asked("newest", front, _newest)
        for rule, says in (("combined", self._as_combined), ("detail", self._in_detail)):
            answered = self._asked(rule, answered, lambda each, says=says: _fullest(each, front, says))  # type: ignore[misc]
        return answered

    def _asked(self, rule: str, answered: Answers, narrow: Narrow) -> Answers:
        if rule not in self._policy.rules:
            return answered
        kept = narrow(answered)
        if kept != answered:
            self.decided_by = rule
        return kept

    def _own_word(self, answered: Answers) -> Answers:
        """Where people speak for themselves and the rules that follow would let another word win, theirs alone."""
        left = answered
        for rule, narrow in self._ranking.items():
            left = narrow(left) if rule in self._policy.rules else left
        own = [each for each in answered if each.own]
        return own if own and not all(each.own for each in left) else answered

    def _current(self, answered: Answers) -> Answers:
        """Without what was said too long before the newest, by the days of the policy."""
        window = self._policy.window(self._matter)
        days = [_day(each) for each in answered]
        oldest = max(days) - window if window else 0
        return [each for each, day in zip(answered, days, strict=True) if day >= oldest or not day]

    def _as_combined(self, combined: Weighed, pair: Weighed) -> bool:
        if combined.event.origin.standard != "omb2024" or pair.event.origin.standard == "omb2024":
            return False
        return self._detail.says_as_combined(combined.meanings, pair.meanings)

    def _in_detail(self, more: Weighed, less: Weighed) -> bool:
        standard = less.event.origin.standard
        if more.source != less.source or more.event.origin.standard != standard:
            return False
        return self._detail.says_more(more.meanings, less.meanings, standard)


def _several_over_one(answered: Answers) -> Answers:
    """Where somebody says several things, nobody who could say one only."""
    several = any(len(each.said) > 1 and not each.one_only for each in answered)
    return [each for each in answered if not (several and each.one_only)]


def _best(answered: Answers, rank: Callable[[Weighed], int]) -> Answers:
    best = min(rank(each) for each in answered)
    return [each for each in answered if rank(each) == best]


def _newest(answered: Answers) -> Answers:
    newest = max(each.date for each in answered)
    return [each for each in answered if each.date == newest]


def _fullest(answered: Answers, front: Answers, says: Says) -> Answers:
    """In the place of each answer the newest of those that say it more fully, and of those again."""
    found: dict[int, Weighed] = {}
    for each in answered:
        fuller = [other for other in front if other is not each and says(other, each)]
        for best in _fullest(_newest(fuller), front, says) if fuller else [each]:
            found[id(best)] = best
    return list(found.values())


def _day(answer: Weighed) -> int:
    """The day as a number; 0 where it is not known."""
    return date.fromisoformat(answer.date).toordinal() if len(answer.date) == FULL_DATE else 0
