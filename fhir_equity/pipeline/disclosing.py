"""What a file tells a recipient about whom: accounted for before it is handed over, and on the trail."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from fhir_equity.pipeline.leaving import KeptBack, Leaves, Made, Wish
from fhir_equity.pipeline.workspace import Workspace

if TYPE_CHECKING:  # the store loads SQLAlchemy, which files alone do not need
    from fhir_equity.store import Disclosure

PAGE = 1000  # pieces that wait until it is written down what they tell


@contextmanager
def disclosing(workspace: Workspace, wish: Wish, dst: str | Path) -> Iterator[Disclosing | None]:
    """Account for what is written to `dst` for a recipient; None for a file that stays in the house.

    The transmission is ``convert/`` with the number of the entry of the trail that begins it. What fails was told to
    nobody, but for standard output, of which whoever reads it may have something: that stays ``intended``.
    """
    if not wish.recipient:
        yield None
        return
    account = Disclosing(workspace, wish)
    try:
        yield account
    except BaseException:
        account.failed(kept=str(dst) == "-")
        raise
    account.sent(Path(dst))


class Disclosing:
    """The account of one conversion for a recipient."""

    def __init__(self, workspace: Workspace, wish: Wish) -> None:
        self._store, self._pseudonyms = workspace.store, workspace.pseudonyms
        self._release, self._recipient = workspace.release, wish.recipient
        self._about: dict[str, str | int] = {
            "recipient": wish.recipient,
            "format": wish.to,
            "partner": workspace.partner(wish.partner),
        }
        begun = self._store.trail.record("convert", outcome="begun", about=self._about)
        self._about["transmission"] = self._transmission = f"convert/{begun.id}"
        self._members, self._topics = 0, Counter[str]()
        self.kept_back: KeptBack = self._store.opt_outs.keys_in_force(wish.recipient, workspace.as_of)

    def before(self, made: Iterator[Made]) -> Iterator[Made]:
        """The same, each only when what it tells is written down."""
        while page := list(islice(made, PAGE)):
            leaves = [each.leaves for each in page if each.leaves is not None]
            told = [(each.member, [*self._told(each)]) for each in leaves]
            self._store.disclosures.intend_of(told, self._pseudonyms)
            self._members += len(leaves)
            self._topics.update(matter for each in leaves for matter, _ in each.matters)
            yield from page

    def _told(self, leaves: Leaves) -> Iterator[Disclosure]:
        from fhir_equity.store import Disclosure

        for rule in {id_: self._release.rule(id_) for _, id_ in leaves.matters}.values():
            yield Disclosure(
                pseudonym="",
                partner=leaves.member.partner,
                recipient=self._recipient,
                transmission=self._transmission,
                purpose=rule.purpose,
                basis=rule.basis,
                topics=tuple(matter for matter, id_ in leaves.matters if id_ == rule.id),
                rule=rule.id,
                policy=self._release.version,
            )

    def sent(self, dst: Path) -> None:
        """It is handed over: the entry of the trail has the digest of the file, where it is one."""
        self._store.disclosures.settle(self._transmission, "sent")
        if dst.is_file():
            with dst.open("rb") as file:
                self._about["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
        self._record("done")

    def failed(self, *, kept: bool) -> None:
        """Nothing was handed over, or with `kept` nobody knows how much."""
        if not kept:
            self._store.disclosures.settle(self._transmission, "failed")
        self._record("failed")

    def _record(self, outcome: str) -> None:
        counts = {"members": self._members}
        self._store.trail.record("convert", outcome=outcome, about=self._about, counts=counts, topics=self._topics)
