"""The closed lists of the field: what is known of an answer, how it came about, who asked, how codes relate."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """What we know about an answer. A closed list; tables decide which state a value has."""

    ANSWERED = "answered"
    DECLINED = "declined"  # asked, prefers not to say
    DONT_KNOW = "dont_know"  # asked, the respondent does not know
    UNABLE = "unable"  # could not be asked
    BLANK = "blank"  # offered, left empty
    NOT_ASKED = "not_asked"
    UNKNOWN = "unknown"  # no evidence either way
    INVALID = "invalid"  # illegal code or garbage; kept verbatim
    NOT_APPLICABLE = "not_applicable"


class Method(StrEnum):
    """How an answer came about, best first."""

    SELF = "self"
    PROXY = "proxy"
    RELAYED = "relayed"  # a self-report passed on by somebody else
    UNSTATED = "unstated"
    OBSERVED = "observed"


class Collector(StrEnum):
    """Who asked."""

    PLAN = "plan"
    STATE = "state"
    CMS = "cms"
    EXCHANGE = "exchange"
    PROVIDER = "provider"
    HIE = "hie"
    OTHER = "other"


class Severity(StrEnum):
    """How bad a finding is. `error` means an answer or a record could not be used as sent."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """How bad it is beside the others: 0 is the least."""
        return list(Severity).index(self)


class Relationship(StrEnum):
    """How a target code relates to its source code (ConceptMap equivalence, in plain words)."""

    EQUIVALENT = "equivalent"
    WIDER = "wider"  # the target says less than the source did
    NARROWER = "narrower"  # the target says more than the source did
    INEXACT = "inexact"
    UNMATCHED = "unmatched"
