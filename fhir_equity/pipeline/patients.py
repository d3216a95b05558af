"""What Patients need besides their members: the version they are written as, the form, the key of their ids."""

from __future__ import annotations

from typing import Literal

import msgspec

from fhir_equity.adapters.protocol import Context
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.vocabulary.us_core import UsCore

Form = Literal["ndjson", "bundle", "bulk"]


def context_fhir(workspace: Workspace, context: Context, version: UsCore, form: Form = "ndjson") -> Context:
    """The context of a writer with the places of a version of US Core, and ids by the key beside the store.

    Making an id raises UsageError where the key can neither be read nor made.
    """
    guide = {**context.guide, "places": version.places, "profile": version.profile, "form": form}
    return msgspec.structs.replace(context, guide=guide, uuid=lambda *parts: workspace.pseudonyms.uuid(*parts))
