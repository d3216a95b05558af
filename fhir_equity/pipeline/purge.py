"""purge: what is too old to be kept goes, what is under hold stays, and a certificate says what went."""

from __future__ import annotations

import hashlib
import os
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from fhir_equity.errors import StoreError, TableError, UsageError
from fhir_equity.pipeline.workspace import Workspace, software
from fhir_equity.privacy import private_file
from fhir_equity.store import Cutoffs, Gone

SCHEMA = "fhir-equity/certificate/1"
POLICY = "policies/retention.toml"
Document = dict[str, Any]


class Purged(Struct, frozen=True):
    """What went (or would), before which dates by kind, and the SHA-256 of the certificate (empty for a dry run)."""

    gone: Gone
    cutoffs: Cutoffs
    certificate: str = ""


def purge(workspace: Workspace, before: str, certificate: Path | None = None, *, dry_run: bool = False) -> Purged:
    """Take what is older than an ISO date and than the retention policy keeps it at least, and certify what went.

    What each kind is, and what stays, is said in `store.purge`. Nothing under hold goes. The store is changed in one
    transaction, on the trail with the digest of the certificate; then the database overwrites what was deleted.
    The certificate is a new private file of counts, dates and digests of inputs, without any value. It is on the disk
    before the transaction ends: one whose digest is not on the trail is of a purge that did not come about. With
    `dry_run` nothing changes. Raises UsageError, also for a certificate that exists, TableError, StoreError, and
    StoreLockedError, also where what went is gone but others read the store, so that its files still have it.
    """
    workspace.require_store()
    cutoffs = _cutoffs(workspace, before)
    if dry_run:
        return Purged(workspace.store.purge.purge(cutoffs, workspace.judge, None), cutoffs)
    if certificate is None:
        raise UsageError("a purge is certified: name a file for it")
    try:
        file = private_file(certificate, exclusive=True)
    except FileExistsError:
        raise UsageError("the file for the certificate exists; a certificate is never overwritten") from None
    except OSError as error:
        raise UsageError(f"the file for the certificate cannot be made: {error.strerror}") from None
    digest = ""

    def certify(gone: Gone) -> dict[str, str | int]:
        nonlocal digest
        content = msgspec.json.format(msgspec.json.encode(_document(workspace, before, cutoffs, gone))) + b"\n"
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        digest = hashlib.sha256(content).hexdigest()
        return {"before": before, "certificate": digest, "policy": str(_policy(workspace)["version"])}

    try:
        with file:
            gone = workspace.store.purge.purge(cutoffs, workspace.judge, certify)
    except BaseException as error:
        if not digest:  # else the store may have taken it, and only its trail knows
            certificate.unlink()
        if isinstance(error, OSError):
            raise StoreError(f"the certificate cannot be written ({error.strerror}); nothing was purged") from None
        raise
    workspace.store.purge.scrub()
    return Purged(gone, cutoffs, digest)


def _policy(workspace: Workspace) -> Document:
    return workspace.vocabulary().tables.document(POLICY)


def _cutoffs(workspace: Workspace, before: str) -> Cutoffs:
    """For each kind the earlier of the date and of what the policy keeps."""
    try:
        day = date.fromisoformat(before)
    except ValueError:
        raise UsageError("--before takes an ISO date such as 2016-12-31") from None
    today = date.fromisoformat(workspace.as_of)
    if day > today:
        raise UsageError("--before is a day that has not come yet")
    policy = _policy(workspace)
    return Cutoffs(**{kind: min(day, _least(policy, kind, today)).isoformat() for kind in Cutoffs.__struct_fields__})


def _least(policy: Document, kind: str, today: date) -> date:
    years = policy.get(kind, {}).get("years")
    if not isinstance(years, int) or isinstance(years, bool) or not 0 <= years < today.year:
        raise TableError(f"{POLICY}: [{kind}] needs years, a whole number")
    try:
        return today.replace(year=today.year - years)
    except ValueError:  # the 29th of February
        return today.replace(year=today.year - years, day=28)


def _document(workspace: Workspace, before: str, cutoffs: Cutoffs, gone: Gone) -> Document:
    """What went: counts, dates, runs with the digests of their inputs. Never a value, nor anybody's name."""
    ran = {run.id: run for run in workspace.store.retractions.runs()}
    digests = workspace.store.purge.inputs_of(sorted(gone.runs))
    return {
        "schema": SCHEMA,
        "before": before,
        "as_of": workspace.as_of,
        "who": workspace.who,
        "software": software(),
        "policy": {"version": _policy(workspace)["version"], "before": msgspec.to_builtins(cutoffs)},
        "tables": workspace.versions()["tables"],
        "gone": dict(sorted(gone.counts.items())),
        "runs": [
            {
                "run": number,
                "partner": ran[number].partner,
                "as_of": ran[number].as_of,
                "rows": count,
                "inputs": digests.get(number, []),
            }
            for number, count in sorted(gone.runs.items())
        ],
        "people_under_hold": gone.held,
        "holds": [hold.id for hold in workspace.store.holds.all() if not hold.released_at],
    }
