"""QuestionnaireResponses: what was answered on a form that the guide knows, with who answered and when.

`[response]` of guides/fhir.toml says which items of which questionnaire answer which topic; a response to any other
questionnaire is not read. https://hl7.org/fhir/R4/questionnaireresponse.html
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from fhir_equity.adapters.fhir.origins import Origins
from fhir_equity.adapters.fhir.person import is_date, key_of
from fhir_equity.adapters.fhir.respondent import is_held, kind_at, subject_of
from fhir_equity.adapters.fhir.shape import Json, Problems, compact, objects_at, text_at
from fhir_equity.adapters.fhir.values import Value, united, value_of
from fhir_equity.adapters.protocol import Context
from fhir_equity.errors import TableError
from fhir_equity.model import (
    Answer,
    Coding,
    Finding,
    Locator,
    Member,
    Origin,
    Received,
    Rejected,
    Severity,
)

ELEMENT = "fhir.response"
BLANK = Coding("survey", "blank")
# R4, questionnaire-answers-status: what was withdrawn is not read; of what is whole, silence says something.
_WITHDRAWN = "entered-in-error"
_WHOLE = ("completed", "amended")


class ResponseGuide(Struct, frozen=True, forbid_unknown_fields=True):
    """How responses to one questionnaire are read: a section ``[response."<url>"]`` of guides/fhir.toml."""

    topics: dict[str, str]
    standard: str = ""
    answered_by: str = ""
    beside: tuple[str, ...] = ()
    yes: tuple[str, ...] = ()
    only_if: dict[str, str] = {}


class _Said(Struct):
    """The answers of a response: by topic with their places, and of every item by its linkId."""

    topics: dict[str, list[tuple[str, Json, Value]]] = {}
    items: dict[str, Value] = {}


class ResponseReader:
    """Reads the responses of one artefact. Raises TableError for a guide that cannot be used."""

    def __init__(self, artefact: str, context: Context) -> None:
        self._context = context
        self._guides = _guides(context)
        self._origin = Origins(artefact, context).attested

    def knows(self, response: Json) -> bool:
        """Whether the guide says how to read it, and it was not withdrawn."""
        return _canonical(response)[0] in self._guides and response.get("status") != _WITHDRAWN

    def told(self, held: Member | None, response: Json, place: Locator) -> Member | Rejected:
        """The Member whom a response is about, with its answers: the one in hand, or one of its own.

        Rejected where it does not say whom it is about.
        """
        problems = Problems()
        subject = subject_of(response, problems)
        key, rule = key_of(subject.identifiers, subject.id, self._context.guide)
        if held is None or not is_held(held, subject, key, response):
            if not key:
                return Rejected(compact(response), _nobody(place))
            held = Member(
                partner=self._context.partner,
                key=key,
                key_rule=rule,
                identifiers=subject.identifiers,
                unit=place.unit,
                number=place.number,
                offset=place.offset,
            )
        self.add(held, response, place, problems)
        return held

    def add(self, member: Member, response: Json, place: Locator, before: Problems | None = None) -> None:
        """Add what a response about a Member says, and what was met `before` in it."""
        problems = before or Problems()
        guide = self._guides[_canonical(response)[0]]
        said = _said(response, guide, problems)
        origin = self._origin_of(response, guide, said, problems)
        answers = _answers(guide, said, response, problems)
        member.answers += tuple(
            Answer(received, origin, place.unit, place.number, place.offset, f"QuestionnaireResponse{path}")
            for received, path in answers
        )
        member.findings += tuple(Finding(p.code, p.severity, _at(place, p.path), p.message) for p in problems)

    def _origin_of(self, response: Json, guide: ResponseGuide, said: _Said, problems: Problems) -> Origin:
        on = text_at(response, "authored", "", problems)[:10]
        if not is_date(on):
            problems.note(f"{ELEMENT}.no_date", Severity.WARNING, "it does not say when it was answered", ".authored")
        return msgspec.structs.replace(
            self._origin,
            method=self._method(response, guide, said, problems) or self._origin.method,
            standard=guide.standard,
            question="|".join(part for part in _canonical(response) if part),
            collected_on=on if is_date(on) else "",
        )

    def _method(self, response: Json, guide: ResponseGuide, said: _Said, problems: Problems) -> str:
        """Who answered: the word of the form, then `source` (who answered), then `author` (who recorded it)."""
        methods: Mapping[str, str] = self._context.guide.get("answerers", {})
        codes = [coding.code for coding in said.items.get(guide.answered_by, Value()).codings]
        asked = next((methods[code] for code in codes if code in methods), "")
        source = methods.get(kind_at(response, "source", problems), "")
        if asked and source and asked != source:
            problems.note(f"{ELEMENT}.answerer_differs", Severity.WARNING, "another than its source says", ".source")
        return asked or source or methods.get(kind_at(response, "author", problems), "")


def _guides(context: Context) -> dict[str, ResponseGuide]:
    try:
        return msgspec.convert(context.guide.get("response", {}), dict[str, ResponseGuide])
    except msgspec.ValidationError as error:
        raise TableError(f"guides/fhir.toml, response: {error}") from None


def _canonical(response: Json) -> tuple[str, str]:
    """The questionnaire that was answered: its URL and its version, which names wording and language."""
    said = response.get("questionnaire")
    url, _, version = said.partition("|") if isinstance(said, str) else ("", "", "")
    return url, version


def _said(response: Json, guide: ResponseGuide, problems: Problems) -> _Said:
    """Every answer, those of nested items too (an explicit stack: no depth limit)."""
    said = _Said()
    stack = [("", response, "")]
    while stack:
        path, holder, topic = stack.pop()
        below = []
        for number, item in objects_at(holder, "item", path, problems):
            at = f"{path}.item[{number}]"
            link = text_at(item, "linkId", at, problems)
            found = guide.topics.get(link, topic)
            _take(said, item, at, (link, found), guide, problems)
            below.append((at, item, found))
            below += [
                (f"{at}.answer[{n}]", each, found)
                for n, each in objects_at(item, "answer", at, Problems())
                if "item" in each
            ]
        stack += below[::-1]
    return said


def _take(said: _Said, item: Json, at: str, asked: tuple[str, str], guide: ResponseGuide, problems: Problems) -> None:
    link, topic = asked
    answers = [
        _worded(value_of(each, f"{at}.answer[{number}]", "", problems))
        for number, each in objects_at(item, "answer", at, problems)
    ]
    value = united(answers) if answers else Value()
    if value == Value():  # an answer without a value is none
        return
    said.items[link] = value
    if topic:
        said.topics.setdefault(topic, []).append((at, {"linkId": link, "answer": item["answer"]}, value))
    elif link not in guide.beside:
        problems.note(f"{ELEMENT}.item_not_used", Severity.INFO, "the guide names no topic for this item", at)


def _worded(value: Value) -> Value:
    """An answer in words alone, whichever way it was sent: a display without a code is no code."""
    words = [coding.display for coding in value.codings if not coding.code]
    return united([Value(tuple(c for c in value.codings if c.code), value.text), *(Value((), word) for word in words)])


def _answers(guide: ResponseGuide, said: _Said, response: Json, problems: Problems) -> list[tuple[Received, str]]:
    """What was answered to each topic; of a whole response, which questions were put and left empty."""
    found = []
    for topic in dict.fromkeys(guide.topics.values()):
        put = _was_put(guide, said, topic)
        parts = said.topics.get(topic, [])
        if parts and put is False:
            message = "answered although it was not to be asked; not kept"
            problems.note(f"{ELEMENT}.not_asked", Severity.WARNING, message, parts[0][0])
        elif parts:
            value = united([value for _, _, value in parts])
            raw = compact([item for _, item, _ in parts]).decode("utf-8")
            found.append((Received(topic, ELEMENT, value.codings, value.text, raw), parts[0][0]))
        elif put and response.get("status") in _WHOLE:
            found.append((Received(topic, ELEMENT, (BLANK,)), ""))
    return found


def _was_put(guide: ResponseGuide, said: _Said, topic: str) -> bool | None:
    """Whether a topic was asked at all; None where the item that decides it was left empty."""
    item = guide.only_if.get(topic, "")
    if not item:
        return True
    if item not in said.items:
        return None
    return any(coding.code in guide.yes for coding in said.items[item].codings)


def _nobody(place: Locator) -> Finding:
    message = "it has no subject with an identifier or a Patient's id"
    return Finding(f"{ELEMENT}.no_subject", Severity.ERROR, _at(place, ".subject"), message)


def _at(place: Locator, path: str) -> Locator:
    return Locator(place.artefact, place.unit, place.number, place.offset, f"QuestionnaireResponse{path}")
