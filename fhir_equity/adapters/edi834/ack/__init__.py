"""TA1 and 999 (005010X231A1): what a receiver answers to an 834, by tables and not by code."""

from fhir_equity.adapters.edi834.ack.answer import Acknowledger, Wish
from fhir_equity.adapters.edi834.ack.reply import Guides
from fhir_equity.adapters.edi834.ack.sets import Answered, How
from fhir_equity.adapters.edi834.ack.structure import Structure
from fhir_equity.adapters.edi834.ack.verdicts import Verdicts

__all__ = ["Acknowledger", "Answered", "Guides", "How", "Structure", "Verdicts", "Wish"]
