"""Members go out in every version and come back: what they meant is the same, or the loss ledger says why not."""

from __future__ import annotations

import io

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_equity.adapters.fhir import ADAPTER, bind_bulk, validate
from fhir_equity.adapters.fhir.shape import parse
from fhir_equity.adapters.protocol import Context, Range
from fhir_equity.adapters.source import Source
from fhir_equity.model import Answer, Coding, Identifier, Member, Name, Origin, Outgoing, Received, State
from fhir_equity.vocabulary import Strategy
from tests.adapters.fhir.versions import VERSIONS, VOCABULARY, context, expressed

CODES = VOCABULARY.codes
CDCREC = [code for code, row in CODES.cdcrec.items() if not row["abstract"]]
DECLINED, DONT_KNOW = Coding("data-absent-reason", "asked-declined"), Coding("data-absent-reason", "asked-unknown")
ANSWERS = VOCABULARY.tables.rows("codes/answers.csv")
# Losses that only add: what was said is still there, with the category that a version or a receiver needs.
ADDED = {"us-core.category_added", "rollup-1997.mena_as_white", "rollup-1997.not_hispanic_derived"}
POOLS = {
    "race_ethnicity": [Coding("cdcrec", code) for code in CDCREC],
    "language_spoken": [Coding("bcp47", tag) for tag in ("en", "es-MX", "zh-Hant", "ase", "tl", "cnr")],
    "language_written": [Coding("bcp47", tag) for tag in ("en", "ar", "pt-BR")],
    "interpreter_needed": [Coding("interpreter", "true"), Coding("interpreter", "false")],
    "tribal_affiliation": [Coding("tribal-entity", code) for code in ("338", "91", "170")],
    **{
        topic: [
            Coding(r["system"], r["code"]) for r in VOCABULARY.tables.rows("codes/answers.csv") if r["topic"] == topic
        ]
        for topic in ("sexual_orientation", "gender_identity", "pronouns", "birth_sex", "recorded_sex", "sex")
    },
}
NOTHING = (State.UNKNOWN, set[str](), set[str]())
WORDS = st.sampled_from(["", "", "Kurmanji word", "one; two"])
ORIGINS = st.builds(
    Origin,
    method=st.sampled_from(["self", "proxy", "relayed", "observed", "unstated"]),
    collector=st.sampled_from(["plan", "provider", "other"]),
    standard=st.sampled_from(["", "omb2024"]),
    collected_on=st.sampled_from(["", "2026-01-02"]),
)


@st.composite
def answers(draw: st.DrawFn, topic: str) -> Received:
    """Codes of a topic, words, or why there is neither."""
    reason = draw(st.sampled_from([None, None, None, DECLINED, DONT_KNOW]))
    if reason is not None:
        return Received(topic, "test", (reason,))
    words = "" if topic == "sex" else draw(WORDS)
    most = 1 if topic in ("sex", "interpreter_needed") else 4
    codings = draw(st.lists(st.sampled_from(POOLS[topic]), min_size=0 if words else 1, max_size=most, unique=True))
    return Received(topic, "test", tuple(codings), words)


EVERYTHING = st.sets(st.sampled_from(sorted(POOLS))).flatmap(
    lambda topics: st.tuples(*(answers(topic) for topic in sorted(topics)))
)


def meant(received: list[Received]) -> dict[str, tuple[State, set[str], set[str]]]:
    """By matter its state, the codes and the words of its own."""
    found: dict[str, tuple[State, set[str], set[str]]] = {}
    for each in received:
        meaning = VOCABULARY.meaning(each)
        matter = CODES.topic(each.topic).matter
        state, codes, words = found.get(matter, (State.UNKNOWN, set(), set()))
        if meaning.state is not State.UNKNOWN or state is State.UNKNOWN:
            state = State.ANSWERED if State.ANSWERED in (state, meaning.state) else meaning.state
        codes = codes | {f"{c.coding.system}|{c.coding.code}" for c in meaning.concepts}
        words = words | {word for word in meaning.text.split("; ") if word}
        found[matter] = state, codes, words
    return found


def sent(
    version: str, received: tuple[Received, ...], origin: Origin, strategy: Strategy
) -> tuple[list[bytes], dict[str, set[str]]]:
    """The lines of one member, and by which rules something of a matter was lost."""
    member = Member("acme", "k", identifiers=(Identifier("urn:x", "1"),), name=Name("Ruiz", ("Ana",)))
    said, losses = expressed(version, *received, origin=origin, strategy=strategy)
    out = io.BytesIO()
    lost: dict[str, set[str]] = {}
    for loss in (*losses, *ADAPTER.write([Outgoing(member, said)], out, context(version))):
        if loss.topic:
            lost.setdefault(CODES.topic(loss.topic).matter, set()).add(loss.rule)
    return out.getvalue().splitlines(), lost


def back(lines: list[bytes]) -> Member:
    content = b"\n".join(lines) + b"\n"
    read = list(ADAPTER.read(Source("x.ndjson", lambda: io.BytesIO(content)), Range(), Context(guide=context().guide)))
    (member,) = (each for each in read if isinstance(each, Member))
    assert len(read) == 1, "everything that was written is read"
    assert {each.code.rpartition(".")[2] for each in member.findings} <= {"repeated"}
    return member


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(VERSIONS), EVERYTHING, ORIGINS, st.sampled_from(["faithful", "rollup-1997"]))
def test_what_was_meant_comes_back_or_is_a_loss(
    version: str, received: tuple[Received, ...], origin: Origin, strategy: Strategy
) -> None:
    lines, lost = sent(version, received, origin, strategy)
    for line in lines:
        resource, _ = parse(line)
        assert validate(resource, resource["resourceType"]) == []
    member = back(lines)
    before, after = meant(list(received)), meant([each.received for each in member.answers])
    for matter, (state, codes, words) in before.items():
        rules = lost.get(matter, set())
        if not rules:
            assert after.get(matter, NOTHING) == (state, codes, words), (matter, version)
        elif rules <= ADDED:
            assert (after[matter][0], after[matter][1] > codes) == (state, True)
            assert after[matter][2] - {"Not Hispanic or Latino (derived)"} == words
    assert set(after) <= {*before, "sex"}, "nothing is invented but the gender that a version requires"
    told(member.answers, origin)


def told(answers: tuple[Answer, ...], origin: Origin) -> None:
    """Who told it comes back with every answer but the administrative sex, of which nobody is asked."""
    for each in answers:
        if each.topic != "sex" and origin.method != "unstated":
            back = (each.origin.method, each.origin.collector, each.origin.collected_on)
            assert back == (origin.method, origin.collector, origin.collected_on)


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(VERSIONS), EVERYTHING, ORIGINS)
def test_a_folder_has_the_resources_of_the_lines(version: str, received: tuple[Received, ...], origin: Origin) -> None:
    lines, _ = sent(version, received, origin, "faithful")
    member = Member("acme", "k", identifiers=(Identifier("urn:x", "1"),), name=Name("Ruiz", ("Ana",)))
    files: dict[str, io.BytesIO] = {}
    said, _ = expressed(version, *received, origin=origin)
    pieces = map(ADAPTER.pieces(context(version)), [Outgoing(member, said)])
    for _ in bind_bulk(pieces, lambda name: files.setdefault(name, io.BytesIO()), context(version)):
        continue
    del files["manifest.json"]
    assert sorted(b"".join(file.getvalue() for file in files.values()).splitlines()) == sorted(lines)
