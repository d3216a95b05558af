"""FHIR XML as the JSON it stands for, through fhir.resources; what a resource says is read from there.

Each resource of a Bundle is taken alone, so that one that no version of FHIR knows does not stop the others.
https://hl7.org/fhir/R4/xml.html
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import orjson

from fhir_equity.adapters.fhir.shape import Json
from fhir_equity.errors import UnreadableError

_FHIR = "{http://hl7.org/fhir}"
# Resources that we read; of others the type alone is kept. Versions in the order they are tried: R4, R5, STU3.
_READ = ("Patient", "Observation", "Provenance", "QuestionnaireResponse")
_VERSIONS = ("fhir.resources.R4B", "fhir.resources", "fhir.resources.STU3")


def value_from(raw: bytes, name: str) -> Json:
    """The resource or Bundle of a document of FHIR XML as JSON has it; a resource that is unfit stays as text.

    Entities are not resolved and nothing is fetched. Raises UnreadableError for what is no XML, for a single
    resource that fits no version of FHIR, and where lxml is not installed (extra ``xml``).
    """
    try:
        etree: Any = import_module("lxml.etree")
    except ImportError:
        raise UnreadableError(f"{name} is FHIR XML; to read it, install fhir-equity[xml]") from None
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(raw, parser)
    except etree.XMLSyntaxError as error:
        raise UnreadableError(f"{name} is not valid XML (line {error.lineno or 1})") from None
    value = _value(root, etree.tostring)
    if not isinstance(value, dict):
        raise UnreadableError(f"{name} is XML, but a resource of no version of FHIR that is read (R4, R5, STU3)")
    return value


def _value(element: Any, text: Callable[[Any], bytes]) -> Json | str:
    kind = str(element.tag).removeprefix(_FHIR)
    if kind == "Bundle":
        return {"resourceType": "Bundle", "entry": [_entry(each, text) for each in element.findall(f"{_FHIR}entry")]}
    return _fit(kind, text(element)) if kind in _READ else {"resourceType": kind}


def _entry(entry: Any, text: Callable[[Any], bytes]) -> Json:
    found: Json = {}
    url = entry.find(f"{_FHIR}fullUrl")
    if url is not None:
        found["fullUrl"] = url.get("value")
    for resource in entry.findall(f"{_FHIR}resource/*"):
        found["resource"] = _value(resource, text)
    return found


def _fit(kind: str, raw: bytes) -> Json | str:
    """The resource as the first version that it fits has it, else its text."""
    for version in _VERSIONS:
        try:
            model = getattr(import_module(f"{version}.{kind.lower()}"), kind)
            with warnings.catch_warnings(action="ignore"):  # of pydantic, on how a type is written out
                found: Json = orjson.loads(model.model_validate_xml(raw).model_dump_json())
        except (ValueError, LookupError, AttributeError, TypeError, ImportError, SyntaxError):
            continue
        return found
    return raw.decode("utf-8")
