"""Read the tables of mappings/, with overlays laid over them. The only module that knows the folder.

A table is named by its path below mappings/ (``codes/cdcrec.csv``). Overlays are folders with the
same relative paths: a partner's sheet ``partners/<partner>/`` first, then the user's own folder and
its ``partners/<partner>/``. CSV rows merge by the key that ``sources.toml`` declares for the table,
TOML documents merge key by key; a CSV row whose ``retired`` column says ``yes`` removes the row.
"""

from __future__ import annotations

import csv
import hashlib
import io
import tomllib
from collections.abc import Iterator
from functools import cached_property, lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NamedTuple

from fhir_equity.errors import TableError

Row = dict[str, str]

# The key of a crosswalk that only partners or users have, for which sources.toml has no entry.
CROSSWALK_KEY = ("applies_to", "source_system", "source_code", "target_code")

# What a folder of tables may hold; anything else is read by nobody.
PLACES = (
    *("codes", "crosswalks", "guides", "policies", "programs", "questionnaires", "partners"),
    *("attestation.toml", "sources.toml", "README.md"),
)


class Placed(NamedTuple):
    """A row with the file that had the last word on it and its line there, counted from 1."""

    row: Row
    file: str
    line: int


class Layer(NamedTuple):
    """One folder of tables under the name that a person knows it by."""

    name: str
    folder: Traversable


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
        self._placed: dict[str, tuple[Placed, ...]] = {}
        self._rows: dict[str, tuple[Row, ...]] = {}
        self._documents: dict[str, dict[str, Any]] = {}
        if partner in (".", "..") or "/" in partner or "\\" in partner:
            raise TableError("the name of a partner is the name of one folder below partners/")
        if overlay is not None and not overlay.is_dir():
            raise TableError(f"the overlay folder {overlay} does not exist")

    @cached_property
    def layers(self) -> list[Layer]:
        """Folders from the base to the one that wins: base, its partner, the user's own, its partner."""
        bases = [Layer("mappings", root())]
        if self.overlay is not None:
            bases.append(Layer(str(self.overlay), self.overlay))
        layers: list[Layer] = []
        for name, base in bases:
            layers.append(Layer(name, base))
            if self.partner:
                sheet = base / "partners" / self.partner
                if sheet.is_dir():
                    layers.append(Layer(f"{name}/partners/{self.partner}", sheet))
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
            place = layer.folder / folder
            if place.is_dir():
                found |= {f"{folder}/{p.name}" for p in place.iterdir() if p.name.endswith(ending)}
        return sorted(found)

    def rows(self, name: str) -> tuple[Row, ...]:
        """The merged rows of a CSV table, in file order. Keys and values are stripped strings."""
        if name not in self._rows:
            self._rows[name] = tuple(placed.row for placed in self.placed(name))
        return self._rows[name]

    def placed(self, name: str) -> tuple[Placed, ...]:
        """The merged rows of a CSV table, each with the file and line it came from."""
        if name not in self._placed:
            self._placed[name] = tuple(self._merged(name))
        return self._placed[name]

    def stacked(self, name: str) -> list[list[Placed]]:
        """The rows of each file of a CSV table before they are merged, retired ones too; the winner last."""
        return [_read_csv(layer, name) for layer in self._having(name)]

    def key(self, name: str) -> tuple[str, ...]:
        """The columns that identify a row of a CSV table; empty where nothing says it."""
        declared = self.sources.get("table", {}).get(name, {}).get("key")
        return tuple(declared or (CROSSWALK_KEY if name.startswith("crosswalks/") else ()))

    def _merged(self, name: str) -> list[Placed]:
        files = self.stacked(name)
        if not files:
            raise TableError(f"the table {name} does not exist")
        if len(files) == 1:
            return [placed for placed in files[0] if placed.row.get("retired") != "yes"]
        key = self.key(name)
        if not key:
            raise TableError(f"{name} has an overlay but sources.toml declares no key for it")
        merged: dict[tuple[str, ...], Placed] = {}
        columns: dict[str, str] = {}  # a column that only one layer has is empty in the others
        for row, file, line in (placed for rows in files for placed in rows):
            if not set(key) <= set(row):
                raise TableError(f"{name}: an overlay needs the columns {', '.join(key)}")
            columns |= dict.fromkeys(row, "")
            at = tuple(row[column] for column in key)
            if row.get("retired") == "yes":
                merged.pop(at, None)
            else:
                under = merged[at].row if at in merged else {}
                merged[at] = Placed({**under, **row}, file, line)
        return [placed._replace(row={**columns, **placed.row}) for placed in merged.values()]

    def checksum(self, name: str) -> str:
        """The SHA-256 of a built-in table as it stands in the base folder."""
        return hashlib.sha256((self.layers[0].folder / name).read_bytes()).hexdigest()

    def checksums(self) -> dict[str, str]:
        """The SHA-256 of every file of the built-in tables, and of the user's (``overlay/...``)."""
        found = _checksums(root(), "")
        return found if self.overlay is None else found | _checksums(self.overlay, "overlay/")

    def built_in(self, name: str) -> bool:
        """Whether the base has the table, and not only a partner or the user."""
        return (self.layers[0].folder / name).is_file()

    def overlaid(self, name: str) -> bool:
        """Whether more than one layer has the table."""
        return len(self._having(name)) > 1

    def unread(self) -> list[str]:
        """What stands in a folder of tables where nothing is ever looked for: a slip of the pen."""
        entries = ((layer.name, place.name) for layer in self.layers for place in layer.folder.iterdir())
        return sorted(f"{layer}/{name}" for layer, name in entries if name not in PLACES and not name.startswith("."))

    def _having(self, name: str) -> list[Layer]:
        return [layer for layer in self.layers if (layer.folder / name).is_file()]

    def document(self, name: str) -> dict[str, Any]:
        """A TOML table, merged key by key over the layers; empty where no layer has it."""
        if name not in self._documents:
            merged: dict[str, Any] = {}
            for layer in self._having(name):
                merged = _merge(merged, _read_toml(layer, name))
            self._documents[name] = merged
        return self._documents[name]

    def under(self, name: str, above: dict[str, Any]) -> dict[str, Any]:
        """A TOML table with one more layer above it."""
        return _merge(self.document(name), above)

    def settled(self, name: str) -> list[tuple[str, Any, str]]:
        """(dotted key, value, file) of a TOML table: which file had the last word on each key."""
        found: dict[str, tuple[Any, str]] = {}
        for layer in self._having(name):
            for dotted, value in _leaves(_read_toml(layer, name)):
                found[dotted] = (value, f"{layer.name}/{name}")
        return [(dotted, value, file) for dotted, (value, file) in found.items()]

    def has(self, name: str) -> bool:
        """Whether any layer has the table."""
        return bool(self._having(name))


