"""Spans of OpenTelemetry (extra ``telemetry``): how long what took, how it ended, how much; never about whom.

They go to whatever provider the process has; without the library, or without a provider, nothing is made. An
error is named by its class: its words and its traceback stay here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

try:
    from opentelemetry import trace
    from opentelemetry.trace import Status, StatusCode
except ImportError:  # the extra is not installed
    trace = None  # type: ignore[assignment]

Attributes = dict[str, str | int]


@contextmanager
def span(name: str, **attributes: str | int) -> Iterator[Attributes]:
    """A span around what happens inside; what is put into the dictionary is told at its end."""
    told: Attributes = {}
    if trace is None:
        yield told
        return
    tracer = trace.get_tracer("fhir_equity")
    with tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as made:
        try:
            yield told
        except BaseException as error:
            made.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            _tell(made, told)


def _tell(made: Any, told: Mapping[str, str | int]) -> None:
    for name, value in told.items():
        made.set_attribute(name, value)
