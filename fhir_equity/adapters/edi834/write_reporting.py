"""Answers that have no other place in the 834 as loop 2700, by the table ``[[reporting]]`` they are read with."""

from __future__ import annotations

from collections.abc import Iterable

from fhir_equity.adapters.edi834.characters import Characters, Element
from fhir_equity.adapters.edi834.reporting import CATEGORY, Category, categories
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Expressed, Loss, Relationship

_REFERENCE = "ZZ"  # REF01 where the table takes any
_LOOP = "2700"


class CategoryWriter:
    """Puts answers together as categories; of several rows for one topic the first is written.

    What has no REF02 in the table is added to `losses`. Raises TableError for a row that cannot be used.
    """

    def __init__(self, context: Context, characters: Characters, element: str, losses: list[Loss]) -> None:
        self._element = element
        self._losses = losses
        self._rows: dict[str, Category] = {}
        for category in categories(context.guide):
            self._rows.setdefault(category.topic, category)
        self._name = Element(characters, self._lose, 1, 60)  # data element 93
        self._value = Element(characters, self._lose, 1, 50)  # 127

    def __contains__(self, topic: str) -> bool:
        return topic in self._rows

    def values(self, expressed: Expressed) -> list[tuple[str, str]]:
        """N1 and REF of each code, or of the words where there is no code."""
        row = self._rows[expressed.topic]
        sent = {meant: value for value, meant in reversed(row.values.items())}
        found = [sent.get(f"{coding.system}|{coding.code}", "") for coding in expressed.details]
        if not found:
            found = [sent.get(expressed.text, expressed.text)]
        elif expressed.text != "; ".join(coding.display for coding in expressed.details if coding.display):
            found.append("")  # words beside a code
        n1 = self._element.join(("N1", CATEGORY, self._name[row.name]))
        pairs = []
        for value in found:
            if not value:
                self._losses.append(Loss("edi834.no_category", Relationship.UNMATCHED, expressed.topic))
            elif written := self._value[value]:
                pairs.append((n1, self._element.join(("REF", row.reference or _REFERENCE, written))))
        return pairs

    def loop(self, pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
        """The segments LS to LE; none where nothing was said."""
        inside: list[str] = []
        for number, pair in enumerate(pairs, start=1):
            inside += [f"LX{self._element}{number}", *pair]
        return (f"LS{self._element}{_LOOP}", *inside, f"LE{self._element}{_LOOP}") if inside else ()

    def _lose(self, rule: str) -> None:
        self._losses.append(Loss(rule, Relationship.WIDER))
