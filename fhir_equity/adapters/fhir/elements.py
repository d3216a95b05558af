"""The elements of a Patient that we read, as types: decoded at once where a line keeps to them, else one by one.

Everything else of the Patient is passed over here and kept in `Member.record`. What repeats from Patient to
Patient (extensions, languages, types of identifiers) stays the bytes it came as, so that equal bytes are
understood once.
"""

from __future__ import annotations

from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Raw, Struct, field

from fhir_equity.adapters.fhir.shape import Json, Problems, compact

T = TypeVar("T", bound=Struct)
# What is not there; compared by identity.
NOTHING = Raw()


class Period(Struct, gc=False, frozen=True):
    """When something was in use."""

    end: str = ""


class Identified(Struct, gc=False, frozen=True):
    """An Identifier."""

    system: str = ""
    value: str = ""
    use: str = ""
    type: Raw = NOTHING


class HumanName(Struct, gc=False, frozen=True):
    """A HumanName; DSTU2 has a list of family names."""

    use: str = ""
    family: str | tuple[str, ...] = ""
    given: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    suffix: tuple[str, ...] = ()
    text: str = ""
    period: Period = Period()


class PostalAddress(Struct, gc=False, frozen=True):
    """An Address; the county is `district`."""

    use: str = ""
    line: tuple[str, ...] = ()
    city: str = ""
    district: str = ""
    state: str = ""
    postal_code: str = field(default="", name="postalCode")
    country: str = ""
    period: Period = Period()


class Meta(Struct, gc=False, frozen=True):
    """What a resource says about itself: where it comes from and its labels."""

    source: str = ""
    security: Raw = NOTHING


class Patient(Struct, gc=False, frozen=True):
    """A Patient of any version from DSTU2 to R5."""

    resource_type: Literal["Patient"] = field(name="resourceType")
    id: str = ""
    identifier: tuple[Identified, ...] = ()
    name: tuple[HumanName, ...] = ()
    address: tuple[PostalAddress, ...] = ()
    birth_date: str = field(default="", name="birthDate")
    beside_birth_date: Raw = field(default=NOTHING, name="_birthDate")
    gender: str = ""
    beside_gender: Raw = field(default=NOTHING, name="_gender")
    extension: tuple[Raw, ...] = ()
    communication: Raw = NOTHING
    meta: Meta = Meta()
    contained: Raw = NOTHING
    animal: Raw = NOTHING  # DSTU2 and STU3
    modifier_extension: Raw = field(default=NOTHING, name="modifierExtension")


_DECODER = msgspec.json.Decoder(Patient)


# How deep JSON may be nested: orjson, which reads the rest of a Patient, ends at 1024, msgspec where Python does.
_DEEP = 1000


def decoded(raw: bytes) -> Patient | None:
    """A Patient from a line that is JSON in UTF-8 and keeps to the types; None for every other line."""
    if len(raw) > _DEEP and raw.count(b"[") + raw.count(b"{") > _DEEP:
        return None
    try:
        if not raw.isascii():
            raw.decode("utf-8")  # what msgspec passes over, it does not look at
        return _DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def patient_at(value: Json, problems: Problems) -> Patient:
    """A Patient from parsed JSON of any shape: a wrong type is noted with its path and read as absent."""
    return _struct(Patient, {**value, "resourceType": "Patient"}, "", problems)


@cache
def _fields(kind: type[Struct]) -> tuple[tuple[str, str, Any], ...]:
    types = get_type_hints(kind)
    return tuple((each.name, each.encode_name, types[each.name]) for each in msgspec.structs.fields(kind))


def _struct(kind: type[T], value: Json, path: str, problems: Problems) -> T:
    found = {}
    for name, element, expected in _fields(kind):
        if element in value:
            read = _value(expected, value[element], f"{path}.{element}", problems)
            if read is not None:
                found[name] = read
    return kind(**found)


def _value(expected: Any, value: Any, path: str, problems: Problems) -> Any:
    """The value as the type that is expected, or None where it is of another one."""
    if get_origin(expected) in (Union, UnionType):
        expected = get_args(expected)[isinstance(value, list)]
    if get_origin(expected) is tuple and isinstance(value, list):
        items = [(f"{path}[{number}]", each) for number, each in enumerate(value)]
        (inner, _) = get_args(expected)
        if inner is str:  # a null is a place that only has extensions (R4 JSON, 2.6.2)
            items = [(at, each) for at, each in items if each is not None]
        read = [_value(inner, each, at, problems) for at, each in items]
        return tuple(each for each in read if each is not None)
    if expected is Raw:
        return Raw(compact(value))
    if get_origin(expected) is Literal or (expected is str and isinstance(value, str)):
        return value
    if isinstance(expected, type) and issubclass(expected, Struct) and isinstance(value, dict):
        return _struct(expected, value, path, problems)
    problems.malformed(path)
    return None
