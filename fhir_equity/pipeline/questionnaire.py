"""questionnaire: what members are asked, from the tables, as a FHIR Questionnaire in one language."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import orjson
from msgspec import Struct

from fhir_equity.adapters.fhir.questionnaire import Form, Item, Option
from fhir_equity.adapters.fhir.questionnaire import questionnaire as resource_of
from fhir_equity.adapters.fhir.validate import validate
from fhir_equity.errors import TableError, UsageError
from fhir_equity.model import Coding, Received
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.pipeline.writing import written
from fhir_equity.tables import Tables, partners
from fhir_equity.vocabulary import Vocabulary

FOLDER = "questionnaires"
NAME = "member-reported"
QUESTIONS = f"{FOLDER}/{NAME}.toml"

T = TypeVar("T")


class Asked(Struct, forbid_unknown_fields=True):
    """One item of questionnaires/member-reported.toml, which says what each means. `topic` is for readers."""

    type: Literal["group", "display", "choice", "open-choice", "string", "text"]
    within: str = ""
    control: Literal["", "check-box", "radio-button", "drop-down", "autocomplete"] = ""
    repeats: bool = False
    topic: str = ""
    loinc: str = ""
    options: tuple[str, ...] = ()
    exclusive: tuple[str, ...] = ()
    when: dict[str, str] = {}
    ask: bool = True


class Questions(Struct, forbid_unknown_fields=True):
    """questionnaires/member-reported.toml"""

    id: str
    url: str
    version: str
    publisher: str
    copyright: str
    loinc: dict[str, str]
    item: dict[str, Asked]


class Words(Struct, forbid_unknown_fields=True):
    """questionnaires/member-reported.<language>.toml"""

    status: str
    note: str
    title: str
    item: dict[str, str]
    write_in: dict[str, str]
    option: dict[str, str]


class Emitted(Struct):
    """The Questionnaire: the version with its language, how many questions, and what must be known of the words."""

    version: str
    questions: int
    note: str
    resource: dict[str, Any]


def questionnaire(workspace: Workspace, out: str | Path = "-", *, lang: str = "en", partner: str = "") -> Emitted:
    """Write the member-reported Questionnaire into `out` (``-`` for standard output); the same tables, the same bytes.

    Raises UsageError for a language that no table has words in and for a partner that there is none of,
    TableError for tables that make no valid Questionnaire.
    """
    if partner and partner not in partners(workspace.settings.mappings.overlay):
        raise UsageError("no folder of tables has this partner")
    emitted = made(workspace.vocabulary(partner), lang)
    with written(out) as file:
        file.write(orjson.dumps(emitted.resource, option=orjson.OPT_INDENT_2) + b"\n")
    return emitted


def made(vocabulary: Vocabulary, lang: str) -> Emitted:
    """The Questionnaire in one language, checked with fhir.resources. Raises as `questionnaire` does."""
    making = _Making(vocabulary, lang)
    resource = resource_of(making.form())
    wrong = validate(resource, "Questionnaire")
    if wrong:
        raise TableError(f"{QUESTIONS} would make no valid FHIR: {'; '.join(wrong[:3])}")
    return Emitted(str(resource["version"]), making.questions, making.words.note, resource)


def languages(tables: Tables) -> list[str]:
    """The languages that there are words in, sorted."""
    start = f"{FOLDER}/{NAME}."
    names = [name.removeprefix(start) for name in tables.names(FOLDER, ".toml") if name.startswith(start)]
    return [name.removesuffix(".toml") for name in names if name != "toml"]


class _Making:
    """The questionnaire of one partner in one language."""

    def __init__(self, vocabulary: Vocabulary, lang: str) -> None:
        tables = vocabulary.tables
        known = languages(tables)
        if lang not in known:
            raise UsageError(f"there are no words in this language; --lang takes one of {', '.join(known)}")
        self._file = f"{FOLDER}/{NAME}.{lang}.toml"
        self._vocabulary, self._lang = vocabulary, lang
        self._asked = _table(tables, QUESTIONS, Questions)
        self.words = _table(tables, self._file, Words)
        self.questions = 0

    def form(self) -> Form:
        """All of it. Its version names the language too, so that an answer tells which words were read."""
        asked = self._asked
        for name, item in asked.item.items():
            if item.within and (item.within not in asked.item or asked.item[item.within].type != "group"):
                raise TableError(f"{QUESTIONS}: {name} stands within {item.within}, which is no group")
        return Form(
            id=f"{asked.id}-{self._lang}",
            url=asked.url,
            version=f"{asked.version}-{self._lang}",
            language=self._lang,
            status=self.words.status,
            title=self.words.title,
            date=self._date(),
            publisher=asked.publisher,
            description=" ".join(part for part in (f"{self.words.title}.", self.words.note) if part),
            copyright=asked.copyright,
            items=self._within("", ""),
        )

    def _date(self) -> str:
        said = self._vocabulary.tables.sources.get("table", {})
        return max(str(said.get(name, {}).get("date", "")) for name in (QUESTIONS, self._file))

    def _within(self, group: str, topic: str) -> tuple[Item, ...]:
        found = ((name, item) for name, item in self._asked.item.items() if item.within == group and item.ask)
        return tuple(self._item(name, item, item.topic or topic) for name, item in found)

    def _item(self, name: str, item: Asked, topic: str) -> Item:
        self.questions += item.type not in ("group", "display")
        unknown = set(item.exclusive) - set(item.options)
        if unknown:
            raise TableError(f"{QUESTIONS}: {name} has no option {min(unknown)}")
        code = (item.loinc, self._asked.loinc.get(item.loinc, ""))
        return Item(
            link_id=name,
            type=item.type,
            text=self._word(self.words.item, name).replace("{version}", self._asked.version),
            control=item.control,
            repeats=item.repeats,
            code=code if item.loinc else ("", ""),
            options=tuple(self._option(each, item, topic) for each in item.options),
            write_in=self._word(self.words.write_in, name) if item.type == "open-choice" else "",
            when=next((self._when(name, *each) for each in item.when.items()), None),
            items=self._within(name, topic) if item.type == "group" else (),
        )

    def _when(self, name: str, other: str, answer: str) -> tuple[str, Option]:
        asked = self._asked.item.get(other)
        if asked is None or not asked.ask or answer not in asked.options:
            raise TableError(f"{QUESTIONS}: {name} waits for an answer that {other} does not have")
        return other, self._option(answer, asked)

    def _option(self, coded: str, item: Asked, topic: str = "") -> Option:
        system, _, code = coded.partition("|")
        uri = self._vocabulary.codes.uris.get(system)
        if not uri:
            raise TableError(f"{QUESTIONS}: codes/systems.csv has no URI for {system}")
        if topic and self._vocabulary.meaning(Received(topic, "", (Coding(uri, code),))).problems:
            raise TableError(f"{QUESTIONS}: no table has {coded} as an answer to {topic}")
        return Option(uri, code, self._word(self.words.option, coded), coded in item.exclusive)

    def _word(self, words: dict[str, str], name: str) -> str:
        if name not in words:
            raise TableError(f"{self._file}: there are no words for {name}")
        return words[name]


def _table(tables: Tables, name: str, kind: type[T]) -> T:
    try:
        return msgspec.convert(tables.document(name), kind)
    except msgspec.ValidationError as error:
        raise TableError(f"{name}: {error}") from None
