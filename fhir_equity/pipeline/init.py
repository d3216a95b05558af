"""init: a commented equity.toml to start from."""

from __future__ import annotations

from pathlib import Path

from fhir_equity.errors import UsageError
from fhir_equity.privacy import private_file

NAME = "equity.toml"
TEMPLATE = """# What fhir-equity does here. Take the # away from what you need; README says more about each.
# Secrets never stand here: a setting names the file or the environment variable that holds one.

# partner = "acme"                    # whose data this is, where a command does not say

[store]
url = "equity.db"                     # or postgresql://user@host/database
# key_file = "store.key"              # encrypts a new store in SQLite; or key_env = "NAME OF A VARIABLE"

[audit]
programs = ["base"]                   # or rdm-style, tmsis, ... or a file of your own

# [mappings]
# overlay = "our-tables"              # your own rows, laid over ours

# [hie.state]
# url = "https://hie.example/fhir"
# recipient = "state"                 # its rules in policies/release.toml; without one nothing is sent
# identifier_systems = ["https://acme.example/member"]
# mode = "read-only"                  # contributor and editor write
# token_file = "hie.token"
"""


def init(folder: Path = Path()) -> Path:
    """Write equity.toml into a folder, made if it does not exist; returns its path. Raises UsageError."""
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with private_file(path, exclusive=True) as file:
            file.write(TEMPLATE.encode())
    except FileExistsError:
        raise UsageError(f"there is {NAME} in that folder already; it stays as it is") from None
    except OSError as error:
        raise UsageError(f"{NAME} cannot be written there: {error.strerror}") from None
    return path
