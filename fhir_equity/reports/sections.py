"""The tables of an audit report, neutral: words in rows and columns, for a page or for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from fhir_equity.model import Method, Severity, State
from fhir_equity.reports import labels
from fhir_equity.reports.figures import NOTHING, Document, Filled, count, counted, filled, topic_filled, total
from fhir_equity.reports.states import LOOKS, REST_LABEL

RACE_ETHNICITY = "race_ethnicity"
SPOKEN = "language_spoken"
# Counts of the OMB 2024 view that are people rather than categories; the first is SPD 15's own term.
OMB2024_PEOPLE = (
    ("multiracial_or_multiethnic", "Multiracial and/or Multiethnic"),
    ("without_category", "Answered without an OMB category"),
)
MOST_LANGUAGES = 15
READ = ("members", "rejected")
RELEASE = (
    ("floor", "Least count but 0 that is shown"),
    ("sensitive_floor", "The same for sexual orientation and gender"),
    ("hidden_small", "Counts hidden for being small, or in a small group"),
    ("hidden_to_protect", "Counts hidden to protect those"),
    ("attacked", "Hidden counts attacked, those included that nobody prints"),
    ("width", "Apart that each of them can be at least, as far as a reader knows"),
    ("found", "Found out"),
    ("earlier", "Earlier publications compared"),
)
SEVERITIES = tuple(reversed(Severity))


class Section(Struct, frozen=True):
    """A table: the first `words` columns hold words, the others numbers. No rows means nothing to report."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


def inputs(document: Document) -> Section:
    """What was read: files with their format, digest and counts, and a total where there are several."""
    given = document.get("run", {}).get("inputs", [])
    rows = [
        (i["name"], i.get("format", ""), i.get("sha256", "")[:12], *(count(i.get(what, 0)) for what in READ))
        for i in given
    ]
    if len(rows) > 1 and all(i.get(what, 0) is not None for i in given for what in READ):
        sums = (count(total(i.get(what, 0) for i in given)) for what in READ)
        rows.append((f"All {count(len(given))} inputs", "", "", *sums))
    return Section("Inputs", ("Input", "Format", "SHA-256", "Members", "Rejected"), tuple(rows), words=3)


def release(document: Document) -> Section:
    """How a published document was made fit to publish, and what the attack on it found."""
    given = document.get("release", {})
    rows = [(words, count(given[name])) for name, words in RELEASE if name in given]
    rows += [("Left out", name) for name in given.get("left_out", ())]
    return Section("Suppression, and the attack on it", ("", "Result"), tuple(rows))


def topics_filled(document: Document) -> list[Filled]:
    """Every topic of the document and how far it is filled, in the order of the table of topics."""
    keys = labels.topics(document.get("topics", {}))
    found = (topic_filled(document, key, labels.topic(key)) for key in keys)
    return [row for row in found if row is not None]


def sources_filled(document: Document, topic: str) -> list[Filled]:
    """How far each source of a topic fills it, in the order of the document."""
    given = document.get("topics", {}).get(topic, {}).get("sources", [])
    return [filled(source["source"], source.get("states", {}), source.get("population")) for source in given]


def completeness(document: Document) -> Section:
    """People per topic and state."""
    rows = topics_filled(document)
    return _state_table("Completeness by topic", ("Topic",), [((row.label,), row) for row in rows])


def sources(document: Document) -> Section:
    """People per topic, source and state."""
    rows = [
        ((labels.topic(key), row.label), row)
        for key in labels.topics(document.get("topics", {}))
        for row in sources_filled(document, key)
    ]
    return _state_table("Completeness by source", ("Topic", "Source"), rows)


def _state_table(title: str, names: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], Filled]]) -> Section:
    """One column per state that anybody is in, always in the order of LOOKS."""
    rows = list(rows)
    used = [look for look in LOOKS if any(row.number(look.state) != 0 for _, row in rows)]
    rest = any(row.rest for _, row in rows)
    columns = (*names, "People", *(look.label for look in used), *([REST_LABEL] if rest else []))
    lines = []
    for name, row in rows:
        cells = [counted(row.number(look.state), row.people) for look in used]
        cells += [counted(None if row.withheld else row.rest, row.people)] if rest else []
        lines.append((*name, count(row.people), *cells))
    return Section(title, columns, tuple(lines), words=len(names))


def methods(document: Document) -> Section:
    """How the answers came about, per topic."""
    entries = [(key, document["topics"][key].get("methods", {})) for key in labels.topics(document.get("topics", {}))]
    rows = []
    for key, given in entries:
        whole = None if None in given.values() else total(given.values())
        if given:
            shares = (counted(given.get(method, 0), whole) for method in Method)
            rows.append((labels.topic(key), count(whole), *shares))
    columns = ("Topic", "Answers", *(method.capitalize() for method in Method))
    return Section("How answers were obtained", columns, tuple(rows))


