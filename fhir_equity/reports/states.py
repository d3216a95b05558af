"""What each state of an answer is called, looks like and means, always in the same order."""

from __future__ import annotations

from msgspec import Struct

from fhir_equity.model import State


class Look(Struct, frozen=True):
    """A state as readers meet it. `ink` is the text colour that can be read on `colour`."""

    state: State
    label: str
    colour: str
    ink: str
    meaning: str


DARK = "#1b1f24"
LIGHT = "#ffffff"

# The colours stay apart (CIE76 > 19 for every pair) with normal sight and with simulated protanopia,
# deuteranopia and tritanopia (Machado et al. 2009, severity 1.0); `ink` has a contrast of 4.5:1.
LOOKS = (
    Look(State.ANSWERED, "Answered", "#332288", LIGHT, "There is an answer that can be used."),
    Look(
        State.DECLINED,
        "Declined",
        "#ddaa33",
        DARK,
        "The person was asked and prefers not to say. That is a decision to respect, not a gap to fill.",
    ),
    Look(State.DONT_KNOW, "Does not know", "#56b4e9", DARK, "The person was asked and does not know."),
    Look(State.UNABLE, "Unable", "#0072b2", LIGHT, "The person could not be asked, for example for medical reasons."),
    Look(State.BLANK, "Left blank", "#ee8866", DARK, "The question was offered and left empty."),
    Look(State.NOT_ASKED, "Not asked", "#8a6b00", LIGHT, "The source says that nobody has asked."),
    Look(
        State.UNKNOWN, "Unknown", "#949494", DARK, "There is no evidence either way: nothing says that anybody asked."
    ),
    Look(
        State.INVALID,
        "Invalid",
        "#5e1914",
        LIGHT,
        "Something was sent that no code list allows. It is kept as sent and listed in the findings.",
    ),
    Look(
        State.NOT_APPLICABLE,
        "Not applicable",
        "#994455",
        LIGHT,
        "The question does not apply, for example below the age at which it is asked.",
    ),
)

REST_LABEL = "Not shown"
REST_COLOUR = "#ececec"
REST_MEANING = "People whose state is withheld or missing from the audit."
