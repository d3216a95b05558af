"""doctor: is everything here that the settings ask for, and is it as it should be? Nothing is changed."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct

from fhir_equity.errors import FhirEquityError
from fhir_equity.pipeline.codes_lint import lint
from fhir_equity.pipeline.workspace import Workspace, software
from fhir_equity.privacy import key_from
from fhir_equity.settings import Settings, load

OK, NOTE, WRONG = "ok", "note", "wrong"
OTHERS = 0o077  # what anybody but the owner may do with a file
# What each extra brings, by the module that shows it is there.
EXTRAS = {
    "reports": "jinja2",
    "sandbox": "starlette",
    "postgresql": "psycopg",
    "encrypted": "sqlcipher3",
    "xml": "lxml",
    "requests": "requests",
    "parquet": "pyarrow",
    "spark": "pyspark",
    "telemetry": "opentelemetry",
}


class Check(Struct, frozen=True):
    """One thing looked at. `state` is ``ok``, ``note`` (as it may be) or ``wrong``; `words` hold no value."""

    name: str
    state: str
    words: str


def doctor(config: Path | None = None, store: str | None = None) -> list[Check]:
    """Look at the environment, the settings, the tables, the store and its files. Raises nothing of its own."""
    return list(_checks(config, store))


def _checks(config: Path | None, store: str | None) -> Iterator[Check]:
    yield Check("environment", OK, f"{software()}, Python {platform.python_version()}, {platform.system()}")
    try:
        settings = load(config, store)
    except FhirEquityError as error:
        yield Check("settings", WRONG, str(error))
        return
    yield Check("settings", OK, _named(config))
    yield from _extras(settings)
    yield from _tables(settings)
    yield from _store(settings)
    yield _pseudonyms(settings)
    yield from _modes(settings)


def _named(config: Path | None) -> str:
    name = config.name if config else "equity.toml"
    return name if config or Path(name).is_file() else "no equity.toml here; `fhir-equity init` writes one"


def _extras(settings: Settings) -> Iterator[Check]:
    there = {name: find_spec(module) is not None for name, module in EXTRAS.items()}
    yield Check("extras", OK, ", ".join(name for name, found in there.items() if found) or "none")
    wanted = {
        "postgresql": settings.store.url.startswith("postgresql"),
        "encrypted": bool(settings.store.key_file or settings.store.key_env),
        "requests": any(hie.library == "requests" for hie in settings.hie.values()),
    }
    for name, asked in wanted.items():
        if asked and not there[name]:
            yield Check("extras", WRONG, f"the settings need the extra {name}, which is not installed")


def _tables(settings: Settings) -> Iterator[Check]:
    try:
        problems = lint(settings.mappings.overlay)
    except FhirEquityError as error:
        problems = [str(error)]
    if problems:
        yield Check("tables", WRONG, f"{len(problems)} problems; `fhir-equity codes lint` lists them")
    else:
        yield Check("tables", OK, "no problem found")


def _store(settings: Settings) -> Iterator[Check]:
    from fhir_equity.store.connection import layout_of
    from fhir_equity.store.schema import VERSION
    from fhir_equity.store.sqlite import encrypted

    file = settings.store.file
    if file is not None and not file.exists():
        yield Check("store", NOTE, f"there is no {file.name} yet; `ingest` makes it")
        return
    try:
        layout = layout_of(settings.store.url, settings.store.key())
    except FhirEquityError as error:
        yield Check("store", WRONG, str(error))
        return
    if layout == VERSION:
        yield from _left_over(settings)
    older = "" if layout == VERSION else f", which the next command brings to {VERSION}"
    yield Check("store", OK, f"can be opened; layout {layout}{older}")
    if file is None:
        yield Check(
            "encryption", NOTE, "the server keeps the store; whether its disk is encrypted only its owner knows"
        )
    elif encrypted(file):
        yield Check("encryption", OK, "the store's file is encrypted (SQLCipher)")
    else:
        words = "the store's file is not encrypted; a new one is where the settings name a key (key_file, key_env)"
        yield Check("encryption", NOTE, words)


def _left_over(settings: Settings) -> Iterator[Check]:
    """The rows that a decision wrote which was killed; no fault where stores with decisions of their own share them."""
    from fhir_equity.pipeline.review_rows import left_over

    try:
        with Workspace(settings) as workspace:
            found = left_over(workspace)
    except FhirEquityError as error:
        yield Check("decided rows", WRONG, str(error))
        return
    if found:
        words = "whose note names a `review decide` that did not come to its end in this store, or was undone"
        after = "decide again, or take out what is no other store's"
        yield Check("decided rows", NOTE, f"{found} in the overlay {words}; {after}")


def _pseudonyms(settings: Settings) -> Check:
    path = settings.pseudonym_key
    file = settings.store.file
    if not path.exists():
        if file is not None and file.exists():
            return Check(
                "pseudonym key", WRONG, f"{path.name} is missing; with another key everybody gets another pseudonym"
            )
        return Check("pseudonym key", NOTE, f"there is no {path.name} yet; the first command that needs one makes it")
    try:
        key_from(path)
    except FhirEquityError as error:
        return Check("pseudonym key", WRONG, str(error))
    return Check("pseudonym key", OK, path.name)


def _modes(settings: Settings) -> Iterator[Check]:
    """The files that nobody else may read. Raises nothing for those that are not there."""
    kept = [settings.pseudonym_key, settings.store.key_file, *(hie.token_file for hie in settings.hie.values())]
    if settings.store.file is not None:
        kept += [settings.store.file.with_name(settings.store.file.name + end) for end in ("", "-wal", "-shm")]
    there = [path for path in kept if path is not None and path.exists()]
    open_ = [path for path in there if path.stat().st_mode & OTHERS]
    for path in open_:
        yield Check("file modes", WRONG, f"others may use {path.name}; chmod 600 it")
    if there and not open_:
        yield Check("file modes", OK, f"{len(there)} files are their owner's alone")
