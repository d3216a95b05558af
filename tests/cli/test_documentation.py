"""Every command is documented, every documented command works, and what the README shows is what comes out."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer.main

import fhir_equity
from fhir_equity import cli
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Every command as it is typed: ``audit``, ``sync plan``, ..."""
    group = typer.main.get_command(cli.app)
    found = []
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found += [f"{name} {each}" for each in inner] if inner else [name]
    return sorted(found)


def test_every_command_is_a_heading_of_the_readme() -> None:
    headings = {line.strip("# ").strip("`") for line in README.splitlines() if line.startswith("### ")}
    assert headings == set(commands())


def test_every_command_has_help_and_every_option_says_what_it_is_for() -> None:
    group = typer.main.get_command(cli.app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        for each in getattr(command, "commands", {name: command}).values():
            assert each.help, name
            for parameter in each.params:
                assert parameter.name == "help" or getattr(parameter, "help", None), (name, parameter.name)


def test_every_verb_of_the_library_is_a_command() -> None:
    verbs = {name.replace("_", " ") for name in fhir_equity.__all__ if name[0].islower()}
    # `codes lookup` shows what the first three know; the others are `--engine spark` for who has a DataFrame.
    assert verbs - set(commands()) == {"lookup", "translate", "view", "audit frame", "normalize frame"}
    assert all(f"{name}(" in README for name in ("audit_frame", "normalize_frame"))
    for name in fhir_equity.__all__:
        assert inspect.getdoc(getattr(fhir_equity, name)), name


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "enrollment.834").write_bytes((ROOT / "fixtures/people/lebanese/enrollment.834").read_bytes())
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    for block in blocks:
        if "spark" not in block:  # a session is needed there
            exec(block, {})  # noqa: S102 - it is ours
    assert len(blocks) > 3
    assert capsys.readouterr().out.splitlines()[-1] == "1 ['not-there.834 does not exist']"
    assert [path.name for path in tmp_path.iterdir()] == ["enrollment.834"]


def _journey() -> list[tuple[str, list[str]]]:
    """The commands of the README's console blocks, in order, each with the output that follows it."""
    steps: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            elif line.strip():
                steps[-1][1].append(line)
    return steps


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Callable[[str], subprocess.CompletedProcess[bytes] | None]]:
    """Run a line of the README as a reader would type it; what ends in & goes on until the end."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FHIR_EQUITY_")}
    environment |= {"PATH": path, "COLUMNS": "100", "NO_COLOR": "1"}
    started: list[subprocess.Popen[bytes]] = []

    def run(command: str) -> subprocess.CompletedProcess[bytes] | None:
        if command.endswith("&"):
            words = shlex.split(command.rstrip("& "))
            server = subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
            started.append(server)
            assert server.stderr is not None
            assert b"Serving FHIR R4 at" in server.stderr.readline()
            return None
        return subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, timeout=600, check=False
        )

    yield run
    for server in started:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=600)


def test_every_command_of_the_readme_runs_and_says_what_is_printed_there(
    shell: Callable[[str], subprocess.CompletedProcess[bytes] | None],
) -> None:
    ran = [(command, output) for command, output in _journey() if not command.startswith(("make ", "git ", "cd "))]
    assert len(ran) >= 10
    for command, expected in ran:
        done = shell(command)
        if done is None:
            continue
        said = [" ".join(line.split()) for line in (done.stdout + done.stderr).decode().splitlines()]
        assert done.returncode in (0, 1), (command, said)
        missing = [line for line in expected if line != "..." and " ".join(line.split()) not in said]
        assert not missing, (command, missing, said)


def test_the_two_commands_of_the_set_up_are_there() -> None:
    assert "make demo" in README
    assert "make test" in README
    targets = (ROOT / "Makefile").read_text()
    assert "\ndemo:" in targets
    assert "\ntest:" in targets
