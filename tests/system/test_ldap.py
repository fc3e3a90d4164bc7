"""The people of a real OpenLDAP log in and get mail; its absence is never their fault."""

from __future__ import annotations

import base64
import imaplib
import poplib
import smtplib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.gateway_process import Demo
from tests.support.mail import inbox, trusting
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd
from tests.support.waiting import eventually

CAROL = ("carol@example.test", "päss wörd")
PEOPLE = f"""\
dn: uid=carol,ou=people,{SUFFIX}
objectClass: inetOrgPerson
objectClass: inetLocalMailRecipient
uid: carol
cn: Carol
sn: Carol
mail: carol@example.test
mailLocalAddress: carol.second@example.test
userPassword: {CAROL[1]}

"""


@dataclass
class Site:
    """A gateway in front of a directory."""

    gateway: Demo
    slapd: Slapd


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    slapd = Slapd(tmp_path / "ldap", PEOPLE)
    slapd.start()
    gateway = Demo(tmp_path / "d")
    gateway.start()
    gateway.stop()
    password_file = tmp_path / "password"
    password_file.write_text(f"{READER_PASSWORD}\n")
    text = gateway.config.read_text()
    before, _, rest = text.partition("[directory]")
    directory = f"""[directory]
kind = "ldap"
uri = ["{slapd.tls_uri}"]
base_dn = "{SUFFIX}"
bind_dn = "{READER_DN}"
bind_password_file = "{password_file}"
ca_file = "{slapd.ca_file}"
timeout_s = 6.0
picture = false

[tls]"""
    # Nothing is remembered here, so that every answer is the servers'.
    forgetful = "\n[login]\nremembered_s = 0\noutage_days = 0\n"
    gateway.config.write_text(before + directory + rest.partition("[tls]")[2] + forgetful)
    gateway.start()
    try:
        yield Site(gateway, slapd)
    finally:
        gateway.stop()
        slapd.stop()


def deliver(site: Site, recipient: str) -> None:
    with smtplib.SMTP("127.0.0.1", site.gateway.port(25), timeout=60) as client:
        client.sendmail("x@elsewhere.example", [recipient], b"Subject: ldap\r\n\r\nx\r\n")


def test_people_of_openldap_get_mail_and_log_in_everywhere(site: Site) -> None:
    gateway = site.gateway
    deliver(site, "Carol@EXAMPLE.test")
    deliver(site, "carol.second@example.test")
    with smtplib.SMTP_SSL("127.0.0.1", gateway.port(465), timeout=60, context=trusting()) as client:
        client.ehlo()
        # smtplib encodes passwords as ASCII only; a real client sends UTF-8 (RFC 4616).
        secret = f"\0{CAROL[0]}\0{CAROL[1]}".encode()
        code, _ = client.docmd("AUTH", "PLAIN " + _base64(secret))
        assert code == 235
        client.sendmail(CAROL[0], ["carol@example.test"], b"Subject: mine\r\n\r\nx\r\n")
    with imaplib.IMAP4("127.0.0.1", gateway.port(143), timeout=60) as imap4:
        imap4.authenticate("PLAIN", lambda _: secret)
        assert imap4.select("INBOX")[1] == [b"3"]
    pop3 = poplib.POP3("127.0.0.1", gateway.port(110), timeout=60)
    pop3.encoding = "UTF-8"
    pop3.user("carol")
    pop3.pass_(CAROL[1])
    assert pop3.stat()[0] == 3
    pop3.quit()


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def test_A5_a_directory_that_is_down_is_nobodys_wrong_password(site: Site) -> None:
    site.slapd.stop()
    gateway = site.gateway
    with smtplib.SMTP("127.0.0.1", gateway.port(25), timeout=60) as client:
        client.ehlo()
        client.mail("x@elsewhere.example")
        code, text = client.rcpt("carol@example.test")
        assert (code, text[:6]) == (451, b"4.4.3 ")
    with smtplib.SMTP("127.0.0.1", gateway.port(587), timeout=60) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login(CAROL[0], "any")
        assert refused.value.smtp_code == 454
    with imaplib.IMAP4("127.0.0.1", gateway.port(143), timeout=60) as imap4:
        with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
            imap4.login(CAROL[0], "any")
    pop3 = poplib.POP3("127.0.0.1", gateway.port(110), timeout=60)
    pop3.user("carol")
    with pytest.raises(poplib.error_proto, match="SYS/TEMP"):
        pop3.pass_("any")
    pop3.close()

    site.slapd.start()
    eventually(lambda: is_taken(site, "carol@example.test"))


def is_taken(site: Site, recipient: str) -> bool:
    try:
        deliver(site, recipient)
    except smtplib.SMTPRecipientsRefused as refused:
        assert refused.recipients[recipient][0] == 451
        return False
    return True


def test_A5_L10_a_directory_that_hangs_holds_nobody_and_leaks_nothing(site: Site) -> None:
    """Many logins of one person at once; then it answers again.

    Connections to the directory and reading threads come as they are needed, a few at most: what
    hung logins left behind would be one each.
    """
    hung = 40

    def log_in(_: int = 0) -> str:
        with imaplib.IMAP4("127.0.0.1", site.gateway.port(143), timeout=60) as client:
            try:
                client.authenticate("PLAIN", lambda _: f"\0{CAROL[0]}\0{CAROL[1]}".encode())
            except imaplib.IMAP4.error as refused:
                return str(refused)
            return "in"

    def held() -> tuple[int, int]:
        assert site.gateway.process is not None
        process = Path("/proc", str(site.gateway.process.pid))
        return len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))

    def is_as_before() -> bool:
        return all(now < then + hung // 4 for now, then in zip(held(), before, strict=True))

    with ThreadPoolExecutor(20) as people:
        assert set(people.map(log_in, range(40))) == {"in"}
        before = held()
        site.slapd.freeze()
        answers = set(people.map(log_in, range(hung)))
        assert len(answers) == 1 and "[UNAVAILABLE]" in answers.pop()
        site.slapd.thaw()
        eventually(lambda: log_in(0) == "in")
        assert set(people.map(log_in, range(40))) == {"in"}
    eventually(is_as_before)


def test_a_rename_keeps_the_mailbox(site: Site) -> None:
    deliver(site, "carol@example.test")
    site.slapd.change(
        f"dn: uid=carol,ou=people,{SUFFIX}\n"
        "changetype: modify\nreplace: mail\nmail: caroline@example.test\n"
        "-\nreplace: userPassword\nuserPassword: plain\n"
    )
    deliver(site, "caroline@example.test")
    assert len(inbox(site.gateway.port(143), ("caroline@example.test", "plain"))) == 2


def test_no_password_in_any_output(site: Site) -> None:
    with smtplib.SMTP("127.0.0.1", site.gateway.port(587), timeout=60) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(CAROL[0], "correct-horse-battery")
    output = "\n".join(site.gateway.output)
    for secret in ("correct-horse-battery", READER_PASSWORD, _base64(b"correct-horse-battery")):
        assert secret not in output
