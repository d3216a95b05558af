"""Both libraries against real sockets: bad days, certificates, HTTP/2, proxies, and what is logged."""

from __future__ import annotations

import gzip
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests

from fhir_equity.errors import RemoteContentError, RemoteError, UsageError
from fhir_equity.settings import HieSettings, LimitSettings, TlsSettings
from fhir_equity.sync.client import Client, Conflict, OutcomeUnknownError
from fhir_equity.sync.pace import Pace
from fhir_equity.sync.session import SessionWire
from fhir_equity.sync.transport import Transport, UnavailableError
from tests.sync.conftest import sleep_as
from tests.sync.lines import Authority, answered, listening, request_of, talk_http2

PATIENT: dict[str, Any] = {"resourceType": "Patient", "id": "p1", "meta": {"versionId": "3"}}
BODY = orjson.dumps(PATIENT)
GOOD = answered("200 OK", BODY, 'ETag: W/"3"')
both = pytest.mark.parametrize("library", ["httpx", "requests"])


class Told:
    """A server that gives its answers one after the other, the last one for ever; what it was asked is in `asked`."""

    def __init__(self, *answers: bytes | Callable[[socket.socket], None]) -> None:
        self._answers = list(answers)
        self.asked: list[bytes] = []

    def __call__(self, line: Any) -> None:
        while request := request_of(line):
            self.asked.append(request)
            then = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            if callable(then):
                then(line)
                return
            line.sendall(then)


def reset(line: socket.socket) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


def silent(line: socket.socket) -> None:
    line.recv(1)  # until the other side has had enough


def truncated(line: socket.socket) -> None:
    line.sendall(answered("200 OK", BODY[:10], length=len(BODY)))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    waited: list[float] = []
    real = time.sleep
    sleep_as(monkeypatch, lambda s: waited.append(s) if s > 0.06 else real(s))
    return iter([waited])


def settings(port: int, **more: Any) -> HieSettings:
    return HieSettings(url=f"http://127.0.0.1:{port}/fhir", **more)


def patience(trouble: object) -> float:
    """Only who is silent has to be given up soon; a busy machine takes its time for the others."""
    return 1 if trouble is silent else 30


@both
@pytest.mark.parametrize("trouble", [reset, truncated, silent], ids=lambda each: each.__name__)
def test_what_breaks_on_the_way_is_asked_again(library: str, trouble: Any) -> None:
    told = Told(trouble, GOOD)
    with listening(told) as port, Client(settings(port, library=library, timeout=patience(trouble))) as client:
        found = client.read("Patient", "p1")
    assert found is not None
    assert (found.resource, found.etag) == (PATIENT, 'W/"3"')
    assert len(told.asked) == 2


@both
@pytest.mark.parametrize("trouble", [reset, truncated, silent], ids=lambda each: each.__name__)
def test_a_create_that_got_no_answer_is_not_sent_again(library: str, trouble: Any) -> None:
    told = Told(trouble, GOOD)
    with listening(told) as port, Client(settings(port, library=library, timeout=patience(trouble))) as client:
        with pytest.raises(OutcomeUnknownError, match="may have been carried out"):
            client.create({"resourceType": "Patient"})
        assert len(told.asked) == 1


