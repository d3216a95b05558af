"""Read the tables of mappings/, with overlays laid over them. The only module that knows the folder.

A table is named by its path below mappings/ (``codes/cdcrec.csv``). Overlays are folders with the
same relative paths: a partner's sheet ``partners/<partner>/`` first, then the user's own folder and
its ``partners/<partner>/``. CSV rows merge by the key that ``sources.toml`` declares for the table,
TOML documents merge key by key; a CSV row whose ``retired`` column says ``yes`` removes the row.
"""

from __future__ import annotations

import csv
import io
import tomllib
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from fhir_equity.errors import TableError

Row = dict[str, str]


def root() -> Traversable:
    """The folder of the built-in tables: inside the wheel, or beside the package in a checkout."""
    inside = resources.files("fhir_equity") / "mappings"
    if inside.is_dir():
        return inside
    return Path(__file__).resolve().parent.parent / "mappings"


def partners(overlay: Path | None = None) -> list[str]:
    """The partners with a folder of their own, in the built-in tables or in the user's overlay."""
    bases: list[Traversable] = [root(), *([overlay] if overlay is not None else [])]
    folders = [base / "partners" for base in bases]
    return sorted({place.name for folder in folders if folder.is_dir() for place in folder.iterdir() if place.is_dir()})


class Tables:
    """The built-in tables seen through the overlays of one partner and one user.

    `partner` selects ``partners/<partner>/``; `overlay` is the user's own folder, which wins.
    Every table is read once. Raises TableError for a missing or malformed table.
    """

    def __init__(self, partner: str = "", overlay: Path | None = None) -> None:
        self.partner = partner
        self.overlay = overlay
        self._rows: dict[str, tuple[Row, ...]] = {}
        self._documents: dict[str, dict[str, Any]] = {}
        if partner in (".", "..") or "/" in partner or "\\" in partner:
            raise TableError("the name of a partner is the name of one folder below partners/")
        if overlay is not None and not overlay.is_dir():
            raise TableError(f"the overlay folder {overlay} does not exist")

    @cached_property
    def layers(self) -> list[Traversable]:
        """Folders from the base to the one that wins."""
        bases: list[Traversable] = [root()]
        if self.overlay is not None:
            bases.append(self.overlay)
        layers: list[Traversable] = []
        for base in bases:
            layers.append(base)
            if self.partner:
                sheet = base / "partners" / self.partner
                if sheet.is_dir():
                    layers.append(sheet)
        # The base's partner sheet must not win over the user's own folder: order is already so.
        return layers

    @cached_property
    def sources(self) -> dict[str, Any]:
        """``sources.toml``: title, edition, licence and key of every table."""
        return self.document("sources.toml")

    def edition(self, name: str) -> str:
        """The edition of a table as ``sources.toml`` gives it."""
        entry = self.sources.get("table", {}).get(name)
        if entry is None:
            raise TableError(f"sources.toml has no entry for {name}")
        return str(entry["edition"])

    def names(self, folder: str, ending: str) -> list[str]:
        """The tables of one folder over all layers, sorted: ``names("crosswalks", ".csv")``."""
        found = set()
        for layer in self.layers:
            place = layer / folder
            if place.is_dir():
                found |= {f"{folder}/{p.name}" for p in place.iterdir() if p.name.endswith(ending)}
        return sorted(found)

    def rows(self, name: str) -> tuple[Row, ...]:
        """The merged rows of a CSV table, in file order. Keys and values are stripped strings."""
        if name not in self._rows:
            self._rows[name] = tuple(self._merged(name))
        return self._rows[name]

    def _merged(self, name: str) -> list[Row]:
        found = [layer / name for layer in self.layers if (layer / name).is_file()]
        if not found:
            raise TableError(f"the table {name} does not exist")
        if len(found) == 1:
            return [row for row in _read_csv(found[0], name) if row.get("retired") != "yes"]
        key = self.sources.get("table", {}).get(name, {}).get("key")
        if not key:
            raise TableError(f"{name} has an overlay but sources.toml declares no key for it")
        merged: dict[tuple[str, ...], Row] = {}
        columns: dict[str, str] = {}  # a column that only one layer has is empty in the others
        for place in found:
            for row in _read_csv(place, name):
                if not set(key) <= set(row):
                    raise TableError(f"{name}: an overlay needs the columns {', '.join(key)}")
                columns |= dict.fromkeys(row, "")
                at = tuple(row[column] for column in key)
                if row.get("retired") == "yes":
                    merged.pop(at, None)
                else:
                    merged[at] = {**merged.get(at, {}), **row}
        return [{**columns, **row} for row in merged.values()]

    def document(self, name: str) -> dict[str, Any]:
        """A TOML table, merged key by key over the layers; empty where no layer has it."""
        if name not in self._documents:
            merged: dict[str, Any] = {}
            for layer in self.layers:
                place = layer / name
                if place.is_file():
                    merged = _merge(merged, _read_toml(place, name))
            self._documents[name] = merged
        return self._documents[name]

    def has(self, name: str) -> bool:
        """Whether any layer has the table."""
        return any((layer / name).is_file() for layer in self.layers)


def _read_csv(place: Traversable, name: str) -> list[Row]:
    rows = []
    try:
        text = place.read_bytes().decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        for number, row in enumerate(reader, start=2):
            if None in row or None in row.values():
                raise TableError(f"{name}, row {number}: more or fewer cells than the header has")
            rows.append({key.strip(): value.strip() for key, value in row.items()})
    except (csv.Error, UnicodeDecodeError) as error:
        raise TableError(f"{name}: {error}") from error
    return rows


def _read_toml(place: Traversable, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(place.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TableError(f"{name}: {error}") from error


def _merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def own_tables(partner: str, overlay: Path | None = None) -> list[str]:
    """The CSV tables that a partner's own folders hold, built-in and in the user's overlay, sorted."""
    bases: list[Traversable] = [root(), *([overlay] if overlay is not None else [])]
    places = [base / "partners" / partner / folder for base in bases for folder in ("codes", "crosswalks")]
    found = {(place.name, file.name) for place in places if place.is_dir() for file in place.iterdir()}
    return sorted(f"{folder}/{name}" for folder, name in found if name.endswith(".csv"))
