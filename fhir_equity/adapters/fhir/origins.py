"""Where the answers of a resource come from: the partner's word, and what the resource says about itself.

``[reading]`` of the guide has what a label, a performer or a source means (guides/fhir.toml). A Provenance says more
and comes later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from fhir_equity.adapters.fhir.person import is_date
from fhir_equity.adapters.fhir.shape import Json, Problems, object_at, objects_at, text_at
from fhir_equity.adapters.protocol import Context
from fhir_equity.model import Collector, Method, Origin, with_labels

_INTEGRITY = ("http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "http://hl7.org/fhir/v3/ObservationValue")
_IMPUTED = "imputed"


class Origins:
    """The origins of one artefact; None stands for what a machine asserted, which is nobody's answer."""

    def __init__(self, artefact: str, context: Context) -> None:
        attestation = context.attestation
        self.attested = Origin(
            partner=context.partner,
            artefact=artefact,
            collector=attestation.get("collector", Collector.OTHER.value),
            method=attestation.get("method", Method.UNSTATED.value),
            standard=attestation.get("standard", ""),
            question=attestation.get("question", ""),
        )
        reading: dict[str, dict[str, Any]] = context.guide.get("reading", {})
        self._labels: dict[str, str] = reading.get("labels", {})
        self._performers: dict[str, str] = reading.get("performers", {})
        self._sources: dict[str, dict[str, str]] = reading.get("sources", {})
        self._restricted: dict[str, str] = reading.get("restricted", {})
        observed = context.guide.get("observation", {})
        # What every Observation on its topic carries says nothing beyond the topic, which a release rule has to name.
        self._usual = {row["label"] for row in observed.get("topics", {}).values()} | {observed.get("confidentiality")}

    def source_of(self, source: str) -> str:
        """Which of the sources that the guide knows a meta.source is of; empty for none."""
        return max((each for each in self._sources if source.startswith(each)), key=len, default="")

    def of_resource(self, source: str, labels: Iterable[Json]) -> Origin | None:
        """The origin of what a resource says, by its meta.source and meta.security."""
        told = self._sources.get(self.source_of(source), {})
        names = {name: told[name] for name in ("collector", "method") if name in told}
        return self.labelled(msgspec.structs.replace(self.attested, **names) if names else self.attested, labels)

    def labelled(self, origin: Origin, labels: Iterable[Json], usual: Collection[str] = ()) -> Origin | None:
        """An origin with what labels say of it: integrity, and what restricts it but for what is `usual`."""
        labels = list(labels)
        marks = (self._restricted.get(f"{_current(str(e.get('system')))}|{e.get('code')}", "") for e in labels)
        origin = with_labels(origin, {mark for mark in marks if mark and mark not in usual})
        for label in labels:
            method = self._labels.get(str(label.get("code"))) if label.get("system") in _INTEGRITY else None
            if method == _IMPUTED:
                return None
            if method:
                origin = msgspec.structs.replace(origin, method=method)
        return origin

    def of_observation(self, observation: Json, problems: Problems) -> Origin | None:
        """The origin of what an Observation says: who performed it, when, its labels; labels count most."""
        meta = object_at(observation, "meta", "", problems)
        labels = [label for _, label in objects_at(meta, "security", ".meta", problems)]
        origin = self.of_resource(text_at(meta, "source", ".meta", problems), ())
        if origin is None:
            return None
        for _, performer in objects_at(observation, "performer", "", problems):
            method = self._performers.get(_type_of(performer))
            if method:
                origin = msgspec.structs.replace(origin, method=method)
        on = _effective(observation, problems)
        return self.labelled(
            msgspec.structs.replace(origin, collected_on=on) if is_date(on) else origin, labels, self._usual
        )


def _current(system: str) -> str:
    """The address of a v3 code system since R4, of which older ones have another."""
    return system.replace("http://hl7.org/fhir/v3/", "http://terminology.hl7.org/CodeSystem/v3-")


def _type_of(reference: Json) -> str:
    """The type of the resource that a reference names."""
    words = str(reference.get("reference", "")).split("/")
    return words[-2] if len(words) > 1 else str(reference.get("type", ""))


def _effective(observation: Json, problems: Problems) -> str:
    """The day on which an Observation was made: effectiveDateTime, effectiveInstant or the start of effectivePeriod."""
    period = object_at(observation, "effectivePeriod", "", problems)
    moment = text_at(observation, "effectiveDateTime", "", problems) or text_at(
        observation, "effectiveInstant", "", problems
    )
    return (moment or text_at(period, "start", ".effectivePeriod", problems))[: len("YYYY-MM-DD")]
