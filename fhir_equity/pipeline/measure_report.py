"""audit --measure-report: the numbers of an audit in FHIR, as a registry or a state's own system reads them."""

from __future__ import annotations

from typing import Any

from fhir_equity.adapters.fhir.measure_report import bundle, resources
from fhir_equity.adapters.fhir.validate import validate
from fhir_equity.errors import FatalError
from fhir_equity.pipeline.codes_export import GUIDE
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.quality.publish.document import Report
from fhir_equity.reports.measure_report import measured


def measure_report(workspace: Workspace, report: Report) -> dict[str, Any]:
    """A Bundle of MeasureReports (R4): how complete each topic is, and one for each program.

    Each is checked against the model of fhir.resources; addresses are below `base` of ``guides/terminology.toml``.
    Raises FatalError where a resource is not valid, which no input may bring about.
    """
    document = report.document
    base = str(workspace.vocabulary().tables.document(GUIDE)["base"]).rstrip("/")
    made = bundle(measured(document), base, document["generated"], document["software"])
    for resource in resources(made):
        if errors := validate(resource, resource["resourceType"]):
            raise FatalError(f"{resource['resourceType']}/{resource['id']}: {errors[0]}")
    return made