@both
def test_nobody_there(library: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Client(settings(port, library=library, attempts=2)) as client:
        with pytest.raises(UnavailableError, match=r"^127\.0\.0\.1 cannot be reached \(") as caught:
            client.create({"resourceType": "Patient"})
        assert not caught.value.unsure


@both
def test_words_of_both_libraries_are_the_same(library: str) -> None:
    told = Told(GOOD)
    with listening(told) as port, Client(settings(port, library=library)) as client:
        client.update(PATIENT, 'W/"2"')
    head, _, body = told.asked[0].partition(b"\r\n\r\n")
    names = {row.partition(b":")[0].lower(): row.partition(b":")[2].strip() for row in head.split(b"\r\n")[1:]}
    assert head.startswith(b"PUT /fhir/Patient/p1 HTTP/1.1")
    assert (names[b"if-match"], names[b"accept"]) == (b'W/"2"', b"application/fhir+json")
    assert (names[b"content-type"], names[b"prefer"]) == (b"application/fhir+json", b"return=representation")
    assert (names[b"user-agent"], names[b"accept-encoding"]) == (b"fhir-equity", b"gzip")
    assert orjson.loads(body) == PATIENT
    assert b"authorization" not in names


@both
def test_answers_that_are_no_fhir(library: str) -> None:
    html = answered("200 OK", b"<html>MARKED</html>").replace(b"application/fhir+json", b"text/html")
    garbled = answered("200 OK", b"MARKED", "Content-Encoding: gzip")
    moved = answered("302 Found", b"", "Location: https://elsewhere.example/MARKED")
    told = Told(html, garbled, moved, answered("412 Precondition Failed", b""))
    with listening(told) as port, Client(settings(port, library=library)) as client:
        for kind, words in (
            (RemoteContentError, "not FHIR JSON"),
            (RemoteContentError, "cannot be decompressed"),
            (RemoteError, "redirects"),
        ):
            with pytest.raises(kind, match=words) as caught:
                client.read("Patient", "p1")
            assert "MARKED" not in str(caught.value)
        with pytest.raises(Conflict):
            client.update(PATIENT, 'W/"2"')
    assert len(told.asked) == 4


@both
def test_compressed_answers_are_read(library: str) -> None:
    told = Told(answered("200 OK", gzip.compress(BODY), "Content-Encoding: gzip"))
    with listening(told) as port, Client(settings(port, library=library)) as client:
        found = client.read("Patient", "p1")
    assert found is not None
    assert found.resource == PATIENT


@both
def test_certificates_of_both_sides(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, others = Authority(tmp_path), Authority(tmp_path, "other")
    certificate, key = ours.certificate("client", b"s3cret")
    monkeypatch.setenv("EQUITY_KEY", "s3cret")
    known = TlsSettings(ca_file=ours.file, certificate_file=certificate, key_file=key, key_password_env="EQUITY_KEY")
    with listening(Told(GOOD), ours.server(client=True)) as port:

        def asked(tls: TlsSettings) -> None:
            url = f"https://127.0.0.1:{port}/fhir"
            with Client(HieSettings(url=url, tls=tls, library=library, attempts=1)) as client:
                assert client.read("Patient", "p1") is not None

        asked(known)
        with pytest.raises(UnavailableError):  # the server does not know us
            asked(TlsSettings(ca_file=ours.file))
        for unknown in (TlsSettings(), known.model_copy(update={"ca_file": others.file})):
            with pytest.raises(UnavailableError, match="cannot be reached"):  # we do not know the server
                asked(unknown)
        monkeypatch.setenv("EQUITY_KEY", "wrong")
        for bad in (known, TlsSettings(ca_file=key), TlsSettings(ca_file=tmp_path / "none")):
            with pytest.raises(UsageError, match="cannot be used"):
                asked(bad)
        monkeypatch.delenv("EQUITY_KEY")
        with pytest.raises(UsageError, match="EQUITY_KEY is not set"):
            asked(known)


def test_http2_where_the_server_has_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ours, seen = Authority(tmp_path), list[dict[str, str]]()
    with listening(talk_http2(BODY, seen), ours.server(http2=True)) as port:
        url = f"https://127.0.0.1:{port}/fhir"
        with Client(HieSettings(url=url, tls=TlsSettings(ca_file=ours.file))) as client:
            assert [client.read("Patient", "p1") is None for _ in range(2)] == [False, False]
    assert [each[":path"] for each in seen] == ["/fhir/Patient/p1"] * 2
    assert [each.name for each in caplog.records if each.threadName == "MainThread"] == []  # the server logs too


@both
def test_nothing_is_logged(library: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = Told(answered("429 Too Many", b"", "Retry-After: 0"), GOOD)
    with listening(told) as port, Client(settings(port, library=library)) as client:
        client.read("Patient", "p1")
    assert {record.name for record in caplog.records} == {"stamina", "fhir_equity.sync.transport"}
    assert "p1" not in repr([record.__dict__ for record in caplog.records])


def test_a_session_of_ones_own(tmp_path: Path) -> None:
    seen: list[str] = []

    class Gateway(requests.adapters.HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
            seen.append(str(request.method))
            return super().send(request, *arguments, **options)

    session = requests.Session()
    session.mount("http://", Gateway())
    with listening(Told(GOOD)) as port:
        where = settings(port)
        with Client(where, SessionWire(where, session)) as client:
            assert client.read("Patient", "p1") is not None
    assert seen == ["GET"]


@both
def test_a_proxy_of_the_environment(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(answered("502 Bad Gateway", b""))
    monkeypatch.setenv("EQUITY_TOKEN", "t0ken")
    with listening(told) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        where = HieSettings(url="https://hie.example/fhir", token_env="EQUITY_TOKEN", library=library, attempts=1)
        with Client(where) as client, pytest.raises(UnavailableError, match="cannot be reached"):
            client.read("Patient", "p1")
    assert told.asked[0].startswith(b"CONNECT hie.example:443 ")
    assert b"t0ken" not in told.asked[0]


def test_a_log_in_of_netrc_does_not_take_the_place_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine localhost login other password other\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("EQUITY_TOKEN", "t0ken")
    told = Told(GOOD)
    with listening(told) as port:
        where = HieSettings(url=f"http://localhost:{port}/fhir", token_env="EQUITY_TOKEN", library="requests")
        wire = SessionWire(where)
        wire._session.trust_env = True
        with Client(where, wire) as client:
            client.read("Patient", "p1")
    assert b"Bearer t0ken" in told.asked[0]


def test_a_server_that_is_down_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    told = Told(answered("503 Down", b""), answered("503 Down", b""), answered("503 Down", b""), GOOD)
    limits = LimitSettings(failures=2, rest=60)
    with listening(told) as port, Client(settings(port, attempts=1, limits=limits)) as client:
        for words in ("answered 503", "answered 503", "left alone", "left alone"):
            with pytest.raises(UnavailableError, match=words):
                client.read("Patient", "p1")
        assert len(told.asked) == 2
        clock[0] = 60.0
        for words in ("answered 503", "left alone"):  # one failure more is enough
            with pytest.raises(UnavailableError, match=words):
                client.read("Patient", "p1")
        clock[0] = 120.0
        assert client.read("Patient", "p1") is not None
        assert client.read("Patient", "p1") is not None


def test_a_run_has_so_much_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def nap(seconds: float) -> None:
        clock[0] += seconds

    sleep_as(monkeypatch, nap)
    told = Told(answered("429 Busy", b"", "Retry-After: 30"))
    limits = LimitSettings(budget=50)
    with listening(told) as port, Client(settings(port, attempts=9, limits=limits)) as client:
        for asked in (3, 4):  # 60 seconds are spent: nothing is waited for any more
            with pytest.raises(UnavailableError):
                client.read("Patient", "p1")
            assert len(told.asked) == asked


def test_so_many_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, naps = [0.0], list[float]()
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def nap(seconds: float) -> None:
        naps.append(seconds)
        clock[0] += seconds

    sleep_as(monkeypatch, nap)
    allowed = Pace(LimitSettings(requests_per_minute=5, writes_per_minute=2))
    moments = []
    for write in (True, True, True, False, False, False):
        with allowed.turn(write=write):
            moments.append(clock[0])
        clock[0] += 1
    assert moments == [0.0, 1.0, 60.0, 61.0, 62.0, 63.0]
    assert naps == [58.0]


def test_so_many_at_a_time() -> None:
    allowed, most, now = Pace(LimitSettings(connections=2)), [0], [0]
    lock, both_in = threading.Lock(), threading.Barrier(2, timeout=30)

    def work() -> None:
        with allowed.turn(write=False):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            both_in.wait()
            time.sleep(0.02)  # for a third one to come in, if there were room
            with lock:
                now[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert most == [2]


def test_the_library_of_the_settings() -> None:
    made = Transport(HieSettings(url="http://127.0.0.1:1", library="requests"))
    assert isinstance(made._wire, SessionWire)
    made.close()
