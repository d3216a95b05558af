"""fhir-equity demo"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fhir_equity.cli.options import options, say, words
from fhir_equity.pipeline.audit import Audit
from fhir_equity.quality.publish.document import Internal
from fhir_equity.reports.html import write_html

if TYPE_CHECKING:
    from fhir_equity.pipeline.demo import Story
    from fhir_equity.sync.profile import Profile


def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where its files go.")] = Path("equity-demo"),
) -> None:
    """Watch the whole job run on invented people: offline, no configuration, under a minute."""
    from fhir_equity.pipeline.demo import demo as verb

    shown = not options(context).quiet and words.is_terminal
    with words.status("starting") if shown else _Silence() as status:
        story = verb(folder, status.update, lambda done, path: write_html(Internal(done.document), path))
    for line in tell(story):
        say(context, line)
    if story.again.changes:
        raise typer.Exit(1)


class _Silence:
    """A status line for a place that is no terminal: none."""

    def __enter__(self) -> _Silence:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, text: str) -> None:
        """Say nothing."""


def tell(story: Story) -> list[str]:
    """The story in counts. Nobody's name, number or answer is part of it."""
    applied, pulled = story.applied, story.pulled
    config = story.folder / "equity.toml"
    first, second = story.enrollment, story.survey
    lines = [
        f"1. ingest  The 834 held {first.members:,} members ({first.new_answers:,} new answers).",
        f"           {first.rejected:,} records that no plan can use are in quarantine, verbatim.",
        f"           {_known(story.before)}",
        f"2. ingest  {second.members:,} members answered the survey themselves ({second.new_answers:,} new answers).",
        "           Where they see themselves differently from the 834, their own word wins.",
        f"3. probe   {_probed(story.profile)}",
        f"4. plan    {_patients(story):,} Patients at the HIE would change; {story.plan.agreed:,} agree.",
        f"           {_tells(story):,} Provenances would say who told an answer, and how.",
        f"           {len(story.plan.conflicts):,} conflicts stay unsent until somebody decides.",
        f"           Withheld, because no rule lets them out: {_withheld(story)}.",
    ]
    if applied is not None:
        verified = applied.statuses["verified"]
        lines += [
            f"5. apply   {verified:,} changes sent, each on a condition of its own, read back and found as sent:",
            f"           in {story.requests:,} requests, Patients as transactions.",
        ]
    if pulled is not None:
        lines.append(
            f"6. pull    {pulled.pulled.members:,} members' answers from {pulled.pulled.patients:,} Patients "
            f"({pulled.new_answers:,} new); {pulled.pulled.echoes:,} echoes of our own left out, "
            f"{pulled.pulled.unknown_here:,} people who are not ours forgotten."
        )
    lines += [
        f"7. plan    Again: {len(story.again.changes):,} changes left; {_undecided(story):,} wait for a decision.",
        f"8. audit   {_known(story.after)}",
        "",
        f"The report:   {story.folder / 'report.html'}",
        f"Look closer:  {_me()} --config {config} audit",
        f"The HIE:      {_me()} sandbox --file {story.folder / 'hie.db'}",
        f"              {_me()} --config {config} sync plan --hie demo-hie     (in another terminal)",
        f"Your own:     {_me()} audit YOUR.834",
    ]
    return lines


def _me() -> str:
    """This program as it was called, so that the next line can be typed as it stands."""
    name = Path(sys.argv[0])
    return str(name) if name.name == "fhir-equity" and not name.is_absolute() else "fhir-equity"


def _probed(profile: Profile) -> str:
    """What decides how the HIE is written to."""
    found = {"honours If-Match": profile.if_match, "rolls failed transactions back": profile.rollback}
    can = " and ".join(name for name, there in found.items() if there) or "does neither"
    return f"Invented Patients show that its server {can}."


def _tells(story: Story) -> int:
    from fhir_equity.sync.telling import TELL

    return sum(change.action == TELL for change in story.plan.changes)


def _patients(story: Story) -> int:
    return len(story.plan.changes) - _tells(story)


def _undecided(story: Story) -> int:
    ties = sum(n for (_, reason), n in story.again.withheld.items() if reason == "tie_undecided")
    return ties + len(story.again.conflicts)


def _withheld(story: Story) -> str:
    sensitive = {t: n for (t, reason), n in story.plan.withheld.items() if reason == "no_rule_sensitive"}
    return ", ".join(f"{topic} of {n:,} members" for topic, n in sorted(sensitive.items())) or "nothing"


def _known(done: Audit | None) -> str:
    if done is None:
        return ""
    topics: dict[str, Any] = done.document["topics"]
    population = done.document["population"]
    states = topics["race_ethnicity"]["states"]
    spoken = topics["language_spoken"]["states"]
    return (
        f"Race and ethnicity are known for {_share(states, 'answered', population)} of {population:,} people "
        f"(declined {_share(states, 'declined', population)}), spoken language for "
        f"{_share(spoken, 'answered', population)}."
    )


def _share(states: dict[str, int], state: str, population: int) -> str:
    return f"{100 * states.get(state, 0) / population:.1f}%" if population else "-"
