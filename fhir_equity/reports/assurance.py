"""What an auditor asks of the data beside its numbers: scope, questions, sources, agreement, cases, age, codes."""

from __future__ import annotations

from fhir_equity.reports import labels
from fhir_equity.reports.figures import NOTHING, Document, count, counted, points, share_of
from fhir_equity.reports.sections import RACE_ETHNICITY, Section

VERSIONS = {
    "survivorship": "Survivorship policy",
    "release": "Release policy",
    "tables": "Digest of all tables",
}


# Points of an auditor's list that nothing is counted for, and why.
NOT_MEASURED = {
    "Imputed": "nobody (0 %): estimates are neither read nor kept, so every number is of answers as given; "
    "indirect is only what somebody observed",
    "Disability (DDM)": "a place kept for it: not measured, no question about disability is read",
}


def scope(document: Document) -> Section:
    """Whom and when the audit is about, under which rules, and what was read as of when."""
    run, versions = document.get("run", {}), document.get("run", {}).get("versions", {})
    programs = ", ".join(sorted(document.get("programs", {})))
    given = [
        ("People", count(document["population"]) if "population" in document else ""),
        ("Of partner", run.get("partner", "") or "all that were read"),
        ("Day of the audit", run.get("as_of", "")),
        ("Counted at", document.get("generated", "")),
        ("Who counts", "everybody in the inputs, once; of each program as its population says"),
        ("Programs", programs),
        ("Groups", "; ".join(run.get("by", ()))),
        ("Software", document.get("software", "")),
        *((words, versions.get(name, "")) for name, words in VERSIONS.items()),
        *NOT_MEASURED.items(),
        ("Limits", "No measure of care is part of this audit."),
    ]
    rows = tuple((name, value) for name, value in given if value) if versions else ()
    return Section("Scope", ("About", "This audit"), rows, words=2)


def fields(document: Document) -> Section:
    """Every topic asked for, whether it is sensitive, and to which question (wording and edition) people answered."""
    rows = []
    for key in labels.topics(document.get("topics", {})):
        questions = document["topics"][key].get("questions", {})
        sensitive = "yes" if labels.is_sensitive(key) else NOTHING
        for question, people in questions.items():
            rows.append((labels.topic(key), sensitive, question or "not stated by the source", count(people)))
    return Section(
        "Fields and questions", ("Topic", "Sensitive", "Question and edition", "People"), tuple(rows), words=3
    )


def scorecard(document: Document) -> Section:
    """How good what each source says is."""
    rows = [
        (
            each["source"],
            labels.topic(each["topic"]),
            ", ".join(each["cases"]) or NOTHING,
            count(each["answered"]),
            *(counted(each[name], each["answered"]) for name in ("not_mapped", "detailed", "stale", "dated")),
            counted(each["commonest"], each["answered"]),
        )
        for each in document.get("scorecard", ())
    ]
    names = ("Answered", "Without a code", "Detailed", "Old", "With a date", "Commonest answer")
    return Section("Scorecard of sources", ("Source", "Topic", "Suspicions", *names), tuple(rows), words=3)


def concordance(document: Document) -> Section:
    """How far sources agree with what people say of themselves, by category."""
    rows = []
    for topic, sources in document.get("concordance", {}).items():
        for source in sources:
            for each in source["categories"]:
                about = labels.language(document, each["category"])
                found, right = (each["both"] + each[missed] for missed in ("self_only", "source_only"))
                shares = (share_of(each["both"], whole) if whole else NOTHING for whole in (found, right))
                kappa = NOTHING if each["kappa"] is None else f"{each['kappa']:.2f}"
                rows.append((labels.topic(topic), source["source"], about, count(source["people"]), *shares, kappa))
    columns = ("Topic", "Source", "Category", "People", "Found by the source", "Right where it says so", "Kappa")
    return Section("Agreement with self-report", columns, tuple(rows), words=3)


def settled(document: Document) -> Section:
    """By which rule contradicting sources were decided between."""
    why = document.get("rules", {})
    rows = [
        (labels.topic(key), rule, why.get(rule, ""), count(people))
        for key in labels.topics(document.get("topics", {}))
        for rule, people in document["topics"][key].get("settled", {}).items()
    ]
    columns = ("Topic", "Rule", "Why it decides", "People")
    return Section("How sources that differ were decided between", columns, tuple(rows), words=3)


def cases(document: Document) -> Section:
    """What waits for a person to decide, and for how many days."""
    given = document.get("cases", ())
    bands = list(dict.fromkeys(name for each in given for name in each["days"]))
    rows = [
        (
            labels.topic(each["topic"]),
            each["kind"].replace("_", " "),
            each["oldest"] or NOTHING,
            count(each["decided"]),
            count(each["waiting"]),
            *(count(each["days"].get(name, 0)) for name in bands),
        )
        for each in given
    ]
    columns = ("Topic", "Case", "Waits since", "Decided", "Waiting", *(f"{name} days" for name in bands))
    return Section("Cases that wait for a decision", columns, tuple(rows), words=3)


def currency(document: Document) -> Section:
    """How old the answers are that count, in years."""
    topics = document.get("topics", {})
    bands = sorted({name for given in topics.values() for name in given.get("ages", {})}, key=_first)
    rows = []
    for key in labels.topics(topics):
        ages, answered = topics[key].get("ages", {}), topics[key]["states"].get("answered", 0)
        if ages:
            cells = (counted(ages.get(name, 0), answered) for name in bands)
            rows.append((labels.topic(key), count(answered), *cells, count(topics[key].get("undated", 0))))
    columns = ("Topic", "Answered", *(f"{name} years" for name in bands), "Without a date")
    return Section("Age of answers", columns, tuple(rows))


def _first(name: str) -> int:
    return int(name.rstrip("+").partition("-")[0])


def comparison(document: Document) -> Section:
    """How people are spread over categories here and in a population table."""
    rows = [
        (
            county["county"] or "all",
            each["category"],
            *(points(each[name]) for name in ("share", "population_share", "difference")),
        )
        for county in document.get("population_comparison", ())
        for each in county["categories"]
    ]
    columns = ("County", "Category", "Here", "In the population", "Difference")
    return Section("Compared with a population table", columns, tuple(rows), words=2)


def unmapped(document: Document) -> Section:
    """Answers that no table has a code for."""
    topics = document.get("topics", {})
    rows = []
    for key in labels.topics(topics):
        answered, missing = topics[key]["states"].get("answered", 0), topics[key].get("unmapped")
        if key == RACE_ETHNICITY:
            missing = document.get("views", {}).get("omb2024", {}).get("without_category")
        if missing is not None and answered:
            rows.append((labels.topic(key), count(answered), counted(missing, answered)))
    return Section("Answers without a code", ("Topic", "Answered", "Without a code"), tuple(rows))
