"""bulk: kick-off, waiting, files in pieces, errors and deletions told, and going on after any interruption."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import respx

from fhir_equity.errors import RemoteContentError, RemoteError, UsageError
from fhir_equity.settings import HieSettings
from fhir_equity.store import Store
from fhir_equity.store.endpoint import EndpointMemory
from fhir_equity.sync.bulk import Exported, export, finish, lines
from fhir_equity.sync.client import Client
from fhir_equity.sync.fetch import fetched
from tests.sync.conftest import sleep_as
from tests.sync.lines import answered, listening, request_of

BASE = "https://hie.example/fhir"
JOB = f"{BASE}/job/7"
MOMENT = "2026-05-01T10:00:00Z"


class Hie:
    """A server that exports two files of Patients, one of Observations, an error file and one of deletions."""

    def __init__(self, router: respx.MockRouter) -> None:
        self.router, self.calls = router, list[tuple[str, str]]()
        self.start = 202
        self.place: str | None = JOB
        self.waits = [202, 202, 200]
        self.broken: set[str] = set()
        self.files: dict[str, bytes] = {
            "p1": _lines({"resourceType": "Patient", "id": "a"}, {"resourceType": "Patient", "id": "b"}),
            "p2": gzip.compress(_lines({"resourceType": "Patient", "id": "c"}) + b"\n{MARKED\n[]\n"),
            "o": _lines({"resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/a"}}),
            "e": _lines({"resourceType": "OperationOutcome", "issue": [{"code": "timeout"}, {"code": "MARKED"}]}),
            "d": _lines({"resourceType": "Bundle", "type": "transaction", "entry": [{}, {}]}),
        }
        self.manifest: dict[str, Any] = {
            "transactionTime": MOMENT,
            "requiresAccessToken": True,
            "output": [{"type": t, "url": f"files/{n}"} for t, n in (("Patient", "p1"), ("Patient", "p2"))]
            + [{"type": "Observation", "url": f"{BASE}/files/o"}, {"type": "Device", "url": f"{BASE}/files/x"}],
            "error": [{"type": "OperationOutcome", "url": f"{BASE}/files/e"}],
            "deleted": [{"type": "Bundle", "url": "https://elsewhere.example/files/d"}],
        }
        router.route(url__regex=r"https://[a-z.]+/.*").mock(side_effect=self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/fhir")
        self.calls.append((request.method, path))
        assert ("authorization" in request.headers) == (request.url.host == "hie.example")
        if path.endswith("$export"):
            assert request.headers["prefer"] == "respond-async"
            self.asked = dict(request.url.params)
            return httpx.Response(self.start, headers={} if self.place is None else {"Content-Location": self.place})
        if path == "/job/7":
            if request.method == "DELETE":
                return httpx.Response(202)
            status = self.waits.pop(0)
            if status == 200:
                return httpx.Response(200, json=self.manifest)
            return httpx.Response(status, headers={"Retry-After": "5"} if status == 202 else {})
        name = path.rpartition("/")[2]
        if name in self.broken:
            return httpx.Response(403)
        return httpx.Response(200, content=self.files[name])


def _lines(*resources: Any) -> bytes:
    return b"".join(orjson.dumps(each) + b"\n" for each in resources)


@pytest.fixture
def hie(hie: respx.MockRouter) -> Hie:
    return Hie(hie)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[EndpointMemory]:
    store = Store(str(tmp_path / "equity.db"))
    yield store.endpoint("hx")
    store.close()


@pytest.fixture
def run(client: Client, memory: EndpointMemory, tmp_path: Path) -> Callable[..., Exported]:
    def call(level: str = "system", since: str = "") -> Exported:
        return export(client, memory, level, since, tmp_path / "files", lambda _name, _count, _total=0: None)

    return call


def ids(exported: Exported, kind: str = "Patient") -> list[Any]:
    return [each["id"] for each in exported.resources(kind)]


def test_an_export_from_beginning_to_end(
    hie: Hie, run: Any, client: Client, memory: EndpointMemory, tmp_path: Path, waits: list[float]
) -> None:
    exported = run(since="2026-01-01T00:00:00Z")
    assert hie.calls[:4] == [("GET", "/$export"), *[("GET", "/job/7")] * 3]
    assert hie.asked == {
        "_outputFormat": "application/fhir+ndjson",
        "_type": "Patient,Observation,Provenance",
        "_since": "2026-01-01T00:00:00Z",
    }
    assert waits == [5, 5]
    assert (ids(exported), ids(exported, "Observation"), ids(exported, "Device")) == (["a", "b", "c"], ["o"], [])
    assert (exported.moment, exported.deleted, exported.malformed) == (MOMENT, 2, 2)
    assert exported.errors == {"timeout": 1, "unknown": 1}
    for path in (tmp_path / "files").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    finish(client, memory, exported.folder)
    assert hie.calls[-1] == ("DELETE", "/job/7")
    assert memory.export() is None
    assert not (tmp_path / "files").exists()


@pytest.mark.parametrize(("level", "path"), [("patient", "/Patient/$export"), ("group/g-1", "/Group/g-1/$export")])
def test_levels(hie: Hie, run: Any, level: str, path: str) -> None:
    run(level)
    assert hie.calls[0] == ("GET", path)
    assert "_since" not in hie.asked
    with pytest.raises(UsageError, match=f"an export of {level} goes on"):
        run("system")


@pytest.mark.parametrize("level", ["", "everything", "group/", "group/a b", "group/../x?y"])
def test_levels_that_are_none(run: Any, level: str) -> None:
    with pytest.raises(UsageError, match="--bulk takes"):
        run(level)


def test_interrupted_anywhere_it_goes_on(hie: Hie, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        sleep_as(patched, down)
        with pytest.raises(KeyboardInterrupt):
            run()
    hie.broken = {"o"}
    with pytest.raises(RemoteError, match="refused a file of the export with 403"):
        run()
    hie.broken = set()
    assert ids(run(), "Observation") == ["o"]
    assert hie.calls.count(("GET", "/$export")) == 1
    assert hie.calls.count(("GET", "/job/7")) == 3
    assert [hie.calls.count(("GET", f"/files/{name}")) for name in ["p1", "p2", "o"]] == [1, 1, 2]


def test_a_job_that_is_not_known_any_more_is_begun_anew(hie: Hie, run: Any) -> None:
    hie.waits = [404, 200]
    with pytest.raises(RemoteError, match="refused a request with 404"):
        run()
    assert ids(run()) == ["a", "b", "c"]
    assert hie.calls.count(("GET", "/$export")) == 2


@pytest.mark.parametrize("place", [None, "https://elsewhere.example/job"])
def test_where_the_job_is(hie: Hie, run: Any, place: str | None) -> None:
    hie.place = place
    with pytest.raises(RemoteContentError, match="does not say where"):
        run()


@pytest.mark.parametrize("url", [None, "", 7, "http://hie.example/f", "ftp://hie.example/f"])
def test_files_that_may_not_be_asked(hie: Hie, run: Any, url: Any) -> None:
    hie.manifest["output"] = [{"type": "Patient", "url": url}]
    with pytest.raises(RemoteContentError, match="may not be asked"):
        run()


def test_a_server_that_does_not_export(hie: Hie, run: Any, memory: EndpointMemory) -> None:
    hie.start = 404
    with pytest.raises(RemoteError, match="refused a request with 404"):
        run()
    assert memory.export() is None


def test_empty_lines_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\n{}\n \n{}")
    assert list(lines(tmp_path / "x")) == [b"{}\n", b"{}"]


CONTENT = b'{"resourceType":"Patient"}\n' * 400


@pytest.mark.parametrize("library", ["httpx", "requests"])
@pytest.mark.parametrize(("tag", "ranges"), [('"v1"', True), ('W/"v1"', False), ("", False)])
def test_a_file_whose_line_breaks(tmp_path: Path, library: Any, tag: str, ranges: bool, waits: list[float]) -> None:
    """The first answer breaks off; the rest is asked for where the tag of the version is a strong one."""
    asked: list[bytes] = []

    def talk(line: Any) -> None:
        while request := request_of(line):
            asked.append(request)
            first = request.lower().partition(b"\r\nrange: bytes=")[2].partition(b"-")[0]
            start = int(first or b"0")
            status = "206 Partial Content" if first else "200 OK"
            headers = [f"ETag: {tag}"] if tag else []
            if first:
                headers.append(f"Content-Range: bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
            whole = answered(status, CONTENT[start:], *headers)
            line.sendall(whole if len(asked) > 1 else whole[:-500])
            if len(asked) == 1:
                return

    target = tmp_path / "000001.ndjson"
    with listening(talk) as port:
        settings = HieSettings(url=f"http://127.0.0.1:{port}/fhir", library=library)
        with Client(settings) as client:
            fetched(client, f"{settings.url}/files/1", target, with_token=True)
    assert target.read_bytes() == CONTENT
    assert [b"range: bytes=" in each.lower() for each in asked] == [False, ranges]
    assert (b'if-range: "v1"' in asked[1].lower()) == ranges
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000001.ndjson"]


def test_a_file_that_is_another_one_now(tmp_path: Path, client: Client, hie: Hie, waits: list[float]) -> None:
    target = tmp_path / "000001.ndjson"
    (tmp_path / "000001.part").write_bytes(b"old")
    (tmp_path / "000001.tag").write_text('"v1"')
    answers, asked = iter([httpx.Response(416), httpx.Response(200, content=b"new")]), list[str | None]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("range"))
        return next(answers)

    hie.router.routes.clear()
    hie.router.get(f"{BASE}/files/1").mock(side_effect=answer)
    fetched(client, f"{BASE}/files/1", target, with_token=True)
    assert asked == ["bytes=3-", None]
    assert target.read_bytes() == b"new"
