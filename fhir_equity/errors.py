"""Every error the package raises on purpose, sorted by what the caller should do next.

FhirEquityError
├── FatalError                stop: trying again changes nothing            (exit 5)
│   ├── UsageError            the call or the configuration is wrong        (exit 2)
│   │   └── TableError        a table in mappings/ or an overlay is broken  (exit 2)
│   └── StoreError            the store cannot be used by this program      (exit 2)
│       └── StoreVersionError the store was written by a newer program      (exit 2)
├── RetriableError            safe to run again as it is                    (exit 4)
│   ├── StoreLockedError      another process holds the store               (exit 4)
│   ├── StoreUnavailableError the store's server is away, or the line is    (exit 4)
│   ├── EngineError           a cluster or a worker gave up on a task       (exit 4)
│   └── RemoteError           the other side is unavailable or refuses      (exit 4)
│       └── RemoteContentError it answered something that is not FHIR       (exit 4)
└── SkippableError            this input is lost, the others go on          (exit 3)
    └── UnreadableError       an input could not be read at all             (exit 3)

Messages carry a locator (file, segment, row, path), never the value of a record.
"""


class FhirEquityError(Exception):
    """The root of all errors raised on purpose.

    `exit_code` is what the command line ends with when the error reaches it.
    """

    exit_code = 5


class FatalError(FhirEquityError):
    """Nothing will change by trying again."""


class UsageError(FatalError):
    """The call, an option or the configuration is wrong."""

    exit_code = 2


class TableError(UsageError):
    """A table of mappings/ or of an overlay is missing, malformed or contradicts itself."""


class StoreError(FatalError):
    """The store cannot be used."""

    exit_code = 2


class StoreVersionError(StoreError):
    """The store has a newer layout than this program knows."""

    exit_code = 2


class RetriableError(FhirEquityError):
    """Safe to run again without any change."""

    exit_code = 4


class StoreLockedError(RetriableError):
    """Another process is writing to the store."""


class StoreUnavailableError(RetriableError):
    """The server of the store cannot be reached, has no room, or the connection was lost."""


class EngineError(RetriableError):
    """A task failed on a cluster more often than it is tried, or a worker process was killed."""


class RemoteError(RetriableError):
    """The HIE's endpoint is unavailable or refuses the request."""


class RemoteContentError(RemoteError):
    """The HIE's endpoint answered, but not with FHIR JSON."""


class SkippableError(FhirEquityError):
    """One input is lost; the run goes on with the others."""

    exit_code = 3


class UnreadableError(SkippableError):
    """An input could not be read at all: empty, binary, not the format it claims to be."""