def omb2024(document: Document) -> Section:
    """People per OMB 2024 category, alone or in combination and alone, as shares of those who answered."""
    view = document.get("views", {}).get("omb2024", {})
    answered, given = view.get("answered"), view.get("categories", {})
    rows = []
    for name in labels.omb2024(given) if view else []:
        entry = given.get(name, {})
        rows.append((name, *(counted(entry.get(way, 0), answered) for way in ("any", "alone"))))
    for key, name in OMB2024_PEOPLE:
        if key in view:
            rows.append((name, NOTHING, counted(view[key], answered)))
    columns = ("Category", "Alone or in combination", "Alone")
    return Section("Race and ethnicity, OMB 2024", columns, tuple(rows))


def combinations(document: Document) -> Section:
    """Which categories people chose together, the most frequent first."""
    view = document.get("views", {}).get("omb2024", {})
    several = view.get("multiracial_or_multiethnic")
    rows = [
        (" + ".join(given["categories"]), counted(given["count"], several)) for given in view.get("combinations", [])
    ]
    return Section("Categories in combination", ("Categories", "People"), tuple(rows))


def detailed(document: Document) -> Section:
    """People of each detailed group, by category; somebody may be of several."""
    given, names = document.get("views", {}).get("detailed", {}), document.get("groups", {})
    rows = []
    for code, number in given.items():
        known = names.get(code, {"category": NOTHING, "group": code})
        rows.append((known["category"], known["group"], code, count(number)))
    columns = ("Category", "Group", "Code", "People")
    return Section("Detailed groups", columns, tuple(sorted(rows, key=lambda row: row[0])), words=3)


def omb1997(document: Document) -> Section:
    """People per OMB 1997 category of each of the two questions."""
    view = document.get("views", {}).get("omb1997", {})
    rows = []
    for question in ("ethnicity", "race"):
        given = view.get(question, {})
        names = labels.omb1997(question, given) if view else []
        rows += [(labels.topic(question), name, count(given.get(name, 0))) for name in names]
    return Section("Race and ethnicity, OMB 1997", ("Question", "Category", "People"), tuple(rows), words=2)


def languages(document: Document, topic: str) -> Section:
    """The most frequent languages of a topic, as shares of those who answered, and the others together."""
    entry = topic_filled(document, topic, "")
    answered = entry.number(State.ANSWERED) if entry else None
    rows = tuple((name, counted(number, answered)) for name, number in language_counts(document, topic))
    return Section(labels.topic(topic), ("Language", "People"), rows)


def language_counts(document: Document, topic: str) -> list[tuple[str, int | None]]:
    """Languages by name with their people, most frequent first, the rarer ones in one row."""
    given = document.get("topics", {}).get(topic, {}).get("values", {})
    ordered = sorted(given, key=lambda code: (-(given[code] or 0), code))
    found = [(labels.language(document, code), given[code]) for code in ordered[:MOST_LANGUAGES]]
    if rare := ordered[MOST_LANGUAGES:]:
        together = None if None in (given[code] for code in rare) else total(given[code] for code in rare)
        found.append((f"Other languages: {len(rare)}", together))
    return found


def strata(document: Document) -> Section:
    """Completeness within groups of people."""
    rows = []
    for stratum in document.get("strata", []):
        name = ", ".join(f"{key}: {value}" for key, value in sorted(stratum["by"].items()))
        people = stratum.get("population")
        race, spoken = (topic_filled(stratum, key, "") for key in (RACE_ETHNICITY, SPOKEN))
        wanted = ((race, State.ANSWERED), (race, State.DECLINED), (spoken, State.ANSWERED))
        cells = (NOTHING if row is None else counted(row.number(state), row.people) for row, state in wanted)
        rows.append((name, count(people), *cells))
    columns = ("Group", "People", "Race and ethnicity answered", "Declined", "Spoken language answered")
    return Section("Groups", columns, tuple(rows))


def findings(document: Document) -> Section:
    """What is wrong with the data, worst and most frequent first."""
    given = sorted(document.get("findings", []), key=lambda f: (_badness(f["severity"]), -(f["count"] or 0), f["code"]))
    told = any(finding.get("message") for finding in given)
    rows = []
    for finding in given:
        message = (finding.get("message", ""),) if told else ()
        rows.append((finding["code"], finding["severity"], *message, count(finding["count"])))
    columns = ("Finding", "Severity", *(("What it means",) if told else ()), "Count")
    return Section("Findings", columns, tuple(rows), words=len(columns) - 1)


def _badness(severity: str) -> int:
    return SEVERITIES.index(Severity(severity)) if severity in SEVERITIES else len(SEVERITIES)


def losses(document: Document) -> Section:
    """What a translation could not carry over, by rule."""
    given = sorted(document.get("losses", []), key=lambda loss: (-(loss["count"] or 0), loss["rule"]))
    rows = ((loss["rule"], loss.get("relationship", ""), count(loss["count"])) for loss in given)
    return Section("Losses", ("Rule", "The target is", "Count"), tuple(rows), words=2)


def editions(document: Document) -> Section:
    """The edition of every table that decided something."""
    rows = sorted(document.get("editions", {}).items())
    return Section("Editions of the tables", ("Table", "Edition"), tuple(rows), words=2)
