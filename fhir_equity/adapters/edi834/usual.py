"""Members as the guide draws them, taken apart by one pattern; whoever is drawn otherwise is none of these.

Nearly every member of nearly every file is INS, REF, DTP, NM1*IL, PER, N3, N4, DMG, LUI and HD with its
DTP, in this order, and there is no finding to tell of it. Then its segments need not be cut and its loops
not be walked. Anything else is left to `MemberReader.read`, which would read these alike.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from msgspec import Struct

from fhir_equity.adapters.edi834.delimiters import Delimiters
from fhir_equity.adapters.edi834.insured import NAMED, OPEN, Insured, Losses, Span, Spans, enrolled, not_kept
from fhir_equity.adapters.edi834.member import NM1, NO_ADDRESS, MemberReader, name_of, own_number
from fhir_equity.adapters.edi834.memory import Memory
from fhir_equity.model import Address, Answer, Identifier, Member, Received

_QUALIFIER, _LUI = 8, 12  # groups of the pattern: DMG01, which its id comes before, and all LUI
_DMG = len("DMG*")
# Segments that are read over: after the name, before the languages, and below an HD after its DTP.
_READ_OVER = (("PER",), ("EC", "ICM", "AMT", "HLH"), ("AMT", "REF", "IDC"))
_ID = 3  # characters of a segment's id, with the separator where it has two

# A received value, how many segments and bytes after the first LUI its own comes, and its path.
Spoken = tuple[Received, int, int, str]
Dated = tuple[tuple[Span, ...], Losses, int]  # the span if there is one, what is not kept, and how many DTP
# Of all HD: the first product line, its spans, the other ones, what is not kept, how many segments, and
# the ids of those that are read over.
Covered = tuple[str, list[Span], dict[str, list[Span]], list[Losses], int, str]
_UNCOVERED: Covered = ("", [], {}, [], 0, "")
Heard = tuple[str, list[Answer], Losses, int]  # the birth date, answers, what is not kept, and how many segments
_SILENT: Heard = ("", [], (), 0)


class Pattern:
    """How members, and each of their HD with what is below it, are taken out of a text with these delimiters.

    `known` are the segment ids that the guide has: with any other there is a finding to tell of.
    """

    def __init__(self, marks: Delimiters, known: Collection[str]) -> None:
        e, end = re.escape(marks.element), re.escape(marks.segment + marks.line_end)
        # Nothing is tried twice: every repetition keeps what it has taken.
        rest, cell = f"[^{re.escape(marks.segment)}]*+", f"[^{e}{re.escape(marks.segment)}]*+"

        def every(*kinds: str) -> str:
            return f"(?:{end}(?:{'|'.join(kinds)}){e}{rest})*+" if kinds else ""

        contacts, more, paid = ([kind for kind in kinds if kind in known] for kinds in _READ_OVER)
        contact = f"{end}(PER){e}{rest}" if contacts else "(PER){0}"
        below = (every("DTP"), every(*paid))
        coverage = f"{end}(HD{e}{rest})({below[0]})({below[1]})"
        self.member = re.compile(
            f"(INS{e}{rest})((?:{end}REF{e}{cell}{e}{rest})*+)({every('DTP')})"
            f"{end}(NM1{e}IL{e}{rest})(?:{contact})?+(?:{end}N3{e}({rest}))?+(?:{end}(N4{e}{rest}))?+"
            f"(?:{end}DMG{e}({cell}){e}({cell})(?:{e}({rest}))?+)?+({every(*more)})({every('LUI')})"
            f"(?:{coverage}((?:{end}HD{e}{rest}{below[0]}{below[1]})*+))?+(?={end}INS{e})"
        ).match
        self.coverages = re.compile(coverage).findall


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
        self._members = members
        self._element, self._joint = marks.element, marks.segment + marks.line_end
        self._ref = f"{self._joint}REF{marks.element}"
        pattern = Pattern(marks, members.known)
        self.take, self._coverages = pattern.member, pattern.coverages
        self._kinds: Memory[str, Kinds] = Memory(self._kinds_of)
        self._spoken: Memory[str, tuple[tuple[Spoken, ...], int] | None] = Memory(self._cut_languages)
        self._left: Memory[str, Losses] = Memory(self._losses)
        self._eligible = self._dates(members.insurance.eligible)
        self._covered = self._dates(members.insurance.covered)
        self._hd = members.insurance.coverage
        self.segments = 0

    def read(self, found: re.Match[str], number: int, offset: int) -> Member | None:
        """The member that was taken out, whose INS is segment `number`; None where there is a finding to tell of it.

        `offset` is where the text starts in the artefact, in bytes.
        """
        members = self._members
        ins, refs, dates, named, contact, n3, n4, _, born, _, more, lui, hd, days, paid, lines = found.groups()
        memory = members.insurance.verified if members.verifies else members.insurance.insured
        insured, eligible = memory.get(ins) or memory[ins], self._eligible.get(dates) or self._eligible[dates]
        covered = _UNCOVERED if hd is None else self._cover(hd, days, paid, lines)
        if eligible is None or covered is None or insured.notes or insured.indicator not in ("Y", "N"):
            return None
        kinds, values = self._refer(refs)
        if kinds.repeated or len(values) != len(kinds.all) or "" in values:
            return None
        values.append("")  # where a kind is not there
        spans, ineligible, before = eligible
        coverage, covering, others, lost, below, passed = covered
        before += 1 + len(values) + (contact is not None) + (n3 is not None) + (n4 is not None)
        said = _SILENT if born is None and not lui and not more else self._hear(found, number + before, offset)
        if said is None:
            return None
        birth_date, answers, unheard, heard = said
        who = self._who(insured, named, birth_date, kinds, values)
        if who is None:
            return None
        nm1, key, rule, identifiers = who
        if contact or more:
            passed = (contact or "") + self._ids(more) + passed
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
        identifiers = [Identifier("", values[at], name) for at, name in kinds.identifiers]
        if nm1[9]:
            identifiers.append(own_number(nm1))
        subscriber, family = insured.indicator == "Y", values[kinds.family]
        if members.keys.number_decides(nm1[9], family or None, subscriber=subscriber):
            return nm1, nm1[9], "NM109", identifiers
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
        return self._kinds.get(joined) or self._kinds[joined], cells[2::2]

    def _hear(self, found: re.Match[str], number: int, offset: int) -> Heard | None:
        """What DMG, which is segment `number` if there is one, and LUI say; None where there is a finding to tell."""
        members, segments, birth_date = self._members, 0, ""
        losses: Losses = ()
        qualifier, born, dmg, more, lui = found.group(8, 9, 10, 11, 12)
        answers: list[Answer] = []
        if born is not None:
            birth_date = members.dates.get(born) or members.dates[born]
            said = members.demographics.get(dmg) or members.demographics[dmg or ""]
            if not birth_date or not qualifier or said.problems:
                return None
            at, losses, segments = offset + found.start(_QUALIFIER) - _DMG, said.losses, 1
            answers = [Answer(what, origin, "segment", number, at, path) for what, origin, path in said.answers]
        if more:
            segments += more.count(self._joint)
        if lui:
            spoken = self._spoken.get(lui) or self._spoken[lui]
            if spoken is None:
                return None
            first, at, origin = number + segments, offset + found.start(_LUI), members.origin
            answers += [Answer(what, origin, "segment", first + n, at + far, path) for what, n, far, path in spoken[0]]
            segments += spoken[1]
        return birth_date, answers, losses, segments

    def _cover(self, hd: str, days: str, paid: str, lines: str) -> Covered | None:
        """What the first HD with its DTP and what else is below it says, then all other `lines`; None as for `read`."""
        coverage, segments, passed = "", 0, ""
        covering: list[Span] = []
        others: dict[str, list[Span]] = {}
        lost: list[Losses] = []
        every = [(hd, days, paid), *self._coverages(lines)] if lines else [(hd, days, paid)]
        for line, its_days, its_paid in every:
            dated = self._covered.get(its_days) or self._covered[its_days]
            if dated is None:
                return None
            code, losses = self._hd.get(line) or self._hd[line]
            spans, undated, dates = dated
            lost += losses, undated
            coverage = coverage or code
            if code and code != coverage:
                others.setdefault(code, []).extend(spans)
            else:
                covering += spans
            segments += 1 + dates + its_paid.count(self._joint)
            passed += self._ids(its_paid)
        return coverage, covering, others, lost, segments, passed

    def _ids(self, text: str) -> str:
        """The beginning of each segment of a text, as long as its id or one longer."""
        return "".join([segment[:_ID] for segment in text.split(self._joint)]) if text else ""

    def _address(self, n3: str | None, n4: str | None) -> Address:
        at = NO_ADDRESS if n4 is None else self._members.places.get(n4) or self._members.places[n4]
        if n3 is None:
            return at
        lines = tuple([line for street in n3.split(self._element) if (line := street.strip(" "))])
        return Address(lines, at.city, at.state, at.postal_code, at.country, at.county)

    def _kinds_of(self, joined: str) -> Kinds:
        """What a sequence of REF01 says, joined by the element separator."""
        kept, kinds = self._members.insurance.kept, joined.split(self._element) if joined else []
        family, group = (kinds.index(kind) if kind in kinds else -1 for kind in NAMED)
        identifiers = tuple((at, kept[kind]) for at, kind in enumerate(kinds) if kind in kept)
        others = tuple((at, kind) for at, kind in enumerate(kinds) if kind not in kept and kind not in NAMED)
        return Kinds(tuple(kinds), family, group, identifiers, others, len({*kinds} - {""}) < len(kinds))

    def _losses(self, ids: str) -> Losses:
        """What is lost with segments that are read over, by their ids of three characters each."""
        kinds = [ids[at : at + _ID].strip(self._element) for at in range(0, len(ids), _ID)]
        return tuple(not_kept(kind) for kind in dict.fromkeys(kinds))

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

    def _dates(self, spans: Spans) -> Memory[str, Dated | None]:
        """What the DTP of a loop say, as one text; None where one of them is no date."""

        def cut(text: str) -> Dated | None:
            segments = tuple(text.split(self._joint)[1:])
            if not segments:
                return (), (), 0
            span, faults, losses = spans[segments if len(segments) > 1 else segments[0]]
            return None if faults else ((span,) if span != OPEN else (), losses, len(segments))

        return Memory(cut)
