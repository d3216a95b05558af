"""Members as the guide draws them, taken apart by one pattern; whoever is drawn otherwise is none of these.

Nearly every member of nearly every file is INS, REF, DTP, NM1*IL, PER, N3, N4, DMG, LUI and HD with its
DTP, in this order, and there is no finding to tell of it. Then its segments need not be cut and its loops
not be walked. Anything else is left to `MemberReader.read`, which would read these alike.
"""

from __future__ import annotations

import re
from collections import Counter

from msgspec import Struct

from fhir_equity.adapters.edi834.coverages import UNCOVERED, Coverages, dates, ids
from fhir_equity.adapters.edi834.dates import iso_date
from fhir_equity.adapters.edi834.delimiters import Delimiters
from fhir_equity.adapters.edi834.insured import NAMED, Insured, Losses, enrolled, not_kept
from fhir_equity.adapters.edi834.member import NM1, NO_ADDRESS, MemberReader, name_of, own_number
from fhir_equity.adapters.edi834.memory import Memory
from fhir_equity.adapters.edi834.pattern import LUI, QUALIFIER, cut_coverages, take_member
from fhir_equity.model import Address, Answer, Identifier, Member, Received

_DMG = len("DMG*")
_OFTEN = 50  # members whose REF are of one sequence until the pattern has it; of so many sequences they are counted
_MOST = 30  # REF of a sequence that the pattern has: each is a group that it hands out with every member after

# A received value, how many segments and bytes after the first LUI its own comes, and its path.
Spoken = tuple[Received, int, int, str]
Heard = tuple[str, list[Answer], Losses, int]  # the birth date, answers, what is not kept, and how many segments
_SILENT: Heard = ("", [], (), 0)


class Kinds(Struct, frozen=True, gc=False):
    """What the REF of a member are, for one sequence of REF01, by their places; -1 where there is none.

    `identifiers` have their names, `others` are kept as they are; where one is `repeated`, or empty, there is
    something to tell.
    """

    all: tuple[str, ...]
    family: int
    group: int
    identifiers: tuple[tuple[int, str], ...]
    others: tuple[tuple[int, str], ...]
    repeated: bool


