"""Logging in: what is sent, what is asked for anew, what is refused, and that no secret is told."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import respx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from starlette.responses import Response

from fhir_equity.errors import RemoteContentError, RemoteError, UsageError
from fhir_equity.settings import BasicSettings, HieSettings, SmartSettings
from fhir_equity.sync.auth import LIFE
from fhir_equity.sync.client import Client
from fhir_equity.sync.scopes import missing
from tests.sync.scene import Scene, Sent, ada, opened

BASE = "https://hie.example/fhir"
TOKEN_URL = "https://login.example/token"
PATIENT = {"resourceType": "Patient", "id": "p1", "meta": {"versionId": "1"}}
SCOPES = ("system/Patient.rs", "system/Observation.rs", "system/Provenance.rs")
RSA = RSAKey.generate_key(2048, {"kid": "k-rsa", "use": "sig"})
EC = ECKey.generate_key("P-384", {"kid": "k-ec", "use": "sig"})


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    document = {"keys": [RSA.as_dict(private=True), EC.as_dict(private=True)]}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


class Server:
    """A token endpoint that checks what it is sent, and a FHIR endpoint that takes its latest token only."""

    def __init__(self, router: respx.MockRouter) -> None:
        self.router = router
        self.forms: list[dict[str, str]] = []
        self.claims: list[dict[str, Any]] = []
        self.headers: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.answer: dict[str, Any] = {"token_type": "Bearer", "expires_in": 300, "scope": " ".join(SCOPES)}
        self.status = 200
        self.discovery: dict[str, Any] = {"token_endpoint": TOKEN_URL}
        self.only = ""
        router.get(f"{BASE}/.well-known/smart-configuration").mock(side_effect=self._discover)
        router.post(TOKEN_URL).mock(side_effect=self._token)
        router.get(f"{BASE}/Patient/p1").mock(side_effect=self._read)

    def _discover(self, request: httpx.Request) -> httpx.Response:
        assert "authorization" not in request.headers
        return httpx.Response(200, json=self.discovery)

    def _token(self, request: httpx.Request) -> httpx.Response:
        assert "authorization" not in request.headers
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        self.forms.append(form)
        key = RSA if b"RS384" in _header(form["client_assertion"]) else EC
        decoded = jwt.decode(form["client_assertion"], key, algorithms=["RS384", "ES384"])
        self.claims.append(decoded.claims)
        self.headers.append(decoded.header)
        if self.status != 200:
            return httpx.Response(self.status, json=self.answer)
        return httpx.Response(200, json={"access_token": f"token-{len(self.forms)}", **self.answer})

    def _read(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.headers.get("authorization", ""))
        if self.only and self.asked[-1] != self.only:
            return httpx.Response(401)
        return httpx.Response(200, json=PATIENT)


def _header(assertion: str) -> bytes:
    return base64.urlsafe_b64decode(assertion.split(".")[0] + "==")


@pytest.fixture
def server(waits: list[float]) -> Iterator[Server]:
    with respx.mock(assert_all_called=False) as router:
        yield Server(router)


def smart(keys: Path, **more: Any) -> HieSettings:
    words = {"client_id": "plan-17", "key_file": keys, "key_id": "k-rsa", **more}
    return HieSettings(url=BASE, smart=SmartSettings(**words))


def read(settings: HieSettings, times: int = 1) -> None:
    with Client(settings) as client:
        for _ in range(times):
            assert client.read("Patient", "p1") is not None


@pytest.mark.parametrize(("key_id", "algorithm"), [("k-rsa", "RS384"), ("k-ec", "ES384")])
def test_the_assertion_is_as_smart_asks(server: Server, keys: Path, key_id: str, algorithm: str) -> None:
    before = int(time.time())
    read(smart(keys, key_id=key_id), times=2)
    assert server.asked == ["Bearer token-1", "Bearer token-1"]
    [form], [claims], [header] = server.forms, server.claims, server.headers
    assert (header["alg"], header["kid"], header["typ"]) == (algorithm, key_id, "JWT")
    assert claims["iss"] == claims["sub"] == "plan-17"
    assert claims["aud"] == TOKEN_URL
    assert before + LIFE <= claims["exp"] <= time.time() + LIFE
    assert LIFE <= 300
    assert len(claims["jti"]) == 36
    assert form["grant_type"] == "client_credentials"
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert form["scope"].split() == list(SCOPES)


def test_a_token_is_renewed_before_it_ends(server: Server, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    server.answer["expires_in"] = 300
    with Client(smart(keys)) as client:
        for moment in (1000.0, 1269.0, 1270.0, 1500.0, 1541.0):
            clock[0] = moment
            client.read("Patient", "p1")
    assert server.asked == [f"Bearer token-{n}" for n in (1, 1, 2, 2, 3)]
    assert len({claims["jti"] for claims in server.claims}) == 3


def test_a_401_renews_the_token_once(server: Server, keys: Path) -> None:
    server.only = "Bearer token-2"
    read(smart(keys), times=2)
    assert server.asked == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]
    server.only, server.asked = "Bearer never", []
    with Client(smart(keys)) as client, pytest.raises(RemoteError, match="refused a request with 401"):
        client.read("Patient", "p1")
    assert len(server.asked) == 2


def test_a_token_that_a_busy_server_gives_late(server: Server, keys: Path, waits: list[float]) -> None:
    calls = iter([httpx.Response(503, headers={"Retry-After": "7"}), httpx.ReadTimeout("MARKED"), None])
    real = server._token

    def busy(request: httpx.Request) -> httpx.Response:
        done, then = real(request), next(calls)
        if isinstance(then, Exception):
            raise then
        return then or done

    server.router.post(TOKEN_URL).mock(side_effect=busy)
    read(smart(keys))
    assert len({claims["jti"] for claims in server.claims}) == 3  # a server takes no assertion twice
    assert waits[0] == 7


@pytest.mark.parametrize(
    ("granted", "lacking"),
    [
        ("system/Patient.rs", "system/Observation.rs system/Provenance.rs"),
        ("", " ".join(SCOPES)),
        (None, " ".join(SCOPES)),
        ("system/*.r", " ".join(SCOPES)),
    ],
)
def test_a_scope_that_was_not_granted_is_named(server: Server, keys: Path, granted: Any, lacking: str) -> None:
    server.answer["scope"] = granted
    with Client(smart(keys)) as client, pytest.raises(RemoteError) as caught:
        client.read("Patient", "p1")
    assert str(caught.value) == f"login.example did not grant the scope {lacking}"
    assert server.asked == []


@pytest.mark.parametrize(
    ("asked", "granted", "lacking"),
    [
        ("system/Patient.rs", "system/Patient.read", []),
        ("system/Patient.read", "system/Patient.rs", []),
        ("system/Patient.cruds", "system/*.*", []),
        ("system/Patient.crus", "system/Patient.r system/Patient.cu system/*.s", []),
        ("system/Patient.crus", "system/Patient.rs", ["system/Patient.crus"]),
        ("system/*.rs", "system/Patient.rs", ["system/*.rs"]),
        ("system/Patient.rs", "user/Patient.rs", ["system/Patient.rs"]),
        ("system/Patient.rs", "system/Patient.rs?active=true", ["system/Patient.rs"]),
        ("system/Patient.rs?active=true", "system/Patient.rs?active=true", []),
        ("openid launch", "openid", ["launch"]),
    ],
)
def test_what_covers_a_scope(asked: str, granted: str, lacking: list[str]) -> None:
    assert missing(asked.split(), granted.split()) == lacking


@given(st.lists(st.sampled_from([*SCOPES, "system/*.cruds", "x", "system/Patient.write"]), max_size=6))
def test_what_was_granted_in_full_is_not_missing(scopes: list[str]) -> None:
    assert missing(scopes, scopes) == []
    assert missing(scopes, []) == scopes


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, {"error": "invalid_client", "error_description": "MARKED"}, "answered 400 (invalid_client)"),
        (401, {"error": "MARKED"}, "answered 401"),
        (200, {"token_type": "mac"}, "without a bearer token"),
        (200, {"token_type": "bearer", "access_token": ""}, "without a bearer token"),
    ],
)
def test_what_a_token_endpoint_refuses(server: Server, keys: Path, status: int, body: Any, said: str) -> None:
    server.status, server.answer = status, body
    with Client(smart(keys)) as client, pytest.raises(RemoteError) as caught:
        client.read("Patient", "p1")
    assert said in str(caught.value)
    assert "MARKED" not in str(caught.value)


def test_where_tokens_are(server: Server, keys: Path) -> None:
    server.discovery["token_endpoint_auth_signing_alg_values_supported"] = ["ES384"]
    with Client(smart(keys)) as client, pytest.raises(RemoteError, match="does not take RS384"):
        client.read("Patient", "p1")
    read(smart(keys, key_id="k-ec"))
    read(smart(keys, token_url=TOKEN_URL))  # nobody is asked
    for wrong in ({}, {"token_endpoint": "http://login.example/token"}, {"token_endpoint": 7}):
        server.discovery = wrong
        with Client(smart(keys)) as client, pytest.raises(RemoteContentError, match="names no token endpoint"):
            client.read("Patient", "p1")
    server.router.get(f"{BASE}/.well-known/smart-configuration").mock(return_value=httpx.Response(404))
    with Client(smart(keys)) as client, pytest.raises(RemoteError, match=r"has no .*\(404\); set token_url"):
        client.read("Patient", "p1")


def pem(key: Any) -> bytes:
    plain = serialization.NoEncryption()
    done: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return done


@pytest.mark.parametrize(
    ("content", "key_id", "said"),
    [
        (b"", "k", "no private key"),
        (b"SECRET", "k", "no private key"),
        (b'{"keys": "SECRET"}', "k", "no private key"),
        (b'{"kty": "RSA", "n": "SECRET"}', "k", "cannot be read"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "k", "no private key"),
        (pem(rsa.generate_private_key(65537, 1024)), "k", "no private key"),  # noqa: S505
        (pem(EC.raw_value), "", "needs a key_id"),
        (json.dumps(EC.as_dict(private=False)).encode(), "", "no private key"),
        (json.dumps({"keys": [RSA.as_dict(private=True), EC.as_dict(private=True)]}).encode(), "", "several keys"),
        (json.dumps(EC.as_dict(private=True) | {"use": "enc"}).encode(), "", "no private key"),
    ],
)
def test_keys_that_cannot_be_used(tmp_path: Path, content: bytes, key_id: str, said: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=said) as caught:
        Client(smart(path, key_id=key_id))
    assert "SECRET" not in str(caught.value)
    with pytest.raises(UsageError, match="cannot be read"):
        Client(smart(tmp_path / "nowhere"))


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS384"), (EC, "ES384")])
def test_keys_in_pem_and_alone(server: Server, tmp_path: Path, key: Any, algorithm: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(pem(key.raw_value))
    read(smart(path, key_id="mine"))
    path.write_text(json.dumps(key.as_dict(private=True)), encoding="utf-8")
    read(smart(path, key_id="", algorithm=algorithm))
    assert [header["alg"] for header in server.headers] == [algorithm, algorithm]
    assert [header["kid"] for header in server.headers] == ["mine", key.kid]


def test_an_algorithm_chooses_among_keys(server: Server, keys: Path) -> None:
    read(smart(keys, key_id="", algorithm="ES384"))
    assert server.headers[0]["kid"] == "k-ec"


def test_scopes_follow_the_mode(server: Server, keys: Path) -> None:
    server.answer["scope"] = "system/*.cruds"
    read(smart(keys).model_copy(update={"mode": "editor"}))
    read(smart(keys, scopes=("system/Patient.r",)))
    asked = [form["scope"] for form in server.forms]
    assert asked == ["system/Patient.crus system/Observation.crus system/Provenance.crus", "system/Patient.r"]


def test_user_name_and_password(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EQUITY_PASSWORD", "p\u00e4ss:word")
    basic = BasicSettings(username="plan", password_env="EQUITY_PASSWORD")
    read(HieSettings(url=BASE, basic=basic))
    assert server.asked == ["Basic cGxhbjpww6Rzczp3b3Jk"]
    with pytest.raises(UsageError, match="needs a password"):
        Client(HieSettings(url=BASE, basic=BasicSettings(username="plan")))
    with pytest.raises(UsageError, match="EQUITY_NONE is not set"):
        Client(HieSettings(url=BASE, basic=BasicSettings(username="plan", password_env="EQUITY_NONE")))


def test_without_a_log_in_only_this_machine_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="outside loopback a log-in is needed"):
        Client(HieSettings(url=BASE))
    for url in ("http://127.0.0.1:1", "https://localhost:1", "http://[::1]:1"):
        Client(HieSettings(url=url)).close()


def test_no_secret_is_told(server: Server, keys: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    settings = smart(keys)
    with Client(settings) as client:
        client.read("Patient", "p1")
        login = client._transport._login
        told = f"{settings!r} {client!r} {login!r} {login._signer!r} {caplog.text}"  # type: ignore[attr-defined]
    private = str(RSA.as_dict(private=True)["d"])
    for secret in ("token-1", server.forms[0]["client_assertion"], private):
        assert secret not in told


class Ending:
    """A token endpoint on the server of a scene whose tokens end sooner than it says: after so many requests."""

    def __init__(self, scene: Scene, uses: int) -> None:
        self.issued, self.refused, self._uses, self._left = 0, 0, uses, 0
        scene.wire.before = self._answer

    def _answer(self, sent: Sent) -> Response | None:
        if sent.path == "/token":
            self.issued, self._left = self.issued + 1, self._uses
            scope = "system/*.cruds"
            told = {"access_token": f"t{self.issued}", "token_type": "Bearer", "expires_in": 3600, "scope": scope}
            return Response(json.dumps(told), media_type="application/json")
        good = f"authorization: Bearer t{self.issued}".encode() in sent.headers
        if not good or self._left <= 0:
            self.refused += 1
            return Response(status_code=401)
        self._left -= 1
        return None


@pytest.mark.parametrize("uses", [2, 3, 5])
def test_tokens_that_end_in_the_middle_of_a_run(tmp_path: Path, keys: Path, uses: int) -> None:
    with opened(tmp_path) as scene:
        login = SmartSettings(client_id="plan-17", key_file=keys, key_id="k-rsa", token_url=f"{scene.url}/token")
        scene.set(smart=login, page_size=2)
        scene.survey(*(ada(member_id=f"M{number}", first_name=f"Ada{number}") for number in range(6)))
        tokens = Ending(scene, uses)
        assert len(scene.plan().changes) == 6
        assert scene.apply().statuses == {"verified": 6}
        assert scene.pull().pulled.echoes == 12
        assert scene.plan().changes == []
        assert (tokens.refused > 3, tokens.issued > 6) == (True, True)
        assert len(scene.everybody()) == 6


def test_a_token_that_ended_for_good_stops_the_run_and_loses_nothing(tmp_path: Path, keys: Path) -> None:
    with opened(tmp_path) as scene:
        login = SmartSettings(client_id="plan-17", key_file=keys, key_id="k-rsa", token_url=f"{scene.url}/token")
        scene.set(smart=login)
        scene.survey(*(ada(member_id=f"M{number}", first_name=f"Ada{number}") for number in range(3)))
        Ending(scene, 1000)
        scene.plan()
        Ending(scene, 0)
        with pytest.raises(RemoteError, match="401"):
            scene.apply()
        assert scene.everybody() == []
        Ending(scene, 1000)
        assert scene.apply().statuses == {"verified": 3}
