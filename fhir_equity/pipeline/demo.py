"""demo: the whole job on invented people, offline and without configuration, told as a story."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct, field

from fhir_equity.errors import UsageError
from fhir_equity.pipeline.audit import Audit, audit
from fhir_equity.pipeline.demo_people import enrollment, patients, people, survey
from fhir_equity.pipeline.ingest import Ingested, ingest
from fhir_equity.pipeline.probe import sync_probe
from fhir_equity.pipeline.sync import PullResult, sync_apply, sync_plan, sync_pull
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.privacy import private_file
from fhir_equity.settings import HieSettings, Settings, load
from fhir_equity.sync.apply import Applied
from fhir_equity.sync.client import Client
from fhir_equity.sync.plan import Plan
from fhir_equity.sync.profile import Profile

PARTNER = "demo-plan"
HIE = "demo-hie"
PORT = 8034
NEEDED = ("starlette", "uvicorn", "jinja2", "altair", "vl_convert")  # of the extra demo, what the story uses
MARK = "# The demonstration of fhir-equity: invented people only."
CONFIG = f"""{MARK}
partner = "{PARTNER}"

[store]
url = "equity.db"

[hie.{HIE}]
url = "http://127.0.0.1:{PORT}/fhir" # fhir-equity sandbox --port {PORT} --file hie.db
recipient = "{HIE}"                # its rules are in mappings/policies/release.toml
identifier_systems = ["https://demo-plan.example/member-number"]
mode = "editor"
unmatched = "create"
sandbox = true                        # a test endpoint: sync probe may write invented Patients
"""


class Story(Struct):
    """Everything that happened, step by step."""

    folder: Path
    enrollment: Ingested = field(default_factory=Ingested)
    survey: Ingested = field(default_factory=Ingested)
    profile: Profile = Profile()
    before: Audit | None = None
    plan: Plan = field(default_factory=Plan)
    applied: Applied | None = None
    requests: int = 0  # that the apply took
    pulled: PullResult | None = None
    again: Plan = field(default_factory=Plan)
    after: Audit | None = None


def demo(folder: Path, told: Callable[[str], None], report: Callable[[Audit, Path], None]) -> Story:
    """Make the files in `folder` and run ingest, audit, probe, plan, apply, pull and plan
    again on them.

    `told` is told each step as it begins; `report` writes the audit page. Running it again is safe
    and finds nothing left to do. Raises UsageError for a folder that holds something else, and before anything is
    made where the extra ``demo`` is not installed.
    """
    from fhir_equity.sandbox import running

    if not all(find_spec(name) for name in NEEDED):
        raise UsageError("the demonstration needs: pip install 'fhir-equity[demo]'")

    story = Story(folder)
    _prepare(folder)
    settings = load(folder / "equity.toml")
    hie = folder / "hie.db"
    fresh = not hie.exists()
    with running(hie) as url:
        settings = _at(settings, url)
        if fresh:
            told("The HIE gets its own Patients")
            _seed(settings.hie_named(HIE))
        with Workspace(settings) as workspace:
            told("ingest: the 834 of an employer")
            story.enrollment = ingest(workspace, [folder / "enrollment.834"])
            story.before = audit(workspace)
            told("ingest: the answers of a member survey")
            story.survey = ingest(workspace, [folder / "survey.csv"])
            told("sync probe: what the HIE's server really does")
            story.profile = sync_probe(workspace, HIE, write_canary=True).profile
            told("sync plan: what would change at the HIE")
            story.plan = sync_plan(workspace, HIE)
            told("sync apply: exactly that, read back")
            story.applied = sync_apply(workspace, HIE)
            story.requests = _requests(workspace, "apply")
            told("sync pull: what the HIE knows about our members")
            story.pulled = sync_pull(workspace, HIE)
            told("sync plan again: nothing should be left")
            story.again = sync_plan(workspace, HIE)
            told("audit: the report")
            story.after = audit(workspace)
            report(story.after, folder / "report.html")
    return story


def _prepare(folder: Path) -> None:
    config = folder / "equity.toml"
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not _is_ours(config))):
        raise UsageError(f"{folder} holds something else than the demonstration; give another --dir")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    everybody = people()
    files = {"equity.toml": CONFIG.encode(), "enrollment.834": enrollment(everybody), "survey.csv": survey(everybody)}
    for name, content in files.items():
        with private_file(folder / name) as file:
            file.write(content)


def _is_ours(config: Path) -> bool:
    return config.is_file() and config.read_text(encoding="utf-8", errors="replace").startswith(MARK)


def _at(settings: Settings, url: str) -> Settings:
    """The same settings with the HIE at the address that the sandbox was given."""
    hie = settings.hie_named(HIE).model_copy(update={"url": url})
    return settings.model_copy(update={"hie": {HIE: hie}})


def _requests(workspace: Workspace, verb: str) -> int:
    return sum(run.counts["requests"] for run in workspace.store.hie(HIE).runs.all() if run.verb == verb)


def _seed(settings: HieSettings) -> None:
    with Client(settings) as client:
        for patient in patients(people()):
            client.create(patient)
