"""What may be told of a count, as the public knows it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from fhir_equity.quality.publish.cells import FLOOR
from fhir_equity.quality.publish.protect import WIDTH

SENSITIVE_FLOOR = 20


class Rule(Struct, frozen=True):
    """What may be told: counts of 0, or of `floor` at least; of `sensitive` topics `sensitive_floor`.

    `width`: what a reader can find out of a hidden count is no narrower. `matters`: what each topic that may
    be told is decided together with.
    """

    matters: Mapping[str, str]
    sensitive: frozenset[str] = frozenset()
    floor: int = FLOOR
    sensitive_floor: int = SENSITIVE_FLOOR
    width: int = WIDTH

    @property
    def least_sensitive(self) -> int:
        """The least count but 0 that may be told of anything sensitive."""
        return max(self.floor, self.sensitive_floor)

    def least(self, topic: str) -> int:
        """The least count but 0 that may be told of a topic."""
        return self.least_sensitive if topic in self.sensitive else self.floor