class UsualReader:
    """Reads the usual members of one interchange, with what `members` knows of all of them.

    A memory is asked by `get` first, which is quicker than its own look-up. `segments` are those of
    the member that was read last.
    """

    def __init__(self, members: MemberReader, marks: Delimiters) -> None:
        self._members, self._marks = members, marks
        self._element, self._joint = marks.element, marks.segment + marks.line_end
        self._ref = f"{self._joint}REF{marks.element}"
        self._kinds: Memory[str, Kinds] = Memory(self._kinds_of)
        self._met: Counter[str] = Counter()  # how often each sequence of REF01 came, until one came often
        self._spoken: Memory[str, tuple[tuple[Spoken, ...], int] | None] = Memory(self._cut_languages)
        self._left: Memory[str, Losses] = Memory(self._losses)
        self._insured, self._verified = members.insurance.insured, members.insurance.verified
        self._eligible = dates(members.insurance.eligible, self._joint)
        self._coverages = Coverages(members.insurance, self._joint, cut_coverages(marks, members.known))
        self.segments = 0
        self._expect(self._kinds[""])

    def _expect(self, kinds: Kinds) -> None:
        """Take members out by a pattern that has these REF."""
        self.take, self._often = take_member(self._marks, self._members.known, kinds.all), kinds

    def read(self, found: re.Match[str], number: int, offset: int) -> Member | None:
        """The member that was taken out, whose INS is segment `number`; None where there is a finding to tell of it.

        `offset` is where the text starts in the artefact, in bytes.
        """
        members = self._members
        ins, *values, refs, dtp, named, contact, n3, n4, qualifier, born, dmg, more, lui, hd, days, paid, lines = (
            found.groups()
        )
        memory = self._verified if members.verifies else self._insured
        insured, eligible = memory.get(ins) or memory[ins], self._eligible.get(dtp) or self._eligible[dtp]
        covered = UNCOVERED if hd is None else self._coverages.of(hd, days, paid, lines)
        if eligible is None or covered is None or insured.notes or insured.indicator not in ("Y", "N"):
            return None
        kinds = self._often
        if refs is not None:
            kinds, values = self._refer(refs)
            if kinds.repeated or len(values) != len(kinds.all) or "" in values:
                return None
        values.append("")  # where a kind is not there
        spans, ineligible, before = eligible
        coverage, covering, others, lost, below, passed = covered
        before += 1 + len(values) + (contact is not None) + (n3 is not None) + (n4 is not None)
        birth_date, answers, unheard, heard = _SILENT
        if born is not None or lui or more:
            said = self._hear(found, number + before, offset, (qualifier, born, dmg, more, lui))
            if said is None:
                return None
            birth_date, answers, unheard, heard = said
        who = self._who(insured, named, birth_date, kinds, values)
        if who is None:
            return None
        nm1, key, rule, identifiers = who
        if contact or more:
            passed = (contact or "") + self._coverages.passed(more)[0] + passed
        left = (self._left.get(passed) or self._left[passed]) if passed else ()
        losses = (left, insured.losses, unheard, ineligible, *lost)
        self.segments = before + heard + below
        return Member(
            members.partner,
            key,
            rule,
            tuple(identifiers),
            name_of(nm1),
            birth_date,
            self._address(n3, n4),
            enrolled(
                insured,
                values[kinds.family],
                values[kinds.group],
                coverage,
                spans if hd is None else covering,
                [(kind, values[at]) for at, kind in kinds.others] if kinds.others else (),
                others,
            ),
            tuple(answers),
            (),
            members.lost.get(losses) or members.lost[losses],
            b"",
            "segment",
            number,
            offset + found.start(),
        )

    def _who(
        self, insured: Insured, named: str, birth_date: str, kinds: Kinds, values: list[str]
    ) -> tuple[list[str], str, str, list[Identifier]] | None:
        """The elements of NM1, the key with its recipe, and all identifiers; None where there is no key."""
        nm1, members = named.split(self._element), self._members
        if " " in named:
            nm1 = [cell.strip(" ") for cell in nm1]
        if len(nm1) < len(NM1):
            nm1 += NM1
        own, family = nm1[9], values[kinds.family]
        identifiers = []
        for at, name in kinds.identifiers:
            identifiers.append(Identifier("", values[at], name))
        if own:
            identifiers.append(own_number(nm1))
            if own != family and members.keys.number_first:
                return nm1, own, "NM109", identifiers
        key, rule = members.key_of(insured, dict(zip(kinds.all, values, strict=False)), nm1, birth_date)
        return (nm1, key, rule, identifiers) if key else None

    def _refer(self, refs: str) -> tuple[Kinds, list[str]]:
        """What the REF are, and the REF02 of each."""
        element = self._element
        plain = refs.replace(self._ref, element)
        cells, references = plain.split(element), (len(refs) - len(plain)) // (len(self._ref) - 1)
        if len(cells) > 1 + 2 * references:  # some have more than the two elements that count
            cells = [cell for ref in refs.split(self._ref) for cell in ref.split(element, 2)[:2]]
        if " " in refs:
            cells = [cell.strip(" ") for cell in cells]
        joined = element.join(cells[1::2])
        kinds = self._kinds.get(joined) or self._kinds[joined]
        if not self._often.all and joined and not kinds.repeated and len(kinds.all) <= _MOST:
            self._meet(joined, kinds)
        return kinds, cells[2::2]

    def _meet(self, joined: str, kinds: Kinds) -> None:
        """Count a sequence of REF, and expect it of all who come, once it came often."""
        if joined in self._met or len(self._met) < _OFTEN:
            self._met[joined] += 1
        if self._met[joined] >= _OFTEN:
            self._expect(kinds)

    def _hear(
        self, found: re.Match[str], number: int, offset: int, said: tuple[str | None, str | None, str | None, str, str]
    ) -> Heard | None:
        """What DMG, which is segment `number` if there is one, and LUI say; None where there is a finding to tell.

        `said` are the groups from DMG01 to all LUI.
        """
        members, segments, birth_date = self._members, 0, ""
        losses: Losses = ()
        qualifier, born, dmg, more, lui = said
        answers: list[Answer] = []
        if born is not None:
            birth_date = iso_date(born)
            cut = members.demographics.get(dmg or "") or members.demographics[dmg or ""]
            if not birth_date or not qualifier or cut.problems:
                return None
            at, losses, segments = offset + found.start(found.re.groups - QUALIFIER) - _DMG, cut.losses, 1
            for what, origin, path in cut.answers:
                answers.append(Answer(what, origin, "segment", number, at, path))
        if more:
            segments += more.count(self._joint)
        if lui:
            spoken = self._spoken.get(lui) or self._spoken[lui]
            if spoken is None:
                return None
            first, at, origin = number + segments, offset + found.start(found.re.groups - LUI), members.origin
            for what, after, far, path in spoken[0]:
                answers.append(Answer(what, origin, "segment", first + after, at + far, path))
            segments += spoken[1]
        return birth_date, answers, losses, segments

    def _address(self, n3: str | None, n4: str | None) -> Address:
        at = NO_ADDRESS if n4 is None else self._members.places.get(n4) or self._members.places[n4]
        if n3 is None:
            return at
        if self._element in n3:
            lines = tuple([line for street in n3.split(self._element) if (line := street.strip(" "))])
        else:
            street = n3.strip(" ")
            lines = (street,) if street else ()
        return Address(lines, at.city, at.state, at.postal_code, at.country, at.county)

    def _kinds_of(self, joined: str) -> Kinds:
        """What a sequence of REF01 says, joined by the element separator."""
        kept, kinds = self._members.insurance.kept, joined.split(self._element) if joined else []
        family, group = (kinds.index(kind) if kind in kinds else -1 for kind in NAMED)
        identifiers = tuple((at, kept[kind]) for at, kind in enumerate(kinds) if kind in kept)
        others = tuple((at, kind) for at, kind in enumerate(kinds) if kind not in kept and kind not in NAMED)
        return Kinds(tuple(kinds), family, group, identifiers, others, len({*kinds} - {""}) < len(kinds))

    def _losses(self, passed: str) -> Losses:
        """What is lost with segments that are read over."""
        return tuple(map(not_kept, ids(passed, self._element)))

    def _cut_languages(self, lui: str) -> tuple[tuple[Spoken, ...], int] | None:
        """What all LUI say, and how many there are."""
        segments = lui.split(self._joint)[1:]
        cuts = self._members.cutter.languages[tuple(segments)]
        if any(cut.problems for cut in cuts):
            return None
        found = []
        for cut in cuts:
            if cut.received is not None:
                path = "LUI02" if cut.received.codings else "LUI03"
                far = len(self._joint.join(["", *segments[: cut.at], ""]))
                found.append((cut.received, cut.at, far, path))
        return tuple(found), len(segments)
