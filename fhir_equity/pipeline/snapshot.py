"""snapshot: freeze a measurement, so that its numbers can be made again exactly, whatever the store learns later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from fhir_equity.errors import UsageError
from fhir_equity.pipeline.audit import counting
from fhir_equity.pipeline.workspace import Workspace, software
from fhir_equity.store.snapshots import Snapshot


def snapshot_create(
    workspace: Workspace, name: str, *, partner: str = "", by: Sequence[str] = (), programs: Sequence[str] = ()
) -> Snapshot:
    """Measure the store as `audit` does, and freeze what the numbers are made of under a name, on the trail.

    Kept are the programs, the checksum of every table, the inputs, and what people said and where they stand,
    without who they are: equal people are one entry. Raises UsageError for a name that is taken, or empty.
    """
    workspace.require_store()
    if not name.strip():
        raise UsageError("a snapshot needs a name")
    count = counting(workspace, by=by, programs=programs)
    entries = count.stored(partner)
    document = count.document(entries)
    settings: dict[str, Any] = {
        "partner": partner,
        "by": [*by],
        "programs": [program.model_dump(mode="json", exclude_unset=True) for program in count.programs],
        "inputs": entries,
        "tables": workspace.vocabulary().tables.checksums(),
        "policy": workspace.policy.version,
        "software": software(),
    }
    parts = (msgspec.json.encode(settings), msgspec.json.encode(document), count.frozen())
    return workspace.store.snapshots.create(name, workspace.as_of, document["population"], *parts)


def snapshot_list(workspace: Workspace) -> list[Snapshot]:
    """The snapshots of the store without what they hold, oldest first."""
    workspace.require_store()
    return workspace.store.snapshots.listed()
