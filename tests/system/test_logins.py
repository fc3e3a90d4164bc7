"""Mail programs log in with every mechanism they have; certificates change under a gateway."""

from __future__ import annotations

import imaplib
import json
import signal
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest

from gateway.app import demo
from tests.auth.test_tokens import EC, jwk
from tests.support.authority import Authority, new_authority
from tests.support.gateway_process import GatewayProcess, free_port_base
from tests.support.https_issuer import HttpsIssuer, running_issuer
from tests.support.programs import need, run
from tests.support.waiting import eventually

PASSWORD = "wonderland"
OLD_HASH = "{SSHA}Xb/S4U2MboGNgz17/RbMxJCFOAiKHF6TRNAnuw=="
STARTTLS = 'tls = "starttls"'
IMPLICIT = 'tls = "implicit"'


@dataclass
class World:
    """A gateway whose people have passwords that can be known, and what its clients need."""

    folder: Path
    base: int
    process: GatewayProcess
    clients: Authority

    def port(self, standard: int) -> int:
        return self.base + standard

    @property
    def authority(self) -> str:
        return str(self.folder / "ca.pem")

    def certificate(self, email: str) -> tuple[str, str]:
        """Files of a client certificate for this address, and its key."""
        certificate, key = self.clients.issue(f"CN={email}")
        paths = self.folder / "client.pem", self.folder / "client.key"
        for path, content in zip(paths, (certificate, key), strict=True):
            path.write_bytes(content)
        return str(paths[0]), str(paths[1])

    def token(self, **changes: Any) -> str:
        claims = {
            "iss": "https://issuer.test", "aud": "mail", "exp": time.time() + 600,
            "email": "alice@example.test", **changes,
        }  # fmt: skip
        return jwt.encode(claims, EC, "ES256", headers={"kid": "e"})


def make_world(folder: Path, oauth: str, workers: int = 1) -> World:
    """Its files; the process is not started."""
    base = free_port_base()
    config = demo.prepare(folder, base)
    authority, clients = new_authority(), new_authority("Clients")
    (folder / "ca.pem").write_bytes(authority.pem)
    (folder / "clients.pem").write_bytes(clients.pem)
    for stem, names in (
        ("self-signed", ("localhost", "127.0.0.1")),
        ("other", ("mail.other.test",)),
    ):
        certificate, key = authority.issue(*names)
        (folder / f"{stem}.pem").write_bytes(certificate)
        (folder / f"{stem}.key").write_bytes(key)
    asks = f'client_ca_file = "{folder}/clients.pem"'
    text = config.read_text()
    for mode in (STARTTLS, IMPLICIT):
        text = text.replace(mode, f"{mode}\n{asks}")
    (folder / "jwks.json").write_text(json.dumps({"keys": [jwk(EC, "e")]}))
    config.write_text(f"""{text}
[login]
certificate_name = "common_name"
mechanisms = [
  "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "CRAM-MD5", "EXTERNAL", "PLAIN", "LOGIN",
  "OAUTHBEARER", "XOAUTH2",
]  # by name, as bob's password is kept as a hash

[[tls.sni]]
names = ["mail.other.test"]
certificate = "{folder}/other.pem"
key = "{folder}/other.key"

[oauth]
issuer = "https://issuer.test"
{oauth}
""")
    people = folder / "people.ldif"
    people.write_text(people.read_text().replace(OLD_HASH, "{CLEARTEXT}" + PASSWORD))
    environ = {"GATEWAY_WORKERS": str(workers)} if workers > 1 else {}
    return World(folder, base, GatewayProcess(["--config", str(config)], environ), clients)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("logins") / "d"
    made = make_world(folder, f'audience = "mail"\njwks_file = "{folder}/jwks.json"')
    made.process.start()
    yield made
    made.process.stop()


@pytest.mark.parametrize(
    ("mechanism", "more"),
    [("SCRAM-SHA-256-PLUS", []), ("SCRAM-SHA-256", ["--no-cb"]), ("CRAM-MD5", [])],
)
@pytest.mark.parametrize(("protocol", "port"), [("smtp", 587), ("imap", 143)])
def test_gsasl(world: World, mechanism: str, more: list[str], protocol: str, port: int) -> None:
    command = [need("gsasl"), f"--{protocol}", f"--connect=localhost:{world.port(port)}", *more]
    command += [f"--mechanism={mechanism}", "--authentication-id=alice", "-d"]
    command += [f"--x509-ca-file={world.authority}"]
    done = run([*command, f"--password={PASSWORD}"], stdin=b"")
    assert b"server trusted" in done.stderr
    refused = run([*command, "--password=wrong"], stdin=b"", expect=1)
    assert b"535 5.7.8" in refused.stdout or b"AUTHENTICATIONFAILED" in refused.stdout


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "OAUTHBEARER", "XOAUTH2", "EXTERNAL"])
@pytest.mark.parametrize(("scheme", "port"), [("smtps", 465), ("imaps", 993), ("pop3s", 995)])
def test_curl(world: World, mechanism: str, scheme: str, port: int, tmp_path: Path) -> None:
    command = [need("curl"), "-sS", "--cacert", world.authority]
    command += ["--login-options", f"AUTH={mechanism}"]
    match mechanism:
        case "CRAM-MD5":
            command += ["--user", f"alice:{PASSWORD}"]
        case "EXTERNAL":
            certificate, key = world.certificate("alice@example.test")
            command += ["--user", "alice@example.test:", "--cert", certificate, "--key", key]
        case _:
            command += ["--user", "alice@example.test", "--oauth2-bearer", world.token()]
    url = f"{scheme}://localhost:{world.port(port)}"
    if scheme == "smtps":
        message = tmp_path / "message"
        message.write_bytes(b"From: alice@example.test\r\nSubject: curl\r\n\r\nBody\r\n")
        command += ["--mail-from", "alice@example.test", "--mail-rcpt", "bob@example.test"]
        command += ["-T", str(message)]
    run([*command, url])


