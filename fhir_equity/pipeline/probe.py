"""sync probe: find out what an HIE's server really does, and remember it."""

from __future__ import annotations

import msgspec

from fhir_equity.errors import UsageError
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.sync.client import Client
from fhir_equity.sync.probe import Probed, probe


def sync_probe(workspace: Workspace, hie: str, *, write_canary: bool = False) -> Probed:
    """What the server of an HIE says of itself and, with `write_canary`, what invented Patients find out.

    The profile is kept in the store and chooses how the server is written to. Raises UsageError for a
    canary at an endpoint that is not marked as a sandbox, RemoteError, StoreError, TableError.
    """
    settings = workspace.settings.hie_named(hie)
    if write_canary and not settings.sandbox:
        raise UsageError(f"a canary is written to a test endpoint only: [hie.{hie}] does not say sandbox = true")
    quirks = workspace.vocabulary().tables.rows("guides/server_quirks.csv")
    with Client(settings) as client:
        probed = probe(client, quirks, write=write_canary)
    workspace.store.endpoint(hie).probed(msgspec.json.encode(probed.profile).decode())
    return probed
