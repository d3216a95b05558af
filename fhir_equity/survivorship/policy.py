"""The survivorship policy: read from mappings/policies/survivorship.toml, checked, and ready to ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from fhir_equity.errors import TableError
from fhir_equity.model import Collector, Method, State
from fhir_equity.vocabulary import Codes

FILE = "policies/survivorship.toml"
DEFAULT = "default"  # the row of every matter that has none of its own

# The rules that a policy may leave out, in the order in which they are asked.
RULES = (
    "never_filled",
    "several_over_one",
    "own_word",
    "current",
    "method",
    "partner",
    "collector",
    "newest",
    "combined",
    "detail",
)
# What else is a reason: nothing to choose from, people who decided, and what no policy leaves out.
REASONS = (
    "no_answer",
    "only_answer",
    "same_answer",
    "decided",
    "decided_before",
    "known_over_unknown",
    "refused_later",
    "nothing_known",
    "tie_earliest",
)


class Policy(Struct, frozen=True):
    """The survivorship policy: ranks (0 is best) of methods, absent states, partners and collectors.

    `rules` are those that are asked, `one_only` words of a question to which one thing could be answered,
    `own_word` the methods by which people speak for themselves, `currency` days, `declined` whether a later
    refusal replaces what was known; by matter, else ``default``. `why` is a sentence for each rule, `telling`
    are the rules that tell whether there is an answer.
    """

    version: str
    methods: Mapping[str, int]
    absent: Mapping[State, int]
    rules: frozenset[str] = frozenset(RULES)
    one_only: tuple[str, ...] = ()
    own_word: frozenset[str] = frozenset()
    partners: Mapping[str, Mapping[str, int]] = {}
    collectors: Mapping[str, Mapping[str, int]] = {}
    currency: Mapping[str, int] = {}
    declined: Mapping[str, str] = {}
    why: Mapping[str, str] = {}
    telling: frozenset[str] = frozenset()

    def require_version_of_its_own(self, other: Policy) -> None:
        """Raise TableError where this policy differs from another that has the same version."""
        if self.version == other.version and self != other:
            raise TableError(f"{FILE}: what says otherwise needs a version of its own, which every resolution carries")

    def partner(self, matter: str, name: str) -> int:
        """The rank of a partner; who is not named comes after those who are, all alike."""
        ranks = self.partners.get(matter, self.partners.get(DEFAULT, {}))
        return ranks.get(name, len(ranks))

    def collector(self, matter: str, name: str) -> int:
        """The rank of a collector, as of a partner."""
        ranks = self.collectors.get(matter, self.collectors.get(DEFAULT, {}))
        return ranks.get(name, len(ranks))

    def window(self, matter: str) -> int:
        """How many days an answer may be older than the newest and still be current; 0 is without end."""
        return self.currency.get(matter, self.currency.get(DEFAULT, 0))

    def replaces(self, matter: str) -> bool:
        """Whether a later refusal replaces what was known, which else stands as history."""
        return self.declined.get(matter, self.declined.get(DEFAULT, "keep")) == "replace"


class _Document(BaseModel):
    """The file. Every name that it may hold is here."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: str = Field(min_length=1)
    methods: list[str]
    absent: list[str]
    one_only: list[str] = []
    own_word: list[str] = []
    telling: list[str] = []
    rules: dict[str, bool] = {}
    declined: dict[str, Literal["keep", "replace"]] = {}
    currency: dict[str, NonNegativeInt] = {}
    partners: dict[str, list[str]] = {}
    collectors: dict[str, list[str]] = {}
    why: dict[str, str] = {}


def policy_from(document: dict[str, Any], codes: Codes) -> Policy:
    """Read policies/survivorship.toml.

    Raises TableError for a name that it cannot hold, a matter, method, state, collector or rule that does not
    exist, and a list that ranks one twice or leaves out a method or a state.
    """
    try:
        read = _Document.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        extra = f"there is no such name; there are: {', '.join(_Document.model_fields)}"
        raise TableError(f"{FILE}: {where}: {extra if first['type'] == 'extra_forbidden' else first['msg']}") from None
    for problem in _problems(read, codes):
        raise TableError(f"{FILE}: {problem}")
    return Policy(
        version=read.version,
        methods=_ranks(read.methods),
        absent={State(name): rank for rank, name in enumerate(read.absent)},
        rules=frozenset(rule for rule in RULES if read.rules.get(rule, True)),
        one_only=tuple(read.one_only),
        own_word=frozenset(read.own_word),
        partners={matter: _ranks(names) for matter, names in read.partners.items()},
        collectors={matter: _ranks(names) for matter, names in read.collectors.items()},
        currency=read.currency,
        declined=read.declined,
        why=read.why,
        telling=frozenset(read.telling),
    )


def _problems(read: _Document, codes: Codes) -> Iterator[str]:
    """What is wrong with a file whose every name and type is right."""
    absent = [state.value for state in State if state is not State.ANSWERED]
    for name, listed, whole in (("methods", read.methods, list(Method)), ("absent", read.absent, absent)):
        yield from _unknown(name, listed, [str(each) for each in whole])
        if sorted(listed) != sorted(whole):
            yield f"{name} must rank every one once: {', '.join(whole)}"
    yield from _unknown("own_word", read.own_word, [str(method) for method in Method])
    yield from _unknown("rules", read.rules, RULES)
    for name in ("why", "telling"):
        yield from _unknown(name, getattr(read, name), (*RULES, *REASONS))
    for name in ("declined", "currency", "partners", "collectors"):
        for matter in getattr(read, name):
            yield from _matter(name, matter, codes)
    for name in ("partners", "collectors"):
        for matter, listed in getattr(read, name).items():
            if len(set(listed)) < len(listed):
                yield f"{name}.{matter} names one twice"
    for matter, listed in read.collectors.items():
        yield from _unknown(f"collectors.{matter}", listed, [str(each) for each in Collector])


def _unknown(name: str, given: Any, known: Any) -> Iterator[str]:
    for each in given:
        if each not in known:
            yield f"{name}: {each!r} does not exist; there are: {', '.join(known)}"


def _matter(name: str, matter: str, codes: Codes) -> Iterator[str]:
    matters = dict.fromkeys(topic.matter for topic in codes.topics.values())
    if matter in codes.topics and matter not in matters:
        yield f"{name}: {matter} is decided together with others as {codes.topics[matter].matter}"
    elif matter != DEFAULT and matter not in matters:
        yield f"{name}: there is no topic {matter!r}; there are: {DEFAULT}, {', '.join(matters)}"


def _ranks(names: list[str]) -> dict[str, int]:
    return {name: rank for rank, name in enumerate(names)}