def test_curl_hears_that_a_token_has_expired(world: World) -> None:
    old = world.token(exp=time.time() - 300)
    for scheme, port in (("imaps", 993), ("smtps", 465), ("pop3s", 995)):
        command = [need("curl"), "-sS", "--cacert", world.authority, "--oauth2-bearer", old]
        command += ["--user", "alice@example.test", f"{scheme}://localhost:{world.port(port)}"]
        assert run(command, expect=67).stderr  # "the user name, password, or similar"


def test_swaks(world: World) -> None:
    common = [need("swaks"), "--server", "127.0.0.1", "--port", str(world.port(587)), "--tls"]
    common += ["--from", "alice@example.test", "--to", "bob@example.test", "--silent", "2"]
    for mechanism in ("CRAM-MD5", "PLAIN", "LOGIN"):
        run([*common, "--auth", mechanism, "--au", "alice", "--ap", PASSWORD])
    run([*common, "--auth", "CRAM-MD5", "--au", "alice", "--ap", "wrong"], expect=28)


@pytest.mark.parametrize(
    "mechanism", ["scram-sha-256", "cram-md5", "external", "oauthbearer", "xoauth2", "plain"]
)
def test_msmtp(world: World, mechanism: str, tmp_path: Path) -> None:
    password = world.token() if mechanism in ("oauthbearer", "xoauth2") else PASSWORD
    config = tmp_path / "msmtprc"
    config.write_text(
        "account default\nhost localhost\n"
        f"port {world.port(465)}\ntls on\ntls_starttls off\ntls_trust_file {world.authority}\n"
        f"auth {mechanism}\nuser alice@example.test\npassword {password}\n"
        "from alice@example.test\n"
    )
    if mechanism == "external":
        certificate, key = world.certificate("alice@example.test")
        with config.open("a") as file:
            file.write(f"tls_cert_file {certificate}\ntls_key_file {key}\n")
        Path(key).chmod(0o600)
    config.chmod(0o600)
    message = b"From: alice@example.test\nSubject: msmtp\n\nBody\n"
    run([need("msmtp"), "-C", str(config), "bob@example.test"], stdin=message)


def trusting(world: World) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=world.authority)


def test_smtplib(world: World) -> None:
    with smtplib.SMTP("localhost", world.port(587), timeout=60) as client:
        client.starttls(context=trusting(world))
        client.ehlo()
        client.user, client.password = "alice", PASSWORD
        code, _ = client.auth("CRAM-MD5", client.auth_cram_md5, initial_response_ok=False)
        assert code == 235
        client.sendmail("alice@example.test", ["bob@example.test"], b"Subject: x\r\n\r\nx\r\n")


def test_imaplib(world: World) -> None:
    client = imaplib.IMAP4_SSL(
        "localhost", world.port(993), ssl_context=trusting(world), timeout=60
    )
    assert client.login_cram_md5("alice", PASSWORD)[0] == "OK"
    client.logout()


def test_people_with_a_hash_log_in_as_before(world: World) -> None:
    """Bob's password is kept as a hash: PLAIN is his, and the others fail like a wrong one."""
    with smtplib.SMTP_SSL("localhost", world.port(465), context=trusting(world)) as client:
        client.ehlo()
        client.user, client.password = "bob", "builder"
        with pytest.raises(smtplib.SMTPAuthenticationError, match=r"5\.7\.8"):
            client.auth("CRAM-MD5", client.auth_cram_md5, initial_response_ok=False)
        assert client.auth("PLAIN", client.auth_plain)[0] == 235


def test_what_a_connection_is_offered(world: World) -> None:
    with smtplib.SMTP("localhost", world.port(587), timeout=60) as client:
        client.ehlo()
        assert not client.has_extn("auth")
        client.starttls(context=trusting(world))
        client.ehlo()
        names = client.esmtp_features["auth"].split()
    assert set(names) == {
        "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER",
        "XOAUTH2",
    }  # fmt: skip


