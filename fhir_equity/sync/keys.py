"""The private key that signs for us: from a key set (JWKS), one key of it (JWK), or PEM.

RS384 and ES384 are what SMART asks of both sides:
https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html#signature-algorithm.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import orjson
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, RSAKey
from msgspec import Struct

from fhir_equity.errors import UsageError
from fhir_equity.settings import SmartSettings

ES384_CURVE = "P-384"
SHORTEST = 2048  # bits of an RSA key, https://www.rfc-editor.org/rfc/rfc7518#section-3.3


class Signer(Struct, frozen=True):
    """A private key, the name the server knows it by, and how it signs."""

    key: RSAKey | ECKey
    key_id: str
    algorithm: str

    def __repr__(self) -> str:
        return f"Signer({self.algorithm})"


def signer(smart: SmartSettings) -> Signer:
    """The key of the settings. Raises UsageError where there is none, or more than one, that can sign."""
    try:
        content = smart.key_file.read_bytes()
    except OSError as error:
        raise UsageError(f"the key file of smart cannot be read: {error.strerror}") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # what it warns of is refused below
        fit = [found for found in _signers(content, smart) if _fits(found, smart)]
    if not fit:
        raise UsageError("the key file of smart has no private key for RS384 (RSA, 2048 bits) or ES384 (P-384)")
    if len(fit) > 1:
        raise UsageError("the key file of smart has several keys; name one with key_id")
    if not fit[0].key_id:
        raise UsageError("smart needs a key_id: the name under which the server knows the key")
    return fit[0]


def _fits(found: Signer, smart: SmartSettings) -> bool:
    if not found.key.is_private or (smart.algorithm and smart.algorithm != found.algorithm):
        return False
    if isinstance(found.key, RSAKey):
        return found.key.raw_value.key_size >= SHORTEST
    return found.key.curve_name == ES384_CURVE


def _signers(content: bytes, smart: SmartSettings) -> Iterator[Signer]:
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        yield from _from_pem(content, smart.key_id)
        return
    keys = document.get("keys", [document]) if isinstance(document, dict) else []
    for each in keys if isinstance(keys, list) else []:
        named = str(each.get("kid", "")) if isinstance(each, dict) else ""
        if not smart.key_id or named in ("", smart.key_id):
            yield from _from_jwk(each, named or smart.key_id)


def _from_jwk(jwk: Any, named: str) -> Iterator[Signer]:
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
        return
    try:
        if jwk.get("kty") == "RSA":
            yield Signer(RSAKey.import_key(jwk), named, "RS384")
        elif jwk.get("kty") == "EC":
            yield Signer(ECKey.import_key(jwk), named, "ES384")
    except (JoseError, ValueError, TypeError, KeyError):
        raise UsageError("the key file of smart has a key that cannot be read") from None


def _from_pem(content: bytes, named: str) -> Iterator[Signer]:
    for kind, algorithm in ((RSAKey, "RS384"), (ECKey, "ES384")):
        try:
            yield Signer(kind.import_key(content), named, algorithm)
        except (JoseError, ValueError, TypeError):  # a key of the other kind, or no key
            continue
