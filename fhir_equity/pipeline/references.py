"""What programs compare with, where that is in snapshots of the store."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fhir_equity.errors import UsageError
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.history import Remembered, frozen_reference
from fhir_equity.quality.programs import Program


def references(workspace: Workspace, programs: Sequence[Program]) -> dict[str, Remembered]:
    """The reference of each program that names snapshots.

    Raises UsageError for a snapshot that is not there, or that was not counted under the program.
    """
    return {program.name: _reference(workspace, program) for program in programs if program.snapshots}


def _reference(workspace: Workspace, program: Program) -> Remembered:
    workspace.require_store()
    results, names = [], []
    for name in program.snapshots:
        held = workspace.store.snapshots.named(name)
        counted = msgspec.json.decode(held.document)["programs"]
        if program.name not in counted:
            raise UsageError(f"the snapshot {name} was not counted under {program.name}, which compares with it")
        results.append(counted[program.name])
        names.append(f"{name} ({held.as_of})")
    return Remembered(frozen_reference(program, results), f"Compared with snapshots: {', '.join(names)}.")