def served(world: World, name: str) -> tuple[str, bytes | None]:
    """The common name and the whole of the certificate that a client gets for this name."""
    context = trusting(world)
    context.check_hostname = False
    raw = socket.create_connection(("127.0.0.1", world.port(993)), timeout=60)
    with context.wrap_socket(raw, server_hostname=name) as tls:
        certificate: Any = tls.getpeercert()
        return dict(certificate["subject"][0])["commonName"], tls.getpeercert(True)


@pytest.mark.parametrize("octets", [b"", b"\x16", b"\x16\x03\x01\x02\x00"])
def test_S19_a_handshake_that_never_ends_keeps_nobody_waiting(world: World, octets: bytes) -> None:
    """They are ended after HANDSHAKE_LIMIT_S (tests/edge); meanwhile others are served."""
    half_open = []
    for port in (465, 993, 995):
        each = socket.create_connection(("127.0.0.1", world.port(port)), timeout=60)
        each.sendall(octets)
        half_open.append(each)
    test_imaplib(world)
    for each in half_open:
        each.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_reload_takes_every_certificate_and_authority(tmp_path: Path, workers: int) -> None:
    folder = tmp_path / "d"
    oauth = f'audience = "mail"\njwks_file = "{folder}/jwks.json"'
    world = make_world(folder, oauth, workers)
    world.process.start()
    try:
        before = served(world, "mail.other.test")
        assert before[0] == "mail.other.test" and served(world, "x.test")[0] == "localhost"
        other = new_authority("Other")
        (folder / "ca.pem").write_bytes((folder / "ca.pem").read_bytes() + other.pem)
        certificate, key = other.issue("mail.other.test")
        (folder / "other.pem").write_bytes(certificate)
        (folder / "other.key").write_bytes(key)
        world.clients = new_authority("New clients")
        (folder / "clients.pem").write_bytes(world.clients.pem)
        world.process.signal(signal.SIGHUP)
        for _ in range(1 if workers == 1 else 1 + workers):
            world.process.wait_for_line("certificate reloaded")
        for _ in range(2 * workers):
            assert served(world, "mail.other.test") != before
            test_curl(world, "EXTERNAL", "imaps", 993, tmp_path)
    finally:
        world.process.stop()


# -- an issuer that is asked


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, HttpsIssuer]]:
    folder = tmp_path_factory.mktemp("asked")
    authority = new_authority()
    certificate, key = authority.issue("127.0.0.1")
    (folder / "issuer.pem").write_bytes(certificate + key)
    (folder / "issuer-ca.pem").write_bytes(authority.pem)
    (folder / "secret").write_text("s3cret/+\n")
    with running_issuer(folder / "issuer.pem") as issuer:
        world = make_world(
            folder / "d",
            f'introspection_url = "https://127.0.0.1:{issuer.port}/introspect"\n'
            f'client_id = "gateway"\nclient_secret_file = "{folder}/secret"\n'
            f'ca_file = "{folder}/issuer-ca.pem"',
        )
        world.process.start()
        yield world, issuer
        world.process.stop()


def authenticate(world: World, token: str) -> str:
    """What IMAP says to this token in the end."""
    client = imaplib.IMAP4_SSL(
        "localhost", world.port(993), ssl_context=trusting(world), timeout=60
    )
    answers = [b"n,,\x01auth=Bearer " + token.encode() + b"\x01\x01", b"\x01"]
    try:
        client.authenticate("OAUTHBEARER", lambda _: answers.pop(0))
    except imaplib.IMAP4.error as error:
        return str(error)
    finally:
        client.logout()
    return "in"


def test_the_issuer_is_asked(asked: tuple[World, HttpsIssuer]) -> None:
    world, issuer = asked
    issuer.answers["good"] = {"active": True, "email": "alice@example.test"}
    issuer.answers["nobody"] = {"active": True, "email": "nobody@example.test"}
    assert authenticate(world, "good") == "in"
    for wrong in ("nobody", "unknown"):
        assert "AUTHENTICATIONFAILED" in authenticate(world, wrong)
    assert authenticate(world, "good") == "in"
    assert issuer.asked.count("good") == 1, "remembered"


def test_A5_an_issuer_in_trouble_refuses_nobody(asked: tuple[World, HttpsIssuer]) -> None:
    world, issuer = asked
    for name, answer in (
        ("broken", 500),
        ("redirect", 302),
        ("html-", b"<html>"),
        ("endless", b" " * 200_000 + b'{"active": true}'),
    ):
        issuer.answers[name] = answer
        assert "UNAVAILABLE" in authenticate(world, name)
    issuer.answers["broken"] = {"active": True, "sub": "alice"}
    assert authenticate(world, "broken") == "in"
    eventually(lambda: any("65536 octets" in line for line in world.process.output))
    # A9: neither tokens nor our secret are in the log.
    unsaid = ("s3cret", "endless", "broken", "html-")
    assert not any(word in line for line in world.process.output for word in unsaid)
