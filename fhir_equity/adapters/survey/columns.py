"""The header row of a survey: delimiter, columns by role, and the questions the columns make up."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from fhir_equity.adapters.survey.guide import Box, Guide, Known, plain
from fhir_equity.adapters.survey.rows import Encoding, Row, encoding_of, rows
from fhir_equity.errors import UnreadableError
from fhir_equity.model import Finding, Locator, Severity


class Header(Struct, frozen=True):
    """The first row that is not empty, and how the file is cut into cells."""

    encoding: Encoding
    delimiter: str
    row: Row
    known: list[Known | None]


class Question(Struct, frozen=True):
    """The columns that make up one topic: columns with the answer itself, boxes and write-ins."""

    topic: str
    answers: tuple[int, ...]
    boxes: tuple[tuple[int, Box], ...]

    @property
    def columns(self) -> tuple[int, ...]:
        """All columns of the question in file order."""
        return tuple(sorted((*self.answers, *(at for at, _ in self.boxes))))


class Layout(Struct, frozen=True):
    """Where everything stands in a row. Column numbers count from 0; findings count from 1."""

    width: int
    headings: tuple[str, ...]
    key: tuple[int, ...]
    fields: dict[str, int]
    lines: tuple[int, ...]
    questions: tuple[Question, ...]
    findings: tuple[Finding, ...]


def header_of(head: bytes, guide: Guide) -> Header | None:
    """The header row, cut by the delimiter that shows most known headings; None where none can be."""
    encoding = encoding_of(head)
    found = []
    for delimiter in guide.delimiters:
        row = _first(rows([head], encoding, delimiter))
        if row:
            known = [guide.known(heading) for heading in row.cells]
            found.append(Header(encoding, delimiter, row, known))
    # The first delimiter wins a tie.
    return max(found, key=lambda h: (len(h.known) - h.known.count(None), len(h.known)), default=None)


def _first(every: Iterable[Row]) -> Row | None:
    for row in every:
        if row.problem:
            return None
        if any(cell.strip() for cell in row.cells):
            return row
    return None


def layout_of(header: Header, guide: Guide, artefact: str) -> Layout:
    """Give every column its role. Raises UnreadableError where no columns make a member key."""
    roles: dict[tuple[str, int], int] = {}
    boxes: dict[str, tuple[int, Box]] = {}
    findings = []
    for at, (heading, known) in enumerate(zip(header.row.cells, header.known, strict=True)):
        if known is None:
            findings.append(_finding("not_used", Severity.INFO, "no role for this heading", header, artefact, at))
        elif (known.role, known.number) in roles or plain(heading) in boxes:
            message = "an earlier column has the same role; this one is not used"
            findings.append(_finding("repeated", Severity.WARNING, message, header, artefact, at))
        elif known.box:
            boxes[plain(heading)] = (at, known.box)
        else:
            roles[known.role, known.number] = at
    fields = {role: at for (role, number), at in roles.items() if not number and role not in guide.topics}
    return Layout(
        width=len(header.row.cells),
        headings=tuple(header.row.cells),
        key=_key(fields, guide, artefact),
        fields=fields,
        lines=tuple(at for (role, _), at in sorted(roles.items(), key=_by_column) if role == "address_line"),
        questions=_questions(roles, list(boxes.values()), guide),
        findings=tuple(findings),
    )


def _by_column(item: tuple[tuple[str, int], int]) -> int:
    return item[1]


def _key(fields: dict[str, int], guide: Guide, artefact: str) -> tuple[int, ...]:
    for recipe in guide.keys:
        if all(role in fields for role in recipe):
            return tuple(fields[role] for role in recipe)
    raise UnreadableError(f"{artefact} has no column for the member key; it needs one of: {guide.accepted_keys()}")


def _questions(roles: dict[tuple[str, int], int], boxes: list[tuple[int, Box]], guide: Guide) -> tuple[Question, ...]:
    """Unite the columns of each topic, the boxes of a part joining the whole where a file has it."""
    asked = {role for role, _ in roles} | {box.topic for _, box in boxes}

    def topic_of(box: Box) -> str:
        whole = guide.joins.get(box.topic, "")
        return whole if whole in asked and not box.no else box.topic

    questions = []
    for topic in guide.topics:
        answers = tuple(sorted(at for (role, _), at in roles.items() if role == topic))
        own = tuple((at, box) for at, box in boxes if topic_of(box) == topic)
        if answers or own:
            questions.append(Question(topic, answers, own))
    return tuple(questions)


def _finding(name: str, severity: Severity, message: str, header: Header, artefact: str, at: int) -> Finding:
    locator = Locator(artefact, "row", header.row.number, header.row.offset, f"column {at + 1}")
    return Finding(f"survey.column.{name}", severity, locator, message)
