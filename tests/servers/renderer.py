"""A renderer of others and a browser: a Questionnaire is shown, filled in as a person would, and answered."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.programs import PATIENCE

PROJECT = Path(__file__).with_name("lhc-forms")
PROGRAMS = ("node", "npm")  # Node 20 or newer
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

# LHC-Forms (U.S. National Library of Medicine, terms like BSD) shows the form; its package holds all of it, so
# that nothing it was made of is installed. playwright-core (Apache-2.0) drives the browser of this machine.
PACKAGES = {
    "lforms": (
        "40.1.3",
        "WLruTm+BcVnafC0rSAQ3/cNqhxvclBUxyBG68aub/uha2NaK9H8ZZcEXTTuORuGzzCt0wa7fvhuieZtcDIdPzQ==",
    ),
    "playwright-core": (
        "1.65.1",
        "hqPpz7blSMPxWVdoeE1yiBSzXsKiVOd2k+kjCvmUywD2GPO2Dd9HfcWnq9NN0GHbNZDFgZ9JfBFr+X5/BLo0qw==",
    ),
}


class RendererError(Exception):
    """The renderer could not be fetched or the form could not be filled in; the message is that of the program."""


@dataclass(frozen=True)
class Filled:
    """What came of it: the response, the text of each item on the screen, how many pixels stick out of it."""

    response: dict[str, Any]
    shown: dict[str, str]
    overflow: int
    errors: list[str]


@dataclass(frozen=True)
class Person:
    """Somebody before a screen of some width, and what they do: (linkId, choose | pick | write, words).

    After `patience` milliseconds they stop looking for what is not there.
    """

    steps: list[tuple[str, str, str]] = field(default_factory=list)
    width: int = 1200
    patient: dict[str, Any] | None = None
    patience: int = 120_000


def browser() -> str:
    """The browser of this machine; empty where there is none."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), "")


def filled(folder: Path, questionnaire: dict[str, Any], person: Person, screenshot: Path | None = None) -> Filled:
    """Show a Questionnaire and fill it in. Raises RendererError."""
    request = {
        "questionnaire": questionnaire,
        "subject": person.patient,
        "width": person.width,
        "patience": person.patience,
        "steps": person.steps,
        "screenshot": str(screenshot or ""),
    }
    done = subprocess.run(
        ["node", str(PROJECT / "fill.mjs"), str(folder), browser()],
        input=json.dumps(request).encode(),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        raise RendererError(done.stderr.decode(errors="replace")[-2000:])
    return Filled(**json.loads(done.stdout))


def fetched() -> Path:
    """The folder with the packages and the page, fetched by npm when this machine has not done it yet.

    It stays in the user's cache folder, under the digest of versions and page, so that the checkout stays clean
    and the next run starts at once. Raises RendererError.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    target = home / "fhir-equity" / "renderer" / _digest()
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as made:
            whole = Path(made, "whole")
            whole.mkdir()
            for name, (version, integrity) in PACKAGES.items():
                _fetch(Path(made), name, version, integrity).rename(whole / name)
            shutil.copy(PROJECT / "form.html", whole)
            whole.rename(target)  # another run finds all of it or nothing
    return target


def _digest() -> str:
    said = json.dumps(PACKAGES).encode() + (PROJECT / "form.html").read_bytes()
    return hashlib.sha256(said).hexdigest()[:16]


def _fetch(made: Path, name: str, version: str, integrity: str) -> Path:
    """One package, checked and unpacked."""
    command = ["npm", "pack", f"{name}@{version}", "--silent", "--ignore-scripts", "--pack-destination", str(made)]
    done = subprocess.run(command, cwd=made, capture_output=True, text=True, check=False)
    archive = made / f"{name}-{version}.tgz"
    if done.returncode or not archive.is_file():
        raise RendererError(done.stderr.strip()[:500])
    if base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() != integrity:
        raise RendererError(f"{archive.name} is not what was published")
    folder = made / f"unpacked-{name}"
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / "package"
