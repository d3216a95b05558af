"""Keep people out of logs: an allow-list for log fields, keyed pseudonyms, private files.

Only this module configures logging. A log line is an event name and fields of `ALLOWED`; anything
else, and every record of another library, is left out rather than masked, because a value that was
never formatted cannot leak.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import IO

from fhir_equity.errors import UsageError

KEY_BYTES = 32
_PATIENCE = 2  # seconds for which whoever makes a key file may need to write it
_PAUSE = 0.01

# Fields a log line may carry: counts, codes, names of tables and positions. Never a value.
ALLOWED = frozenset(
    (
        *("artefact", "unit", "number", "offset", "bytes", "format", "partner", "hie", "run", "plan"),
        *("code", "severity", "rule", "table", "edition", "error", "status", "attempt", "seconds"),
        *("count", "members", "rejected", "answers"),
    )
)


class _Formatter(logging.Formatter):
    """``time level event key=value ...`` with allowed fields only; tracebacks as class names."""

    def format(self, record: logging.LogRecord) -> str:
        words = [self.formatTime(record), record.levelname.lower(), str(record.msg)]
        words += [f"{k}={_one_line(v)}" for k, v in sorted(record.__dict__.items()) if k in ALLOWED]
        if record.exc_info and record.exc_info[0]:
            words.append(f"error={record.exc_info[0].__name__}")
        return " ".join(words)


def _one_line(value: object) -> str:
    """A file name may hold a line break; a log line may not."""
    return "".join(c if c.isprintable() else "?" for c in str(value))


class _OwnRecords(logging.Filter):
    """Let only our own records pass: other libraries log URLs and payloads."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.name.split(".")[0] == "fhir_equity" and not record.args


def configure_logging(level: str, stream: IO[str] | None = None) -> None:
    """Send our log records at `level` and above to `stream` (default stderr), fields filtered.

    Raises UsageError for a level that does not exist.
    """
    if level.upper() not in logging.getLevelNamesMapping():
        raise UsageError("the log level is one of debug, info, warning, error, critical")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Formatter())
    handler.addFilter(_OwnRecords())
    own = logging.getLogger("fhir_equity")
    own.handlers[:] = [handler]
    own.propagate = False
    own.setLevel(level.upper())
    logging.getLogger().handlers[:] = [logging.NullHandler()]


def describe(error: BaseException) -> str:
    """An error in one line without any value: the classes of its chain and where it was raised."""
    words = []
    seen: BaseException | None = error
    while seen is not None:
        place = ""
        trace = seen.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        if trace is not None:
            place = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})"
        words.append(type(seen).__name__ + place)
        seen = seen.__cause__
    return " from ".join(words)


class Pseudonyms:
    """Keyed hashes of identifiers: the same key and value give the same 16 hex digits.

    Without the key nobody can test a guess, which a plain hash of a member number would allow.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    @property
    def secret(self) -> bytes:
        """The key itself, for whoever works elsewhere on the same run."""
        return self._key

    def __call__(self, *parts: str) -> str:
        """The pseudonym of an identifier given in parts (partner, key)."""
        return hmac.digest(self._key, _joined(parts), "sha256").hex()[:16]

    def uuid(self, *parts: str) -> str:
        """A keyed UUID of an identifier given in parts: the same for the same key, and no guess can be tested.

        https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-8
        """
        digits = hashlib.blake2b(_joined(parts), digest_size=16, key=self._key).hexdigest()
        return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"

    def digests(self, *parts: str) -> Callable[[str], bytes]:
        """Keyed hashes of eight bytes of the identifiers that start with `parts`, for compact sets of people.

        Cheaper than the pseudonym, and not equal to it.
        """
        start = hashlib.blake2b(_joined(parts), digest_size=8, key=self._key)

        def digest(last: str) -> bytes:
            hashed = start.copy()
            hashed.update(last.encode("utf-8", "surrogatepass"))
            return hashed.digest()

        return digest

    def numbers(self, *parts: str) -> Callable[[str], int]:
        """The same as numbers of 64 bits."""
        digest = self.digests(*parts)
        return lambda last: int.from_bytes(digest(last), "big")


def _joined(parts: tuple[str, ...]) -> bytes:
    """The parts with their lengths, so that no two lists of parts make the same bytes."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(8, "big") + part for part in encoded)


def key_from(path: Path) -> bytes:
    """Read the pseudonym key, or make one with private permissions where there is none.

    Raises UsageError for a file that holds no key or cannot be read or made.
    """
    try:
        if not path.exists():
            _make_key(path)
        key = bytes.fromhex(_written(path))
    except ValueError:  # of which the message may quote the file
        key = b""
    except OSError as error:
        raise UsageError(f"the key file {path} cannot be used: {error.strerror}") from None
    if len(key) != KEY_BYTES:
        raise UsageError(f"the key file {path} holds no key ({KEY_BYTES} bytes in hexadecimal)")
    return key


def _written(path: Path) -> str:
    """What a file says; one that is still empty is just being made by another process."""
    until = monotonic() + _PATIENCE
    while not (said := path.read_text(encoding="ascii").strip()) and monotonic() < until:
        sleep(_PAUSE)
    return said


def _make_key(path: Path) -> None:
    """Where another process was faster, its key stands."""
    with contextlib.suppress(FileExistsError), private_file(path, exclusive=True) as file:
        file.write(secrets.token_hex(KEY_BYTES).encode() + b"\n")


def private_file(path: Path, *, exclusive: bool = False) -> IO[bytes]:
    """Open a file for writing that only its owner may read (0600), whatever the umask.

    What stood there is replaced, or with `exclusive` raises FileExistsError. A device or a pipe
    keeps its permissions: /dev/null belongs to everybody.
    """
    flags = os.O_WRONLY | os.O_CREAT | (os.O_EXCL if exclusive else os.O_TRUNC)
    descriptor = os.open(path, flags, 0o600)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "wb")
