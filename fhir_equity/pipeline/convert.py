"""convert: one format into another, telling the losses on the way."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct, field

from fhir_equity.adapters import Adapter, adapter_named, adapters
from fhir_equity.adapters.fhir import Writer, validate, write_bulk
from fhir_equity.adapters.protocol import Context
from fhir_equity.errors import UnreadableError, UsageError
from fhir_equity.model import (
    Event,
    Expressed,
    Finding,
    Locator,
    Loss,
    Member,
    Outgoing,
    Rejected,
    Relationship,
    Resolution,
)
from fhir_equity.pipeline.change import BGN08, Purpose, completed, context_834, is_change
from fhir_equity.pipeline.patients import Form, context_fhir
from fhir_equity.pipeline.reading import Failures, inputs, items
from fhir_equity.pipeline.workspace import Workspace
from fhir_equity.pipeline.writing import written, written_folder
from fhir_equity.privacy import private_file
from fhir_equity.quality.people import events_of
from fhir_equity.quality.rules import findings
from fhir_equity.release import is_sensitive
from fhir_equity.vocabulary import US_CORE

if TYPE_CHECKING:  # the store loads SQLAlchemy, which files alone do not need
    from fhir_equity.store import Person

ENDINGS = {".834": "edi834", ".edi": "edi834", ".x12": "edi834", ".ndjson": "fhir", ".json": "fhir", ".csv": "survey"}
Omb = Literal["faithful", "rollup-1997"]


class Converted(Struct):
    """What a conversion wrote and what it could not carry, by rule."""

    members: int = 0
    rejected: int = 0
    losses: dict[str, int] = field(default_factory=dict)
    findings: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    invalid: int = 0
    unchanged: int = 0  # left out of a change file: the store knows them so


class Wish(Struct, frozen=True):
    """How to convert: names of formats (empty = recognised), partner, recipient, OMB strategy, US Core version.

    `form` is for FHIR: a resource a line, a transaction a line, or a folder as of a Bulk Data export. `purpose` and
    `control_number` are for an 834; 0 is the next number.
    """

    from_: str = ""
    to: str = ""
    partner: str = ""
    recipient: str = ""
    omb: Omb = "faithful"
    us_core: str = US_CORE
    form: Form = "ndjson"
    include_sensitive: bool = False
    validate: bool = False
    purpose: Purpose = "as-guide"
    control_number: int = 0


def convert(
    workspace: Workspace, src: str | Path, dst: str | Path, *, wish: Wish | None = None, losses: Path | None = None
) -> Converted:
    """Convert the members of `src` into one file `dst` (``-`` for standard output), or a folder in the form ``bulk``.

    It appears whole or not at all. Without a recipient this is internal use: sensitive topics
    are left out, with a loss entry, unless `include_sensitive`. A change file (834) corrects what the
    store knows, where there is one: who is as known is left out. Raises UsageError.
    """
    wish = wish or Wish()
    target = adapter_named(wish.to or ("fhir" if wish.form != "ndjson" else _format_of(dst)))
    if not target.writes:
        raise UsageError(f"the format {target.name} is read but not written")
    if (wish.purpose != "as-guide" or wish.control_number) and target.name != "edi834":
        raise UsageError("--purpose and --control-number are for an 834")
    if (wish.us_core != US_CORE or wish.form != "ndjson") and target.name != "fhir":
        raise UsageError("--us-core and --form are for FHIR")
    if wish.recipient:
        workspace.release.require(wish.recipient)
    if str(dst) != "-" and Path(dst).exists() and Path(src).exists() and Path(dst).samefile(src):
        raise UsageError("SRC and DST are the same file")
    work = _Conversion(workspace, target, wish)
    with contextlib.ExitStack() as files:
        if wish.form == "bulk":
            folder = files.enter_context(written_folder(dst))
            work.run_bulk(src, folder, files.enter_context(_ledger(losses)))
        else:
            out = files.enter_context(written(dst))
            work.run(src, out, files.enter_context(_ledger(losses)))
        done = work.done()
        if done.failures and not done.members and not done.rejected:
            raise UnreadableError(done.failures[0])  # DST keeps what it held
    return done


def _format_of(dst: str | Path) -> str:
    ending = Path(str(dst)).suffix.lower()
    if ending not in ENDINGS:
        raise UsageError(f"give --to, one of {', '.join(sorted(adapters()))}: the name of DST does not say the format")
    return ENDINGS[ending]


class _Conversion:
    """One conversion under way; equal answers are expressed once."""

    def __init__(self, workspace: Workspace, target: Adapter, wish: Wish) -> None:
        self._workspace, self._target, self._wish = workspace, target, wish
        self._partner = workspace.partner(wish.partner)
        self._expressed: dict[tuple[object, ...], tuple[tuple[Expressed, ...], tuple[Loss, ...]]] = {}
        self._losses: Counter[str] = Counter()
        self._findings: Counter[str] = Counter()
        self._failures = Failures()
        self._counts = [0, 0]
        self._invalid = self._unchanged = 0
        self._correcting = False
        self._current: Member | None = None
        self._checked: Writer | None = None  # writes what is to be validated

    def run(self, src: str | Path, out: IO[bytes], ledger: IO[bytes] | None) -> None:
        context = self._context()
        if self._target.name == "edi834":
            context = context_834(self._workspace, context, self._wish.purpose, self._wish.control_number)
            self._correcting = context.guide["write"]["purpose"] == BGN08["change"] and self._workspace.has_store
        for loss in self._target.write(self._outgoing(src, ledger), out, context):
            self._lose(loss, ledger)

    def run_bulk(self, src: str | Path, opened: Callable[[str], IO[bytes]], ledger: IO[bytes] | None) -> None:
        for loss in write_bulk(self._outgoing(src, ledger), opened, self._context()):
            self._lose(loss, ledger)

    def _context(self) -> Context:
        context = self._workspace.context(self._partner, self._target.name)
        context = msgspec.structs.replace(context, created=datetime.now(UTC).isoformat(timespec="seconds"))
        if self._target.name != "fhir":
            return context
        version = self._workspace.vocabulary(self._partner).express.version(self._wish.us_core)
        context = context_fhir(self._workspace, context, version, self._wish.form)
        self._checked = Writer(context) if self._wish.validate else None
        return context

    def _outgoing(self, src: str | Path, ledger: IO[bytes] | None) -> Iterator[Outgoing]:
        for read in inputs(self._workspace, [src], self._partner, self._wish.from_, self._failures):
            for item in items(self._workspace, read, self._failures):
                if isinstance(item, Member):
                    if record := self._member(item, ledger):
                        yield record
                elif isinstance(item, Rejected):
                    self._findings[item.finding.code] += 1
                elif isinstance(item, Finding):
                    self._findings[item.code] += 1
                elif isinstance(item, Loss):
                    self._lose(item, ledger)
            self._counts[0] += read.members
            self._counts[1] += read.rejected

    def _member(self, member: Member, ledger: IO[bytes] | None) -> Outgoing | None:
        """What is to be written of a member; None where a change file has nothing to say of them."""
        meaning = self._workspace.vocabulary(member.partner).meaning
        self._findings.update(f.code for f in findings(member, meaning, self._workspace.as_of))
        person = self._workspace.store.people.known(member.partner, member.key) if self._correcting else None
        if person:
            record, lost = self._corrected(member, person)
        else:
            key = (member.enrollment.restricted, *[part for a in member.answers for part in (a.received, a.origin)])
            if key not in self._expressed:
                self._expressed[key] = self._express(member, self._events(member))
            expressed, lost = self._expressed[key]
            record = Outgoing(member, expressed)
        if not is_change(record):
            self._unchanged += 1
            return None
        if self._checked is not None:
            resources, _ = self._checked.resources(record)
            self._invalid += sum(bool(validate(each, each["resourceType"])) for each in resources)
        self._current = member
        for loss in (*member.losses, *lost):
            self._lose(loss, ledger)
        return record

    def _corrected(self, member: Member, person: Person) -> tuple[Outgoing, tuple[Loss, ...]]:
        """A member with all that is known of them, and as they were known before."""
        known = tuple(event for _, event in person.events)
        before, _ = self._express(person.member, known)
        whole = completed(member, person.member)
        expressed, lost = self._express(whole, (*known, *self._events(member)))
        return Outgoing(whole, expressed, Outgoing(person.member, before)), lost

    def _events(self, member: Member) -> tuple[Event, ...]:
        return events_of(member.answers, self._workspace.matter_of, self._workspace.as_of)

    def _express(self, member: Member, events: tuple[Event, ...]) -> tuple[tuple[Expressed, ...], tuple[Loss, ...]]:
        resolutions = self._workspace.resolutions(member.partner, events)
        released, losses = self._released(member, resolutions)
        express = self._workspace.vocabulary(member.partner).express
        if self._target.name == "fhir":
            expressed, lost = express.us_core(released, self._wish.omb, self._wish.us_core)
        elif self._target.name == "edi834":
            guide = self._workspace.vocabulary(self._partner).tables.document("guides/edi834.toml")
            expressed, lost = express.x12(released, guide["write"]["race"], self._wish.omb)
        else:
            expressed, lost = express.plain(released)
        return tuple(expressed), (*losses, *lost)

    def _released(self, member: Member, resolutions: dict[str, Resolution]) -> tuple[dict[str, Resolution], list[Loss]]:
        released, losses = {}, []
        for matter, resolution in resolutions.items():
            reason = self._withheld(member, resolution)
            if not reason:
                released[matter] = resolution
            elif resolution.winner is not None:
                losses.append(Loss(f"release.{reason}", Relationship.UNMATCHED, matter))
        return released, losses

    def _withheld(self, member: Member, resolution: Resolution) -> str:
        """Why a matter stays here; empty when it may go."""
        if self._wish.recipient:
            decision = self._workspace.release.decide(self._wish.recipient, member, resolution, self._workspace.as_of)
            return "" if decision.allowed else decision.reason
        sensitive = is_sensitive(self._workspace.vocabulary().codes, resolution)
        return "sensitive_left_out" if sensitive and not self._wish.include_sensitive else ""

    def _lose(self, loss: Loss, ledger: IO[bytes] | None) -> None:
        self._losses[loss.rule] += 1
        if ledger is not None:
            place = loss.locator or self._place(loss.topic)
            entry = {"rule": loss.rule, "relationship": loss.relationship.value, "topic": loss.topic}
            entry["locator"] = str(place) if place else ""
            ledger.write(msgspec.json.encode(entry) + b"\n")

    def _place(self, topic: str) -> Locator | None:
        """Where the answer of a topic stands in the member at hand, else where the member begins."""
        answers = self._current.answers if self._current else ()
        matter_of = self._workspace.matter_of
        of_topic = [a for a in answers if topic and matter_of(a.topic) == matter_of(topic)]
        return next((answer.locator for answer in (*of_topic, *answers)), None)

    def done(self) -> Converted:
        members, rejected = self._counts
        losses, found = dict(self._losses.most_common()), dict(self._findings.most_common())
        return Converted(members, rejected, losses, found, self._failures.messages, self._invalid, self._unchanged)


@contextlib.contextmanager
def _ledger(path: Path | None) -> Iterator[IO[bytes] | None]:
    """The loss ledger: one JSON object a line; none when nobody asked for it."""
    if path is None:
        yield None
        return
    with private_file(path) as ledger:
        yield ledger
