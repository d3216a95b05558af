"""The command line: words in, one call of the pipeline, words out. Human words go to stderr."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

from fhir_equity.cli.ack import ack
from fhir_equity.cli.audit import audit
from fhir_equity.cli.codes import app as codes
from fhir_equity.cli.convert import convert
from fhir_equity.cli.demo import demo
from fhir_equity.cli.doctor import doctor
from fhir_equity.cli.explain import explain
from fhir_equity.cli.export import export
from fhir_equity.cli.hold import app as hold
from fhir_equity.cli.ingest import ingest
from fhir_equity.cli.init import init
from fhir_equity.cli.members import members
from fhir_equity.cli.merge import merge, unmerge
from fhir_equity.cli.options import Options, words
from fhir_equity.cli.purge import purge
from fhir_equity.cli.quarantine import app as quarantine
from fhir_equity.cli.questionnaire import questionnaire
from fhir_equity.cli.resolve import resolve
from fhir_equity.cli.retract import retract
from fhir_equity.cli.review import app as review
from fhir_equity.cli.sandbox import sandbox
from fhir_equity.cli.snapshot import app as snapshot
from fhir_equity.cli.split import split
from fhir_equity.cli.sync import app as sync
from fhir_equity.cli.trail import app as trail
from fhir_equity.cli.trail import disclosures
from fhir_equity.cli.verify import verify
from fhir_equity.cli.worklist import worklist
from fhir_equity.errors import FhirEquityError
from fhir_equity.pipeline.workspace import software
from fhir_equity.privacy import configure_logging, describe

app = typer.Typer(
    name="fhir-equity",
    help="Trustworthy race, ethnicity, language and SOGI data between plans, agencies and HIEs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    demo,
    init,
    doctor,
    ingest,
    audit,
    verify,
    members,
    worklist,
    explain,
    disclosures,
    resolve,
    retract,
    merge,
    unmerge,
    split,
    purge,
    convert,
    ack,
    questionnaire,
    sandbox,
    export,
):
    app.command()(command)
app.add_typer(codes, name="codes")
app.add_typer(quarantine, name="quarantine")
app.add_typer(hold, name="hold")
app.add_typer(review, name="review")
app.add_typer(trail, name="trail")
app.add_typer(snapshot, name="snapshot")
app.add_typer(sync, name="sync")

LEVELS = ("debug", "info", "warning", "error")
STOPPED, CLOSED = 130, 141  # what a shell says of SIGINT and SIGPIPE


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(software())
        raise typer.Exit


@app.callback()
def _global(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings (default ./equity.toml).")] = None,
    store: Annotated[str | None, typer.Option(metavar="URL", help="The store (default equity.db).")] = None,
    log_level: Annotated[str, typer.Option(help=f"One of {', '.join(LEVELS)}.")] = "warning",
    quiet: Annotated[bool, typer.Option("--quiet", help="No words on stderr but errors.")] = False,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    if log_level not in LEVELS:
        raise typer.BadParameter(f"--log-level takes one of {', '.join(LEVELS)}")
    configure_logging(log_level)
    context.obj = Options(config, store, quiet)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with the contract's exit code.

    0 done; 1 done but a gate failed; 2 wrong usage or configuration; 3 an input could not be read;
    4 the remote side unavailable; 5 internal error; 130 stopped; 141 who read standard output closed it.
    No traceback and no value of a record is shown.
    """
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    try:
        result = app(arguments, standalone_mode=False)
    except Abort:
        words.print("stopped", markup=False)
        return STOPPED
    except TyperException as error:
        if message := error.format_message().replace("Value error, ", ""):  # none where the help has been shown
            words.print(f"error: {message}", markup=False, soft_wrap=True)
        return 2
    except FhirEquityError as error:
        words.print(f"error: {error}", markup=False, soft_wrap=True)
        return error.exit_code
    except SystemExit:  # Typer's, where who read our standard output has closed it: not all was told, no gate was asked
        return CLOSED
    except OSError as error:  # a place that cannot be read or written: ours to name, not to explain
        name = Path(error.filename).name if isinstance(error.filename, str) else "a file"
        why = error.strerror or type(error).__name__
        words.print(f"error: {name} cannot be opened ({why})", markup=False, soft_wrap=True)
        return 2
    except Exception as error:  # noqa: BLE001 - the last stop: only class names and places are shown
        words.print(f"internal error: {describe(error)}", markup=False, soft_wrap=True)
        return 5
    return result if isinstance(result, int) else 0
