"""What logins need in memory: secrets, a TLS channel, an issuer, and SCRAM's side of the client."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.auth import mechanisms
from gateway.auth.mechanisms import Means
from gateway.auth.sasl import Exchange, Found
from gateway.auth.sasl_scram import Binding
from gateway.core.app_passwords import Place
from gateway.core.login_secret import LoginSecret, SecretKind, scram_verifier
from tests.support.pop3_fakes import ALICE as ALICE

SECRET = LoginSecret(ALICE, password=b"wonderland")
ITERATIONS = 4096
SALT = b"0123456789abcdef"


def certificate(*emails: str, subject_email: str = "", common_name: str = "") -> x509.Certificate:
    """A client's certificate, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = []
    if common_name:
        attributes.append(x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name))
    if subject_email:
        attributes.append(x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, subject_email))
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attributes))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
    if emails:
        names = x509.SubjectAlternativeName([x509.RFC822Name(each) for each in emails])
        builder = builder.add_extension(names, False)
    return builder.sign(key, hashes.SHA256())


CERTIFICATE = certificate("alice@example.test")


class FakeChannel:
    """TLS that can be bound to, with a client certificate or without."""

    def __init__(self, *, shown: bool = True, bound: bool = True) -> None:
        self.shown = shown
        self.data = {"tls-exporter": b"e" * 32, "tls-server-end-point": b"p" * 32} if bound else {}

    def bindings(self) -> Mapping[str, Binding]:
        return {name: partial(bytes, data) for name, data in self.data.items()}

    def client_certificate(self) -> x509.Certificate | None:
        return CERTIFICATE if self.shown else None


class FakeSecrets:
    """Knows alice; counts what it was asked."""

    def __init__(self, *kinds: SecretKind, error: Exception | None = None) -> None:
        self.known = self.common = frozenset(kinds or SecretKind)
        self.error = error
        self.asked: list[tuple[str, SecretKind]] = []

    def kinds(self) -> frozenset[SecretKind]:
        return self.known

    def common_kinds(self) -> frozenset[SecretKind]:
        return self.common

    async def find(self, login: str, kind: SecretKind, place: Place) -> Found:
        self.asked.append((login, kind))
        if self.error is not None:
            raise self.error
        return found(login)


def found(login: str) -> Found:
    secret = SECRET if login == "alice" else None
    return Found(secret, scram_verifier(b"wonderland", SALT, ITERATIONS))


FULL = Means(
    secrets=FakeSecrets(), tokens=True, certificates=True, hostname="mail.example.test",
    discovery="https://issuer.test/.well-known/openid-configuration",
)  # fmt: skip
CHANNEL = FakeChannel()


def exchange(
    name: str, means: Means = FULL, channel: FakeChannel | None = CHANNEL, *, over_tls: bool = True
) -> Exchange:
    return mechanisms.exchange(name, means, channel, over_tls=over_tls)


def begun(name: str) -> Exchange:
    """An exchange whose first challenge is out."""
    one = exchange(name)
    one.start(None)
    return one


def coded(octets: bytes) -> bytes:
    return base64.b64encode(octets)


class ScramClient:
    """The client's side of SCRAM, written from RFC 5802 and nothing else."""

    def __init__(
        self,
        name: str = "alice",
        password: bytes = b"wonderland",
        *,
        header: bytes = b"n,,",
        binding: bytes = b"",
        nonce: bytes = b"client-nonce",
    ) -> None:
        self.password = password
        self.header, self.binding, self.nonce = header, binding, nonce
        self.bare = b"n=%b,r=%b" % (name.encode(), nonce)
        self.server_signature = b""

    @property
    def first(self) -> bytes:
        return self.header + self.bare

    def final(self, server_first: bytes) -> bytes:
        fields = dict(part.split(b"=", 1) for part in server_first.split(b","))
        assert fields[b"r"].startswith(self.nonce) and fields[b"r"] != self.nonce
        salted = hashlib.pbkdf2_hmac(
            "sha256", self.password, base64.b64decode(fields[b"s"]), int(fields[b"i"])
        )
        bare_final = b"c=%b,r=%b" % (coded(self.header + self.binding), fields[b"r"])
        auth_message = b",".join((self.bare, server_first, bare_final))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), auth_message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        self.server_signature = b"v=" + coded(hmac.digest(server_key, auth_message, "sha256"))
        return bare_final + b",p=" + coded(proof)
