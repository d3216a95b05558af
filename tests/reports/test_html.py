"""The HTML page: complete, escaped, self-contained, accessible and the same every time."""

from __future__ import annotations

import re
import stat
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fhir_equity.errors import UsageError
from fhir_equity.quality.publish.document import Internal
from fhir_equity.reports.html import html, write_html
from tests.reports.test_programs import RDM

Document = dict[str, Any]
VOID = {"meta", "br", "link", "img", "input", "hr"}
HOSTILE = "<script>alert('x')</script>\"&{{ 7*7 }}"


class _Page(HTMLParser):
    """Checks nesting and collects elements, headings, tables and visible words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[tuple[int, str]] = []
        self.rows: list[list[str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.words.append(data)
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def titles(self) -> list[str]:
        return [text for level, text in self.headings if level == 2]


def test_every_part_is_there(document: Document) -> None:
    assert _Page(html(document)).titles() == [
        "What was read",
        "Completeness by topic",
        "Completeness by source",
        "Race and ethnicity, OMB 2024",
        "Race and ethnicity, OMB 1997",
        "Languages",
        "Programs",
        "Groups",
        "Findings",
        "Corrective actions",
        "Mapping and losses",
        "How to read this page",
    ]


def test_the_numbers(document: Document) -> None:
    page = _Page(html(document))
    for row in (
        ["survey.csv", "survey", "fedcba987654", "3,345", "4"],
        ["Asian", "1,000 (10.1%)", "900 (9.1%)"],
        ["Ethnicity", "Hispanic or Latino", "3,210"],
        ["Spanish (es)", "2,000 (28.6%)"],
        ["partner: north", "9,000", "6,876 (76.4%)", "272 (3.0%)", "4,500 (50.0%)"],
        ["x12.dmg05.not_in_code_list", "error", "Not a code of list 1109", "50"],
        ["omb2024-to-omb1997:mena", "wider", "4"],
        ["codes/cdcrec.csv", "1.3"],
    ):
        assert row in page.rows
    assert "With a detailed category beyond the minimum ones: 12.5% (1,234 of 9,876)." in page.text
    assert "4,321 bridged: not Hispanic or Latino, or White, is derived." in page.text
    assert "17 cannot be bridged: their answer to one question for both names no race of this standard." in page.text
    assert "for this table and for programs that count by this standard" in page.text  # rdm-style derives as much
    assert "Made on 2026-11-21 22:05 UTC with fhir-equity 0.1.0." in page.text


def test_headline_figures(document: Document) -> None:
    text = _Page(html(document)).text
    assert (
        "This audit covers 12,345 people. Race and ethnicity: 80.0% answered, 5.0% declined to answer."
        " Spoken language: 56.7% answered." in text
    )
    assert "People 12,345 2 inputs, 7 records rejected" in text
    assert "Race and ethnicity declined 5.0% 617 of 12,345 people" in text
    assert "Spoken language answered 56.7% 7,000 of 12,345 people" in text


def test_one_is_singular() -> None:
    inputs = [{"name": "a", "members": 1, "rejected": 1}]
    topics = {"race_ethnicity": {"states": {"answered": 1}}}
    text = _Page(
        html({"schema": "fhir-equity/audit/1", "population": 1, "run": {"inputs": inputs}, "topics": topics})
    ).text
    assert "covers 1 person." in text
    assert "1 input, 1 record rejected" in text
    assert "1 of 1 person" in text


def test_internal_numbers_say_so_on_every_page(document: Document) -> None:
    page = html(document)
    assert page.count("Internal: counts are not suppressed") == 3
    assert "Published" not in page
    assert re.search(r"\.running \{ display: table-header-group;", page)


def test_published_numbers_say_so(document: Document) -> None:
    page = html({**document, "audience": "published"})
    assert page.count("Published: small counts are suppressed") == 3
    assert "Internal" not in page


def test_withheld_counts(document: Document) -> None:
    document["topics"]["race_ethnicity"]["states"]["declined"] = None
    document["views"]["omb2024"]["categories"]["Asian"] = {"any": None, "alone": None}
    document["views"]["omb2024"]["multiracial_or_multiethnic"] = None
    page = _Page(html(document))
    assert ["Asian", "suppressed", "suppressed"] in page.rows
    assert ["Multiracial and/or Multiethnic", "\N{EN DASH}", "suppressed"] in page.rows
    assert "Race and ethnicity declined suppressed" in page.text


def test_a_withheld_population(bare: Document) -> None:
    page = _Page(html({**bare, "population": None}))
    assert "The number of people is withheld." in page.text
    assert "People suppressed" in page.text


def test_nobody_and_nothing(bare: Document) -> None:
    page = _Page(html(bare))
    assert page.titles() == ["What was read", "Completeness by topic", "Findings", "How to read this page"]
    assert "There are no members in this audit." in page.text
    assert "The audit lists no inputs." in page.text
    assert "The audit has no topics." in page.text
    assert "Nothing was found wrong." in page.text
    assert "0 inputs, 0 records rejected" in page.text
    assert not [tag for tag, _ in page.elements if tag == "svg"]


def test_topics_of_nobody(document: Document) -> None:
    document["population"] = 0
    document["topics"] = {"race_ethnicity": {"states": {}}, "language_spoken": {"states": {}, "values": {}}}
    document["views"] = {"omb2024": {"answered": 0, "categories": {}}, "omb1997": {}}
    page = _Page(html(document))
    assert "Race and ethnicity answered no members 0 of 0 people" in page.text
    assert ["Race and ethnicity", "0"] in page.rows
    assert ["White", "0", "0"] in page.rows
    assert not [tag for tag, _ in page.elements if tag == "svg"]


@pytest.mark.parametrize(
    "part", ["run", "topics", "views", "strata", "programs", "findings", "losses", "generated", "software", "editions"]
)
def test_any_part_may_be_missing(part: str, document: Document) -> None:
    del document[part]
    assert _Page(html(document)).headings[0] == (1, "Equity data audit")


def test_hostile_words_stay_words(document: Document) -> None:
    plain = _Page(html(document))
    document["run"]["inputs"][0] |= {"name": HOSTILE, "format": HOSTILE, "sha256": HOSTILE}
    document["findings"][0] |= {"code": HOSTILE, "severity": HOSTILE, "message": HOSTILE}
    document["losses"][0] |= {"rule": HOSTILE, "relationship": HOSTILE}
    document["strata"][0]["by"] = {HOSTILE: HOSTILE}
    document["programs"] = {HOSTILE: document["programs"]["ncqa-rdm-style"]}
    document["editions"] = {HOSTILE: HOSTILE, "second": "1"}
    document["languages"]["es"] = HOSTILE
    document["topics"][HOSTILE] = document["topics"].pop("sex")
    document["topics"]["race_ethnicity"]["sources"][0]["source"] = HOSTILE
    document["views"]["omb2024"]["categories"][HOSTILE] = {"any": 1, "alone": 1}
    document["views"]["omb1997"]["race"][HOSTILE] = 1
    document |= {"generated": HOSTILE, "software": HOSTILE, "audience": HOSTILE}
    text = html(document)
    page = _Page(text)
    assert "<script" not in text
    assert {tag for tag, _ in page.elements} == {tag for tag, _ in plain.elements}
    assert [HOSTILE, HOSTILE, HOSTILE[:12], "9,000", "3"] in page.rows
    assert [HOSTILE, HOSTILE, HOSTILE, "2,000"] in page.rows


def test_nothing_from_elsewhere_and_no_script(document: Document) -> None:
    text = html(document)
    assert "://" not in text
    assert "@import" not in text
    assert "url(" not in text
    for tag, attributes in _Page(text).elements:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "href", "xlink:href")]


def test_same_document_same_page(document: Document) -> None:
    assert html(document) == html(document)


def test_every_heading_follows_its_parent(document: Document) -> None:
    page = _Page(html(document))
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.elements[0] == ("html", {"lang": "en"})


def test_every_chart_has_words_and_every_table_headers(document: Document) -> None:
    text = html(document)
    drawings = re.findall(r"<svg .*?</svg>", text, flags=re.DOTALL)
    assert len(drawings) == 5
    for drawing in drawings:
        assert re.match(r'<svg role="img" [^>]*><title>[^<]+</title><desc>[^<]+</desc>', drawing)
    assert "<desc>Race and ethnicity: People 12,345, Answered 9,876 (80.0%), Declined 617 (5.0%)" in drawings[0]
    assert "<desc>plan/unstated: People 9,000, Answered 6,000 (66.7%)" in drawings[1]
    assert text.count("<table") == text.count("<caption>") == text.count("<thead>") == 16
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in _Page(text).elements if tag == "th")


def test_no_claim_of_certification(document: Document) -> None:
    text = html(document)
    assert "compliant" not in text.lower()
    assert "neither certified by a program nor a submission to one" in text


def test_only_an_audit_is_accepted() -> None:
    with pytest.raises(UsageError, match="schema fhir-equity/audit/1"):
        html({"schema": "something else"})


@pytest.mark.parametrize("name", ["altair", "jinja2", "vl_convert"])
def test_without_the_extra(name: str, document: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=re.escape("install fhir-equity[reports]")):
        html(document)


def test_the_file_is_private_and_holds_the_page(document: Document, tmp_path: Path) -> None:
    path = tmp_path / "audit.html"
    write_html(Internal(document), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text(encoding="utf-8") == html(document)


def test_a_file_name_that_is_not_unicode_can_be_written(document: Document, tmp_path: Path) -> None:
    document["run"]["inputs"][0]["name"] = b"caf\xe9.834".decode("utf-8", "surrogateescape")
    write_html(Internal(document), tmp_path / "audit.html")
    assert "caf\\udce9.834" in (tmp_path / "audit.html").read_text(encoding="utf-8")


def test_programs_have_their_tables_and_what_they_rest_on(document: Document) -> None:
    document["programs"]["rdm-style"] = RDM
    page = _Page(html(document))
    inner = [text for level, text in page.headings if level == 3]
    assert [text for text in inner if "rdm" in text or "program" in text.casefold()] == [
        "Completeness by program",
        "Program ncqa-rdm-style",
        "Program rdm-style",
        "Populations of the programs",
        "rdm-style: Race by source, Medicaid (4 people)",
        "What the programs rest on",
    ]
    assert ["Race direct", "Medicaid", "not met", "at least 20%", "12.5% (1 of 8)", "1"] in page.rows
    assert ["White", "3 (75.0%)", "0"] in page.rows
    assert ["rdm-style", "Race direct", "assumption", "a page", ""] in page.rows
