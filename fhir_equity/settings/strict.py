"""What all settings share: unknown names are refused, secrets are named and never held."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from fhir_equity.errors import UsageError


class Strict(BaseModel):
    """A table of equity.toml that knows all its names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def secret(what: str, file: Path | None, variable: str) -> str:
    """A secret from its file, else from its environment variable; empty when none is named.

    Raises UsageError when one is named and missing; the message never quotes it.
    """
    if file is not None:
        try:
            value = file.read_text(encoding="utf-8-sig").strip()
        except OSError as error:
            raise UsageError(f"the {what} file cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:  # of which the message quotes the file
            raise UsageError(f"the {what} file is not text") from None
        if not value:
            raise UsageError(f"the {what} file is empty")
        return value
    if variable:
        value = os.environ.get(variable, "").strip()
        if not value:
            raise UsageError(f"the environment variable {variable} is not set")
        return value
    return ""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by name or address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
