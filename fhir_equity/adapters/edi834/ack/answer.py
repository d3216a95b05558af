"""Answer every interchange of a source with TA1 and 999, following it from ISA to IEA in one pass."""

from __future__ import annotations

from typing import IO

from msgspec import Struct

from fhir_equity.adapters.edi834.ack.letter import Letter, Numbers, Stamp
from fhir_equity.adapters.edi834.ack.reply import Guides, Reply
from fhir_equity.adapters.edi834.ack.sets import Answered, How
from fhir_equity.adapters.edi834.batch import Batch
from fhir_equity.adapters.edi834.control import Control
from fhir_equity.adapters.edi834.delimiters import BLANK, starts_isa
from fhir_equity.adapters.edi834.envelope import Envelope, Interchange
from fhir_equity.adapters.protocol import Context
from fhir_equity.adapters.source import Source
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Locator


class Wish(Struct, frozen=True):
    """What to write: the TA1, the 999 (`sets`), and the first own control number, 0 for those received."""

    ta1: bool = True
    sets: bool = True
    control: int = 0


class Acknowledger:
    """Answers sources one after the other into one file; `done` says what came of it."""

    def __init__(self, context: Context, guides: Guides, how: How, wish: Wish) -> None:
        self._context, self._guides, self._how, self._wish = context, guides, how, wish
        self._numbers = Numbers(wish.control)
        self._stamp = Stamp(context.created[:10].replace("-", ""), context.created[11:16].replace(":", ""))
        self.done = Answered()

    def answer(self, source: Source, out: IO[bytes]) -> None:
        """Write the answer to `source`, interchange by interchange, in constant memory.

        Raises UnreadableError where there is nothing that could be answered: no ISA, or
        acknowledgements only (they are never acknowledged).
        """
        control = Control(source.name, self._context)
        envelope = Envelope(source)
        before = self.done.interchanges.total()
        for interchange in envelope.interchanges():
            letter = Letter(interchange.marks, self._numbers, self._stamp)
            reply = Reply(control, interchange.marks, letter, self._guides, self._how)
            try:
                _Follow(source.name, envelope, control, reply).interchange(interchange)
                self.done.add(reply.send(out, ta1=self._wish.ta1, sets=self._wish.sets))
            finally:
                letter.close()
        if self.done.interchanges.total() == before:
            raise UnreadableError(f"{source.name} holds acknowledgements only, which are never acknowledged")


class _Follow:
    """Hands the segments of one interchange to its reply, up to its IEA or to where it is cut off."""

    def __init__(self, name: str, envelope: Envelope, control: Control, reply: Reply) -> None:
        self._name, self._envelope, self._control, self._reply = name, envelope, control, reply

    def interchange(self, interchange: Interchange) -> None:
        """All of it."""
        for batch in interchange.batches:
            if self._batch(batch, interchange):
                return
        tail = self._envelope.tail
        text = tail.text.strip(BLANK)
        place = Locator(self._name, "segment", tail.number or interchange.number, tail.offset)
        if text.split(interchange.marks.element)[0] == "IEA":
            self._reply.take("IEA", text, place)
        else:
            self._reply.cut_off(place)

    def _batch(self, batch: Batch, interchange: Interchange) -> bool:
        """Whether the interchange ended in this batch."""
        for index, raw in enumerate(batch.segments):
            kind = batch.kinds[index].strip(BLANK)
            place = Locator(self._name, "segment", batch.number + index)
            if starts_isa(kind) and not self._control.ended:
                self._reply.cut_off(place)
                self._envelope.give_back(batch, batch.number + index, batch.start_of(index))
                return True
            self._reply.take(kind, raw.lstrip(BLANK), place)
            if self._control.ended:
                self._envelope.give_back(batch, batch.number + index + 1, batch.start_of(index + 1))
                return True
        return False
