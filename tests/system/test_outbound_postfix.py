"""A real Postfix takes our mail: as smart host with TLS and login, and as an older server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.demo import prepare
from tests.support.authority import new_authority
from tests.support.gateway_process import BIN, Demo
from tests.support.mail import ALICE, inbox
from tests.support.outbound import FRIEND, running, submit
from tests.support.postfix import Postfix, Security, running_postfix
from tests.support.programs import run
from tests.support.waiting import eventually

PLANT = ("bob@plant.example.test", "carol@plant.example.test")
USER, PASSWORD = "gateway", "pass-wörd%"
BODY = b"".join(
    (
        b"From: alice@example.test\r\nSubject: all kinds\r\n\r\n",
        b".\r\n..\r\n.dot\r\n8-bit \xe4\xff\r\n",
        b"x" * 990 + b"\r\n",
        b"a line of five megabytes in all, to fill every buffer\r\n" * 95_000,
        b"last line",
    )
)


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, bytes, bytes]:
    """The file of the authority to trust, that of another one, certificate and key."""
    folder = tmp_path_factory.mktemp("ca")
    authority = new_authority()
    (folder / "ca.pem").write_bytes(authority.pem)
    (folder / "other.pem").write_bytes(new_authority("Another CA").pem)
    return folder / "ca.pem", folder / "other.pem", *authority.issue("localhost")


@pytest.fixture(scope="module")
def postfix(authorities: tuple[Path, Path, bytes, bytes]) -> Iterator[Postfix]:
    """Takes mail from those who have logged in under TLS, and from nobody else."""
    security = Security(authorities[2], authorities[3], USER, PASSWORD)
    with running_postfix(people=(FRIEND,), security=security) as running:
        yield running


@pytest.fixture(scope="module")
def plain_postfix() -> Iterator[Postfix]:
    """Takes mail for its people from loopback."""
    with running_postfix(people=(FRIEND, PLANT[0])) as running:
        yield running


def outbound(url: str, ca_file: Path, password: str = PASSWORD) -> str:
    return f"""\
[outbound]
smart_host = "{url}"
smart_host_password = "{password}"
ca_file = "{ca_file}"
retry_after_s = [1]
"""


def arrived(postfix: Postfix, mark: bytes, name: str = "friend") -> bytes:
    """The one message that holds the mark, once it is there, with CRLF line ends."""
    (message,) = eventually(lambda: [m for m in postfix.messages(name) if mark in m])
    return message.replace(b"\n", b"\r\n")


def status(demo: Demo) -> str:
    command = [str(BIN / "python"), "-m", "gateway", "status", "--config", str(demo.config)]
    return run(command).stdout.decode()


@pytest.mark.parametrize(
    "url", ["smtp://{user}@localhost:{port}?tls=verified", "smtps://{user}@localhost:{tls_port}"]
)
def test_login_under_tls_with_a_checked_certificate(
    tmp_path: Path, postfix: Postfix, authorities: tuple[Path, Path, bytes, bytes], url: str
) -> None:
    url = url.format(user=USER, port=postfix.port, tls_port=postfix.tls_port)
    mark = f"by {url.split(':')[0]} with TLS".encode()
    with running(Demo(tmp_path / "d"), outbound(url, authorities[0])) as demo:
        submit(demo, FRIEND, message=b"Subject: " + mark + b"\r\n\r\nhello\r\n")
        assert arrived(postfix, mark).endswith(b"\r\n\r\nhello\r\n")
        demo.wait_for_line(f"to={FRIEND} delivered")
        assert PASSWORD not in "".join(demo.output)


@pytest.mark.parametrize(
    ("host", "trusted", "password", "reason"),
    [
        ("localhost", 1, PASSWORD, "the issuer of the certificate is not known"),
        ("127.0.0.1", 0, PASSWORD, "the certificate is not for 127.0.0.1"),
        ("localhost", 0, "wrong-pass", "the next hop refused our login: 535 5.7.8"),
    ],
)
def test_S18_what_only_the_administrator_can_mend_keeps_mail_waiting(
    tmp_path: Path,
    postfix: Postfix,
    authorities: tuple[Path, Path, bytes, bytes],
    host: str,
    trusted: int,
    password: str,
    reason: str,
) -> None:
    ca_file = authorities[trusted]
    assert isinstance(ca_file, Path)
    url = f"smtp://{USER}@{host}:{postfix.port}?tls=verified"
    mark = b"waits: " + reason.encode()
    demo = Demo(tmp_path / "d")
    with running(demo, outbound(url, ca_file, password)):
        submit(demo, FRIEND, message=b"Subject: " + mark + b"\r\n\r\nhello\r\n")
        line = demo.wait_for_line(f"to={FRIEND} deferred")
        assert reason in line
        assert "1 messages to 1 recipients" in status(demo)
        assert password not in "".join(demo.output)
    mended = demo.config.read_text().replace(password, PASSWORD).replace(f"@{host}:", "@localhost:")
    demo.config.write_text(mended.replace(str(ca_file), str(authorities[0])))
    with running(demo, ""):
        arrived(postfix, mark)


def test_S28_everything_arrives_octet_for_octet(tmp_path: Path, plain_postfix: Postfix) -> None:
    settings = f'[outbound]\nsmart_host = "smtp://127.0.0.1:{plain_postfix.port}"\n'
    with running(Demo(tmp_path / "d"), settings) as demo:
        submit(demo, FRIEND, message=BODY)
        message = arrived(plain_postfix, b"Subject: all kinds")
        # Postfix adds what is missing to the header of mail from its own network.
        body = message.partition(b"\r\n\r\n")[2]
        assert body == BODY.partition(b"\r\n\r\n")[2] + b"\r\n"


def test_known_people_of_a_relayed_domain_reach_the_older_server(
    tmp_path: Path, plain_postfix: Postfix
) -> None:
    demo = Demo(tmp_path / "d")
    prepare(demo.folder, demo.base)
    people = demo.folder / "people.ldif"
    added = "\nmail: ".join(["mail: bob@example.test", *PLANT])
    people.write_text(people.read_text().replace("mail: bob@example.test", added))
    relay = f"smtp://127.0.0.1:{plain_postfix.port}"
    with running(demo, f'[domains."plant.example.test"]\nrelay = "{relay}"\n'):
        message = b"Subject: plant\r\n\r\nhello\r\n"
        submit(demo, PLANT[0], "bob@example.test", message=message)
        arrived(plain_postfix, b"Subject: plant", "bob")
        assert len(inbox(demo.port(143))) == 1
        # Known to the directory, not to the older server: the sender hears what that one says.
        submit(demo, PLANT[1], message=message)
        (report,) = eventually(lambda: inbox(demo.port(143), ALICE))
        assert b"550 5.1.1 <%s>" % PLANT[1].encode() in report
