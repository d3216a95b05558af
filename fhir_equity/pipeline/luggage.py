"""A workspace for somewhere else: settings and the user's own tables, to be opened in a process on another machine."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.privacy import private_file
from fhir_equity.settings import MappingSettings, Settings, StoreSettings

ELSEWHERE = 8  # workspaces that a process keeps open: one for each run it works for


class Luggage(Struct, frozen=True):
    """What of a workspace can travel: no store, and no key but what the work itself carries."""

    settings: bytes  # as JSON
    as_of: str
    overlay: tuple[tuple[str, bytes], ...] = ()

    def open(self) -> Workspace:
        """The workspace, opened once in a process."""
        return _opened(self)


def packed(workspace: Workspace) -> Luggage:
    """The workspace as it can travel; the files of the user's overlay folder go with it."""
    settings = workspace.settings
    folder = settings.mappings.overlay
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder else []
    overlay = tuple((path.relative_to(folder).as_posix(), path.read_bytes()) for path in files if folder)
    bare = Settings(partner=settings.partner, audit=settings.audit, store=StoreSettings(url=":memory:"))
    return Luggage(bare.model_dump_json().encode(), workspace.as_of, overlay)


@lru_cache(maxsize=ELSEWHERE)
def _opened(luggage: Luggage) -> Workspace:
    settings = Settings.model_validate_json(luggage.settings)
    if luggage.overlay:
        folder = Path(tempfile.mkdtemp(prefix="fhir-equity-"))  # readable by its owner only
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        for name, content in luggage.overlay:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with private_file(path) as file:
                file.write(content)
        settings = settings.model_copy(update={"mappings": MappingSettings(overlay=folder)})
    return Workspace(settings, luggage.as_of)
