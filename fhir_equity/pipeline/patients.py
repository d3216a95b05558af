"""What Patients need besides their members: the version they are written as, the form, the key of their ids."""

from __future__ import annotations

from typing import Literal

import msgspec

from fhir_equity.adapters.protocol import Context
from fhir_equity.pipeline.workspace import Workspace

Form = Literal["ndjson", "bundle", "bulk"]


def context_fhir(workspace: Workspace, context: Context, us_core: str, form: Form = "ndjson") -> Context:
    """The context of a writer with the rows of guides/us_core.csv and the key beside the store.

    Raises UsageError for a version that is not ours, and where the key can neither be read nor made.
    """
    version = workspace.vocabulary(context.partner).express.version(us_core)
    guide = {**context.guide, "places": version.places, "profile": version.profile, "form": form}
    return msgspec.structs.replace(context, guide=guide, pseudonyms=workspace.pseudonyms)
