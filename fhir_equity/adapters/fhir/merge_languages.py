"""Make languages the preferred ones in an existing Patient.communication without losing the others."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from fhir_equity.adapters.fhir.express import MODES, entries_for, marked, uri_of
from fhir_equity.adapters.fhir.languages import Entry, concerned, entries_of, is_preference_type
from fhir_equity.adapters.fhir.shape import Json, Problems
from fhir_equity.adapters.fhir.values import concept
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Expressed, Loss, Relationship

Codes = set[tuple[str, str]]


def merge_languages(patient: Json, expressed: Mapping[str, Expressed], context: Context, losses: list[Loss]) -> None:
    """Change `patient` so that it reads as the expressed languages; entries are added, never removed."""
    for topic, mode in MODES:
        if topic not in expressed:
            continue
        if not isinstance(patient.get("communication", []), list):
            losses.append(Loss("fhir.merge.malformed", Relationship.UNMATCHED, topic))
            continue
        entries = entries_of(patient, Problems())
        now = concerned(entries, topic)
        if _says(now, expressed[topic], context):
            continue
        wanted = entries_for(expressed[topic], context, losses, marked=marked(topic, expressed))
        if wanted:
            about = [entry for entry in entries if topic in entry.topics]
            added = _prefer(about, wanted) + _step_back(now, wanted, mode)
            patient["communication"] = [*patient.get("communication", []), *added]


def remove_language(patient: Json, topic: str) -> None:
    """Take out every entry about a topic; one that is about another topic too stays for that one."""
    entries = patient.get("communication")
    if not isinstance(entries, list):
        return
    gone = [entry for entry in entries_of(patient, Problems()) if topic in entry.topics]
    for entry in gone:
        if len(entry.topics) > 1:
            _drop(entry.source, (dict(MODES)[topic],))
    alone = [entry.source for entry in gone if len(entry.topics) == 1]
    patient["communication"] = [each for each in entries if not any(each is other for other in alone)]
    if not patient["communication"]:
        del patient["communication"]


def _says(now: list[Entry], answer: Expressed, context: Context) -> bool:
    """Whether entries say the answer already: all its codes, and nothing that is not part of it."""
    codes = {(uri_of(each.system, context), each.code) for each in (*answer.categories, *answer.details)}
    texts = (answer.text, *answer.text.split("; "))
    there = set().union(*(_codes(entry) for entry in now))
    fits = (bool(_codes(entry) & codes) if _codes(entry) else entry.value.text in texts for entry in now)
    return bool(now) and codes <= there and all(fits)


def _prefer(about: list[Entry], wanted: list[Json]) -> list[Json]:
    """Prefer the entries that have the wanted languages already; return the entries to add.

    An entry about speech and writing is not preferred for one of them: that would say it for both.
    """
    added = []
    for entry in wanted:
        same = [each for each in about if _same(each, entry) and (each.preferred or len(each.topics) == 1)]
        if same:
            same[0].source["preferred"] = True
        else:
            added.append(entry)
    return added


def _step_back(now: list[Entry], wanted: list[Json], mode: str) -> list[Json]:
    """Take the preference from entries that are no longer wanted; return the entries to add for it."""
    added = []
    for old in now:
        if not old.preferred or any(_same(old, entry) for entry in wanted):
            continue
        if len(old.topics) == 1:
            old.source["preferred"] = False
        else:
            added.append(_split(old.source, mode))
    return added


def _split(source: Json, mode: str) -> Json:
    """Take one of two modes out of an entry, returning an entry with only that mode, not preferred."""
    apart = deepcopy(source)
    apart.pop("id", None)
    apart["preferred"] = False
    _drop(source, (mode,))
    _drop(apart, tuple(other for _, other in MODES if other != mode))
    return apart


def _drop(entry: Json, modes: tuple[str, ...]) -> None:
    for holder in (entry, entry.get("_preferred")):
        if isinstance(holder, dict) and isinstance(holder.get("extension"), list):
            holder["extension"] = [each for each in holder["extension"] if _mode(each) not in modes]
            if not holder["extension"]:
                del holder["extension"]
    if entry.get("_preferred") == {}:
        del entry["_preferred"]


def _mode(extension: Any) -> object:
    if not isinstance(extension, dict) or not is_preference_type(extension):
        return None
    value = extension.get("valueCoding")
    return value.get("code") if isinstance(value, dict) else None


def _same(entry: Entry, wanted: Json) -> bool:
    value = concept(wanted["language"], "", Problems())
    codes = {(coding.system, coding.code) for coding in value.codings}
    return bool(_codes(entry) & codes) if codes else not _codes(entry) and entry.value.text == value.text


def _codes(entry: Entry) -> Codes:
    return {(coding.system, coding.code) for coding in entry.value.codings}
