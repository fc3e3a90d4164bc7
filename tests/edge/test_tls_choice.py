"""Which certificate a client gets, what it may show of its own, and what logins learn of both."""

from __future__ import annotations

import gc
import json
import socket
import ssl
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL

from gateway.auth.mechanisms import Channel
from gateway.core.errors import SettingsError
from gateway.edge.channel import channel_of
from gateway.edge.tls import Listening, ServerContexts, _chooser, contexts_for
from gateway.edge.tls_material import CertificateFiles, TlsFiles, TlsMaterial
from tests.edge.test_tls import connection_of, serial, write
from tests.support.authority import new_authority
from tests.support.handshake import resumes, say_something, shake_hands


class World:
    """Certificates in a folder, and the contexts made of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = new_authority()
        self.clients = new_authority("Client CA")
        (folder / "clients.pem").write_bytes(self.clients.pem)
        self.default = self.issue("mail.example.test")
        self.named: tuple[tuple[tuple[str, ...], CertificateFiles], ...] = (
            (("imap.example.test", "pop.example.test"), self.issue("*.example.test")),
            (("mail.other.test",), self.issue("mail.other.test", "other.test")),
            (("*.wild.test",), self.issue("*.wild.test")),
        )

    def issue(self, *names: str) -> CertificateFiles:
        stem = names[0].replace("*", "any")
        setting = "tls" if names[0] == "mail.example.test" else f"tls.sni[{stem}]"
        files = CertificateFiles(self.folder / f"{stem}.pem", self.folder / f"{stem}.key", setting)
        write(files, *self.authority.issue(*names))
        return files

    def material(self, version: str = "1.2") -> TlsMaterial:
        clients = ("listen[0].client_ca_file", str(self.folder / "clients.pem"))
        return TlsFiles(self.default, self.named, (clients,), version).read()

    @property
    def asking(self) -> Listening:
        return Listening(client_ca_file=str(self.folder / "clients.pem"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def subject_for(contexts: ServerContexts, name: str | None) -> str:
    client = shake_hands(connection_of(contexts), name=name)
    certificate = client.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    return str(certificate.subject.rfc4514_string()).removeprefix("CN=")


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        (None, "mail.example.test"),
        ("mail.example.test", "mail.example.test"),
        ("imap.example.test", "*.example.test"),
        ("POP.Example.Test", "*.example.test"),
        ("smtp.example.test", "mail.example.test"),  # nobody has listed it
        ("mail.other.test", "mail.other.test"),
        ("mail.other.test.", "mail.other.test"),
        ("other.test", "mail.example.test"),
        ("a.wild.test", "*.wild.test"),
        ("a.b.wild.test", "mail.example.test"),
        ("wild.test", "mail.example.test"),
        ("*.wild.test", "*.wild.test"),
        ("x" * 63, "mail.example.test"),
    ],
)
def test_the_name_that_a_client_asks_for_decides(
    world: World, name: str | None, subject: str
) -> None:
    assert subject_for(ServerContexts(world.material()), name) == subject


def test_S19_names_that_clients_make_up_are_not_kept(world: World) -> None:
    """CVE-2017-15130. The choice itself, 100,000 times: handshakes would only take longer."""
    contexts = contexts_for(Listening(), world.material())
    choose = _chooser(contexts.named)
    asked = FakeConnection()
    gc.collect()
    before = len(gc.get_objects())
    for number in range(100_000):
        asked.name = b"%032x.example" % number
        choose(cast(Any, asked))
    assert asked.chosen is None
    assert len(gc.get_objects()) - before < 1_000
    assert len(contexts.named) == 4
    subject_for(ServerContexts(world.material()), "made-up.example")


class FakeConnection:
    name = b""
    chosen: object = None

    def get_servername(self) -> bytes:
        return self.name

    def set_context(self, context: object) -> None:
        self.chosen = context


def test_S19_browsers_are_refused_under_every_name(world: World) -> None:
    contexts = ServerContexts(world.material())
    for name in (None, "mail.other.test"):
        with pytest.raises(SSL.Error):
            shake_hands(connection_of(contexts), alpn=[b"h2", b"http/1.1"], name=name)


def test_the_web_side_may_say_what_it_speaks(world: World) -> None:
    contexts: Any = ServerContexts(world.material()).for_listener(Listening(web=True))
    client = shake_hands(contexts.serverConnectionForTLS(cast(Any, None)), alpn=[b"http/1.1"])
    assert client.get_alpn_proto_negotiated() == b"http/1.1"


def test_every_name_must_be_one_of_the_certificates(world: World) -> None:
    (names, files), *_ = world.named
    world.named = (((*names, "mail.elsewhere.test"), files),)
    with pytest.raises(SettingsError) as error:
        ServerContexts(world.material())
    (found,) = error.value.problems
    assert found.key == "tls.sni[any.example.test].certificate"
    assert "mail.elsewhere.test" in found.expected


def test_D11_a_reload_takes_all_certificates_or_none(world: World) -> None:
    contexts = ServerContexts(world.material())
    asking: Any = contexts.for_listener(world.asking)
    old = {name: fingerprint(contexts, name) for name in (None, "mail.other.test")}
    write(world.default, *world.authority.issue("mail.example.test"))
    world.named[1][1].key.write_text("broken")
    with pytest.raises(SettingsError, match="no usable key"):
        contexts.use(world.material())
    assert {name: fingerprint(contexts, name) for name in old} == old
    write(world.named[1][1], *world.authority.issue("mail.other.test"))
    contexts.use(world.material())
    assert all(fingerprint(contexts, name) != old[name] for name in old)
    client = shake_hands(asking.serverConnectionForTLS(cast(Any, None)))
    assert serial(client) == fingerprint(contexts, None)


def fingerprint(contexts: ServerContexts, name: str | None) -> int:
    return serial(shake_hands(connection_of(contexts), name=name))


@pytest.mark.parametrize("name", [None, "mail.other.test"])
def test_the_oldest_version_is_a_setting(world: World, name: str | None) -> None:
    contexts = ServerContexts(world.material("1.3"))
    shake_hands(connection_of(contexts), name=name)
    with pytest.raises(SSL.Error):
        shake_hands(connection_of(contexts), newest=SSL.TLS1_2_VERSION, name=name)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_S19_no_session_is_resumed(world: World, newest: ssl.TLSVersion) -> None:
    """Neither at this service nor at another one (Postfix HISTORY 20260805)."""
    contexts = ServerContexts(world.material())
    assert not resumes((connection_of(contexts), connection_of(contexts)), newest)


def test_material_reaches_a_worker_as_it_is(world: World) -> None:
    material = world.material("1.3")
    assert TlsMaterial.from_json(json.loads(json.dumps(material.to_json()))) == material
    assert "PRIVATE KEY" not in repr(material)


def test_files_that_are_too_much(world: World) -> None:
    world.default.certificate.write_bytes(b"x" * 3_000_000)
    with pytest.raises(SettingsError, match="octets of certificates"):
        world.material()


# -- client certificates


def meet(
    world: World, pair: tuple[bytes, bytes] | None, *, newest: int = SSL.TLS1_3_VERSION
) -> Channel:
    """What the server knows of a client that shows this certificate, or none."""
    listener: Any = ServerContexts(world.material()).for_listener(world.asking)
    server = listener.serverConnectionForTLS(cast(Any, None))
    client = shake_hands(server, newest=newest, shows=pair)
    say_something(client, server)
    channel = channel_of(FakeTransport(server))
    assert channel is not None
    return channel


class FakeTransport:
    def __init__(self, handle: object) -> None:
        self._handle = handle

    def getHandle(self) -> object:
        return self._handle


@pytest.mark.parametrize("newest", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_a_client_certificate_is_asked_for_and_never_required(world: World, newest: int) -> None:
    shown = meet(world, world.clients.issue("alice"), newest=newest).client_certificate()
    assert shown is not None and shown.subject.rfc4514_string() == "CN=alice"
    assert meet(world, None, newest=newest).client_certificate() is None


def test_certificates_of_others_count_as_none(world: World) -> None:
    for pair in (
        world.authority.issue("alice"),  # not the clients' authority
        new_authority("Client CA").issue("alice"),  # of the same name
        world.clients.issue("alice", expired=True),
    ):
        assert meet(world, pair).client_certificate() is None


def test_without_an_authority_nobody_is_asked(world: World) -> None:
    server = connection_of(ServerContexts(world.material()))
    shake_hands(server, shows=world.clients.issue("alice"))
    channel = channel_of(FakeTransport(server))
    assert channel is not None and channel.client_certificate() is None
    assert server.get_peer_certificate(as_cryptography=True) is None


def test_an_authority_file_without_one(world: World) -> None:
    (world.folder / "clients.pem").write_text("nothing")
    with pytest.raises(SettingsError, match="client_ca_file"):
        ServerContexts(world.material()).for_listener(world.asking)


# -- what a connection can be bound to


def bound(
    world: World, newest: int, name: str | None = None
) -> tuple[dict[str, bytes | None], SSL.Connection]:
    server = connection_of(ServerContexts(world.material()))
    client = shake_hands(server, newest=newest, name=name)
    channel = channel_of(FakeTransport(server))
    assert channel is not None
    return {kind: make() for kind, make in channel.bindings().items()}, client


def test_tls_1_3_has_an_exporter_and_the_end_point(world: World) -> None:
    data, client = bound(world, SSL.TLS1_3_VERSION, "mail.other.test")
    certificate = client.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    assert data == {
        "tls-exporter": client.export_keying_material(b"EXPORTER-Channel-Binding", 32, b""),
        "tls-server-end-point": certificate.fingerprint(hashes.SHA256()),
    }


def test_tls_1_2_has_the_first_finished_message(world: World) -> None:
    data, client = bound(world, SSL.TLS1_2_VERSION)
    assert set(data) == {"tls-unique", "tls-server-end-point"}
    assert data["tls-unique"] == client.get_finished()


def test_a_transport_without_tls_is_bound_to_nothing() -> None:
    assert channel_of(object()) is None
    assert channel_of(FakeTransport(socket.socket)) is None
