"""All scenarios, in the order of the README's matrix."""

from tests.servers.scenarios import everyday, leaving, nights, others, telling, tokens
from tests.servers.scenarios.table import SCENARIOS

__all__ = ["SCENARIOS", "everyday", "leaving", "nights", "others", "telling", "tokens"]