def _read_csv(layer: Layer, name: str) -> list[Placed]:
    return list(_parsed(f"{layer.name}/{name}", (layer.folder / name).read_bytes()))


@lru_cache(maxsize=256)  # the built-in tables are those of every partner
def _parsed(file: str, content: bytes) -> tuple[Placed, ...]:
    rows = []
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = [name.strip() for name in next(reader, ())]
        for cells in reader:
            if cells and len(cells) != len(header):
                raise TableError(f"{file}, row {reader.line_num}: more or fewer cells than the header has")
            if cells:
                row = dict(zip(header, [cell.strip() for cell in cells], strict=True))
                rows.append(Placed(row, file, reader.line_num))
    except (csv.Error, UnicodeDecodeError) as error:
        raise TableError(f"{file}: {error}") from error
    return tuple(rows)


def _read_toml(layer: Layer, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads((layer.folder / name).read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TableError(f"{layer.name}/{name}: {error}") from error


def _leaves(document: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def fingerprint(overlay: Path | None = None) -> str:
    """A digest over every built-in table and every one of the user's own: which tables a program decides by."""
    digest = hashlib.sha256()
    for base in (root(), *([overlay] if overlay is not None else [])):
        for name, file in sorted(_files(base, "")):
            digest.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\0".encode())
        digest.update(b"\1")
    return digest.hexdigest()[:16]


def _files(folder: Traversable, above: str) -> Iterator[tuple[str, Traversable]]:
    for place in folder.iterdir():
        if place.is_dir():
            yield from _files(place, f"{above}{place.name}/")
        elif place.name.endswith((".csv", ".toml")):
            yield f"{above}{place.name}", place


def own_tables(partner: str, overlay: Path | None = None) -> list[str]:
    """The CSV tables that a partner's own folders hold, built-in and in the user's overlay, sorted."""
    bases: list[Traversable] = [root(), *([overlay] if overlay is not None else [])]
    places = [base / "partners" / partner / folder for base in bases for folder in ("codes", "crosswalks")]
    found = {(place.name, file.name) for place in places if place.is_dir() for file in place.iterdir()}
    return sorted(f"{folder}/{name}" for folder, name in found if name.endswith(".csv"))


def _checksums(folder: Traversable, prefix: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for place in sorted(folder.iterdir(), key=lambda each: each.name):
        if place.is_dir():
            found |= _checksums(place, f"{prefix}{place.name}/")
        elif place.name.endswith((".csv", ".toml")):
            found[prefix + place.name] = hashlib.sha256(place.read_bytes()).hexdigest()
    return found
