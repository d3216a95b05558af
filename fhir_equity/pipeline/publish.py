"""audit --publish: an audit as it may be shown to everybody, remembered for the next one."""

from __future__ import annotations

from msgspec import json

from fhir_equity.pipeline.audit import Audit
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.publish.document import Published
from fhir_equity.quality.publish.document import publish as suppressed
from fhir_equity.quality.publish.earlier import Publication
from fhir_equity.quality.publish.rule import Rule


def publish(workspace: Workspace, audit: Audit, partner: str = "") -> Published:
    """Hide what must not be told, attack the result, and remember it in the store where it holds.

    `partner` is the one that was audited, if it was one. A store is made where there is none: without its memory the
    next publication could give away what this one hides. Raises UsageError without scipy (the extra ``reports``).
    """
    topics = workspace.vocabulary().codes.topics
    limits = workspace.settings.publish
    rule = Rule(
        matters={name: topic.matter for name, topic in topics.items()},
        sensitive=frozenset(name for name, topic in topics.items() if topic.sensitive),
        floor=limits.floor,
        sensitive_floor=limits.sensitive_floor,
        width=limits.width,
    )
    earlier = [json.decode(content, type=Publication) for content in workspace.store.publications.all()]
    done = suppressed(audit.document, rule, earlier, partner)
    if done.held:
        content = json.encode(done.publication)
        workspace.store.publications.remember(done.publication.at, content)
        release = done.document["release"]
        counts = {name: release[name] for name in ("hidden_small", "hidden_to_protect", "attacked")}
        workspace.store.trail.record("publish", about={"as_of": workspace.as_of, "partner": partner}, counts=counts)
    return done
