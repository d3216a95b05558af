"""A server on a real socket that does what it is told: plain, with TLS and client certificates, with HTTP/2."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Talk = Callable[[Any], None]


def answered(status: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """An HTTP/1.1 answer as it goes over the line."""
    size = len(body) if length is None else length
    head = [f"HTTP/1.1 {status}", f"Content-Length: {size}", "Content-Type: application/fhir+json", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def request_of(line: Any) -> bytes:
    """One whole HTTP/1.1 request; empty where the other side is done."""
    content = b""
    while b"\r\n\r\n" not in content:
        block = line.recv(65536)
        if not block:
            return b""
        content += block
    head, _, body = content.partition(b"\r\n\r\n")
    sizes = [int(row.split(b":")[1]) for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:")]
    while len(body) < sum(sizes):
        body += line.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def listening(talk: Talk, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Each connection is handed to `talk`; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()
        listener.settimeout(0.05)

        def serve() -> None:
            while not done.is_set():
                with contextlib.suppress(TimeoutError):
                    line, _ = listener.accept()
                    line.settimeout(5)
                    threading.Thread(target=_one, args=(line, talk, context), daemon=True).start()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            thread.join()


def _one(line: socket.socket, talk: Talk, context: ssl.SSLContext | None) -> None:
    with contextlib.suppress(OSError), contextlib.closing(line):
        if context is None:
            talk(line)
        else:
            with context.wrap_socket(line, server_side=True) as wrapped:
                talk(wrapped)


def talk_http2(body: bytes, seen: list[dict[str, str]]) -> Talk:
    """Answer every request of HTTP/2 with a resource."""

    def talk(line: Any) -> None:
        state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        state.initiate_connection()
        line.sendall(state.data_to_send())
        while block := line.recv(65536):
            for event in state.receive_data(block):
                if isinstance(event, h2.events.RequestReceived):
                    seen.append({str(name): str(value) for name, value in event.headers or ()})
                if isinstance(event, h2.events.StreamEnded):
                    size = str(len(body))
                    head = [(":status", "200"), ("content-type", "application/fhir+json"), ("content-length", size)]
                    state.send_headers(event.stream_id, head)
                    state.send_data(event.stream_id, body, end_stream=True)
            line.sendall(state.data_to_send())

    return talk


class Authority:
    """A certificate authority of our own, and what it signs, as files."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(_pem(self._signed(self._name, self._key, authority=True)))

    def certificate(self, name: str, password: bytes = b"") -> tuple[Path, Path]:
        """(certificate, key) for a server on loopback, or for a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        places = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        places[0].write_bytes(_pem(self._signed(subject, key, authority=False)))
        lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        form = serialization.PrivateFormat.PKCS8
        places[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, lock))
        return places

    def server(self, *, client: bool = False, http2: bool = False) -> ssl.SSLContext:
        """The context of a server, which asks for a certificate of ours where `client`."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self.certificate("server"))
        if client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.file)
        context.set_alpn_protocols(["h2"] if http2 else ["http/1.1"])
        return context

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        made = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
        made = made.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=2))
        made = made.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        made = made.add_extension(issuer, critical=False)
        if authority:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            made = made.add_extension(usage, critical=True)
        else:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(self._key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
