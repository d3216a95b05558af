"""What other programs make of a file of ours: pyx12's map of 005010X220A1, and linuxforhealth-x12's models."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from pyx12.params import ParamsBase
from pyx12.x12n_document import x12n_document

# linuxforhealth-x12 (last release 2022) asks for pydantic and means its first version.
REQUIREMENTS = ("linuxforhealth-x12==0.57.0", "pydantic==1.10.27")
_READ = """
import sys
from linuxforhealth.x12.io import X12ModelReader
for path in sys.argv[1:]:
    with X12ModelReader(path) as reader:
        for model in reader.models():
            print(len(model.loop_2000), model.footer.se_segment.transaction_segment_count)
"""


class PeerError(Exception):
    """The environment of the peer could not be made here; the message is pip's."""


def pyx12_errors(data: bytes) -> list[str]:
    """What pyx12 finds wrong: its errors as JSON for every set that it does not accept whole."""
    answer, errors = io.StringIO(), io.StringIO()
    accepted = x12n_document(ParamsBase(), io.StringIO(data.decode("ascii")), answer, None, None, errors)
    (interchange,) = json.loads(errors.getvalue())["interchanges"]
    parts = [interchange, *interchange["groups"], *(each for g in interchange["groups"] for each in g["transactions"])]
    wrong = [part for part in parts if part["errors"] or part.get("segments") or part.get("ack_code", "A") != "A"]
    return [json.dumps(part) for part in wrong] or ([] if accepted else ["not accepted"])


def linuxforhealth_counts(paths: list[Path], python: Path) -> list[tuple[int, int]]:
    """(members, SE01) of every set as linuxforhealth-x12 parses these files. Raises ValueError with its complaint."""
    done = subprocess.run([str(python), "-c", _READ, *map(str, paths)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr[-2000:])
    return [(int(members), int(segments)) for members, segments in map(str.split, done.stdout.splitlines())]


def linuxforhealth() -> Path:
    """The interpreter of an environment with linuxforhealth-x12, made once in the user's cache folder.

    Raises PeerError where it cannot be made.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fhir-equity"
    place = home / f"{REQUIREMENTS[0]}-python{sys.version_info[0]}.{sys.version_info[1]}"
    python, ready = place / "bin" / "python", place / "ready"
    if not ready.is_file():
        shutil.rmtree(place, ignore_errors=True)  # of a run that was stopped half way
        place.parent.mkdir(parents=True, exist_ok=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS]
        for command in ([sys.executable, "-m", "venv", str(place)], install):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise PeerError((done.stdout + done.stderr).strip()[-500:])
        ready.touch()
    return python
