"""The audit as one self-contained HTML page: no script, no network, made for screens and for paper."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from fhir_equity.errors import UsageError
from fhir_equity.privacy import private_file
from fhir_equity.quality.publish.document import Report
from fhir_equity.reports.figures import Document
from fhir_equity.reports.page import page

SCHEMA = "fhir-equity/audit/1"


def write_html(report: Report, path: Path) -> None:
    """Write the page to a file that only its owner may read. Raises UsageError as `html` does."""
    text = html(report.document)
    with private_file(path) as file:
        # A file name that is not UTF-8 reaches us with lone surrogates; it is shown escaped.
        file.write(text.encode("utf-8", "backslashreplace"))


def html(document: Document) -> str:
    """The page of an audit document; the same document gives the same characters.

    Raises UsageError when the document is not an audit or the extra ``reports`` is not installed.
    """
    if document.get("schema") != SCHEMA:
        raise UsageError(f"the HTML report needs a document of schema {SCHEMA}")
    try:
        import altair  # noqa: F401 - the charts import it again; here we only ask whether it is there
        import jinja2
        import vl_convert  # noqa: F401
    except ImportError:
        raise UsageError("the HTML report is an extra: install fhir-equity[reports]") from None
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("audit.html.j2").render(page(document))


def _template(name: str) -> str:
    return (resources.files("fhir_equity.reports") / "templates" / name).read_text(encoding="utf-8")
