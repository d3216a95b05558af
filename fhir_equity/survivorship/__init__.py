"""Which answer wins, why, and what it beat. Deterministic and independent of arrival order.

The policy is data (mappings/policies/survivorship.toml). `rules` are the rules in the order in which they are
asked, `outcome` asks them, `weighed` is an answer with everything that decides its place.
"""

from fhir_equity.survivorship.outcome import DECIDED as DECIDED
from fhir_equity.survivorship.outcome import resolve as resolve
from fhir_equity.survivorship.policy import Policy as Policy
from fhir_equity.survivorship.policy import policy_from as policy_from
from fhir_equity.survivorship.weighed import Elsewhere as Elsewhere
from fhir_equity.survivorship.weighed import event_state as event_state
from fhir_equity.survivorship.weighed import known_words as known_words
from fhir_equity.survivorship.weighed import meanings_of as meanings_of
from fhir_equity.survivorship.weighed import what_is_said as what_is_said
