"""sync plan, sync apply, sync pull: the store and one HIE, nothing sent without a rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, field

from fhir_equity.errors import UsageError
from fhir_equity.model import Member
from fhir_equity.pipeline.hie import performing
from fhir_equity.pipeline.ingest import CHUNK
from fhir_equity.pipeline.record import record_of
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.store import Record, RunWriter
from fhir_equity.store.hie import Settled
from fhir_equity.sync.apply import NEWEST, Applied, How, apply
from fhir_equity.sync.arrivals import Arrived, Asking, by_export, by_search
from fhir_equity.sync.bulk import export, finish
from fhir_equity.sync.consents import Consents
from fhir_equity.sync.exchange import Exchange
from fhir_equity.sync.looking import WHOLE, Selection
from fhir_equity.sync.plan import Plan
from fhir_equity.sync.planning import plan
from fhir_equity.sync.pull import Ours, Pulled, pull
from fhir_equity.sync.recall import WITHDRAW, counted, recalls


class PullResult(Struct):
    """What a pull looked at and what it changed here.

    `unexported` are the codes of what a bulk export could not export, `deleted` how many resources it tells
    to be gone. `consents` is of how many members the Consents there keep something back, or no longer, since then.
    `observations_refused` and `consents_refused` are whether the server did not let those be searched.
    """

    pulled: Pulled
    new_answers: int = 0
    unexported: Counter[str] = field(default_factory=Counter)
    deleted: int = 0
    observations_refused: bool = False
    consents: int = 0
    consents_refused: bool = False


def sync_plan(workspace: Workspace, hie: str, selection: Selection = WHOLE, *, dry: bool = False) -> Plan:
    """What would change at the HIE. Writes the plan to the journal (not with `dry`) and sends nothing.

    Raises UsageError, RemoteError, StoreError, TableError.
    """
    with performing(workspace, hie, "plan", kept=not dry) as (exchange, noted):
        made = plan(exchange, workspace.progress, selection, dry=dry)
        noted |= {"changes": len(made.changes), "conflicts": len(made.conflicts), "looked_at": made.looked}
        if made.name:
            topics = Counter(matter for change in made.changes for matter, _ in change.matters)
            counts = {"changes": len(made.changes), "conflicts": len(made.conflicts), "members": made.looked}
            about = {"hie": hie, "plan": made.name}
            workspace.store.trail.record("sync plan", about=about, counts=counts, topics=topics)
        return made


def selection(
    workspace: Workspace, only: Iterable[str], members: Path | None, limit: int, *, everybody: bool = False
) -> Selection:
    """A selection in a user's words: topics, and a file with a pseudonym, key or identifier per line.

    Raises UsageError for a topic that is none, a file that cannot be read, and a line that names nobody, or several.
    """
    codes = workspace.vocabulary().codes
    if any(topic not in codes.topics for topic in only):
        raise UsageError(f"--only takes a topic; there are: {', '.join(codes.topics)}")
    matters = frozenset(codes.topic(topic).matter for topic in only)
    return Selection(matters, None if members is None else _named(workspace, members), limit, everybody)


def _named(workspace: Workspace, path: Path) -> frozenset[int]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UsageError("the list of members cannot be read") from None
    found: set[int] = set()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            people = workspace.store.history.find(line.strip())
            if len(people) != 1:
                several = "several members" if people else "nobody"
                raise UsageError(f"line {number} of the list names {several}; a pseudonym names one")
            found.add(people[0].id)
    return frozenset(found)


def sync_apply(workspace: Workspace, hie: str, how: How = NEWEST) -> Applied:
    """Carry out what is left of the newest plan and read back what arrived.

    Raises UsageError (also where there is no plan), RemoteError, StoreError, TableError.
    """
    with performing(workspace, hie, "apply", kept=not how.dry) as (exchange, noted):
        done = apply(exchange, workspace.progress, how)
        noted |= done.statuses
        if not done.plan:
            raise UsageError(f"there is no plan for {hie}; run: fhir-equity sync plan --hie {hie}")
        if not how.dry and done.statuses:
            about = {"hie": hie, "plan": done.plan, "recipient": exchange.settings.recipient}
            workspace.store.trail.record("sync apply", about=about, counts=done.statuses)
        return done


class Recalled(Struct):
    """What had to be withdrawn, by matter and reason, and what became of it."""

    found: Counter[tuple[str, str]]
    applied: Applied


def sync_recall(workspace: Workspace, hie: str, *, dry: bool = False) -> Recalled:
    """Find what the HIE holds from us and may not have any more, withdraw it, and look whether it is gone.

    With `dry` nothing is withdrawn and nobody is asked. Raises UsageError, RemoteError, StoreError, TableError.
    """
    with performing(workspace, hie, "recall", kept=not dry) as (exchange, noted):
        exchange.check_sending()
        found = list(recalls(exchange))
        counts = counted(found)
        if dry or not found:
            return Recalled(counts, Applied())
        journal = exchange.memory.journal
        settled = [Settled(sent, "superseded") for sent in journal.sent() if sent.action == WITHDRAW]
        name = journal.begin_plan([each.change for each in found], exchange.release.version, {}, settled)
        done = apply(exchange, workspace.progress, How(name))
        noted |= done.statuses
        about = {"hie": hie, "plan": name, "recipient": exchange.settings.recipient}
        workspace.store.trail.record("sync recall", about=about, counts=done.statuses)
    return Recalled(counts, done)


def sync_pull(workspace: Workspace, hie: str, bulk: str = "") -> PullResult:
    """Bring in what changed at the HIE since the last pull, through the same road as any file.

    `bulk` asks for everything at once, by a Bulk Data export of a level (``system``, ``patient``,
    ``group/ID``). Interrupted, a search begins again where the last complete pull ended and an export goes
    on: what is stored already is not stored twice. Raises UsageError, RemoteError, StoreError, TableError.
    """
    pulled = Pulled()
    with performing(workspace, hie, "pull") as (exchange, noted):
        ours, since = Ours(exchange), exchange.memory.since()
        pulled.since = since
        asking, consents = _asking(exchange, since), Consents(exchange)
        consents.read_changed()
        noted["consents"] = consents.changed
        if not bulk:
            new = _take(workspace, exchange, ours, by_search(exchange.client, asking, ours.may_be), pulled)
            exchange.memory.pulled(asking.moment or pulled.since)
            noted |= {"patients": pulled.patients, "answers": new}
            return PullResult(pulled, new, Counter(), 0, asking.refused, consents.changed, consents.refused)
        endpoint, folder = exchange.store.endpoint(hie), _folder(workspace, hie)
        exported = export(exchange.client, endpoint, bulk, since, folder, workspace.progress)
        new = _take(workspace, exchange, ours, by_export(exchange.client, exported, ours.may_be), pulled)
        exchange.memory.pulled(exported.moment or pulled.since)
        finish(exchange.client, endpoint, exported.folder)
        pulled.malformed += exported.malformed
        noted |= {"patients": pulled.patients, "answers": new}
        gone = exported.deleted
        return PullResult(pulled, new, exported.errors, gone, False, consents.changed, consents.refused)


def _take(
    workspace: Workspace,
    exchange: Exchange,
    ours: Ours,
    arrivals: Iterable[Arrived],
    pulled: Pulled,
) -> int:
    """Store what arrives; returns how many answers are new."""
    runs: dict[str, _Run] = {}
    for member in pull(exchange, exchange.inbound, ours, arrivals, pulled):
        if member.partner not in runs:
            runs[member.partner] = _Run(workspace, member.partner, exchange.name)
        runs[member.partner].add(member)
    return sum(run.finish() for run in runs.values())


def _asking(exchange: Exchange, since: str) -> Asking:
    """What is asked for: of Observations only those that some rule would let in."""
    guide = exchange.contexts(exchange.partner).guide
    topics: dict[str, str] = guide.get("reading", {}).get("observations", {})
    wanted = {t: exchange.inbound.wants(exchange.name, exchange.matter_of(t), exchange.as_of) for t in topics.values()}
    codes = tuple(sorted(code for code, topic in topics.items() if wanted[topic]))
    profile = exchange.profile
    return Asking(since, exchange.settings.overlap, codes, profile.includes, profile.by_code)


def _folder(workspace: Workspace, hie: str) -> Path:
    """Where the files of an export wait: beside the store's file, else in the working folder."""
    file = workspace.settings.store.file
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in hie)
    return (file.parent if file is not None else Path()) / f"{name}-export"


class _Run:
    """One run that stores what an HIE says about the members of one partner."""

    def __init__(self, workspace: Workspace, partner: str, hie: str) -> None:
        self._workspace = workspace
        self._writer: RunWriter = workspace.run(partner, action="sync pull")
        self._artefact = self._writer.artefact(hie, "fhir")
        self._waiting: list[Record] = []
        self._count = 0

    def add(self, member: Member) -> None:
        self._waiting.append(record_of(self._workspace, member))
        self._count += 1
        if len(self._waiting) >= CHUNK:
            self._write()

    def _write(self) -> None:
        self._writer.add(self._artefact, self._waiting)
        self._waiting = []

    def finish(self) -> int:
        self._write()
        self._writer.close(self._artefact, sha256="", size=0, members=self._count, rejected=0)
        return self._writer.finish().answers
