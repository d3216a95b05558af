"""A FHIR R4 Questionnaire from neutral questions, as renderers of Structured Data Capture (SDC) show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from fhir_equity.adapters.fhir.observation import LOINC

Resource = dict[str, Any]

# R4 core: http://hl7.org/fhir/R4/questionnaire-profiles.html
_R4 = "http://hl7.org/fhir/StructureDefinition/"
_CONTROL = _R4 + "questionnaire-itemControl"
_ORIENTATION = _R4 + "questionnaire-choiceOrientation"
_EXCLUSIVE = _R4 + "questionnaire-optionExclusive"
_CONTROLS = "http://hl7.org/fhir/questionnaire-item-control"
_LISTED = ("check-box", "radio-button")
# SDC: what stands beside the field of an open choice.
_OPEN_LABEL = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-openLabel"


class Option(Struct, frozen=True):
    """An answer that can be chosen, in the words of the form. `system` is a URI; `exclusive` goes with no other."""

    system: str
    code: str
    label: str
    exclusive: bool = False


class Item(Struct, frozen=True):
    """A question, a text or a group of them. `type` is one of R4's item types, `control` how it is shown.

    `code` is a LOINC code with its name. `write_in` is the label of the field for one's own words. `when`
    is the item that must have been answered so for this one to be put.
    """

    link_id: str
    type: str
    text: str
    control: str = ""
    repeats: bool = False
    code: tuple[str, str] = ("", "")
    options: tuple[Option, ...] = ()
    write_in: str = ""
    when: tuple[str, Option] | None = None
    items: tuple[Item, ...] = ()


class Form(Struct, frozen=True):
    """A questionnaire in one language. `date` is an ISO date, `status` a publication status of FHIR."""

    id: str
    url: str
    version: str
    language: str
    status: str
    title: str
    date: str
    publisher: str
    description: str
    copyright: str
    items: tuple[Item, ...]


def questionnaire(form: Form) -> Resource:
    """The Questionnaire (https://hl7.org/fhir/R4/questionnaire.html), about a Patient."""
    return _said(
        {
            "resourceType": "Questionnaire",
            "id": form.id,
            "language": form.language,
            "url": form.url,
            "version": form.version,
            "name": "".join(word.capitalize() for word in form.id.split("-")),
            "title": form.title,
            "status": form.status,
            "experimental": False,
            "subjectType": ["Patient"],
            "date": form.date,
            "publisher": form.publisher,
            "description": form.description,
            "copyright": form.copyright,
            "item": _items(form.items),
        }
    )


def _items(items: Sequence[Item]) -> list[Resource]:
    return [_item(each) for each in items]


def _item(item: Item) -> Resource:
    code, name = item.code
    return _said(
        {
            "extension": _extensions(item),
            "linkId": item.link_id,
            "code": [{"system": LOINC, "code": code, "display": name}] if code else [],
            "text": item.text,
            "type": item.type,
            "enableWhen": [_when(*item.when)] if item.when else [],
            "repeats": item.repeats or "",
            "answerOption": [_option(each) for each in item.options],
            "item": _items(item.items),
        }
    )


def _extensions(item: Item) -> list[Resource]:
    found: list[Resource] = []
    if item.control:
        coding = {"system": _CONTROLS, "code": item.control}
        found.append({"url": _CONTROL, "valueCodeableConcept": {"coding": [coding]}})
    if item.control in _LISTED:  # one below the other, as on the form of OMB
        found.append({"url": _ORIENTATION, "valueCode": "vertical"})
    if item.write_in:
        found.append({"url": _OPEN_LABEL, "valueString": item.write_in})
    return found


def _when(link_id: str, answer: Option) -> Resource:
    return {"question": link_id, "operator": "=", "answerCoding": _coding(answer)}


def _option(option: Option) -> Resource:
    extension = [{"url": _EXCLUSIVE, "valueBoolean": True}] if option.exclusive else []
    return _said({"extension": extension, "valueCoding": _coding(option)})


def _coding(option: Option) -> Resource:
    return {"system": option.system, "code": option.code, "display": option.label}


def _said(elements: Resource) -> Resource:
    """Without what is empty, which FHIR does not allow."""
    return {name: value for name, value in elements.items() if value not in ("", [])}
