"""Mail programs that keep an old password, and guessers, before a real directory (A7, A8)."""

from __future__ import annotations

import imaplib
import smtplib
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.support.gateway_process import Demo
from tests.support.mail import trusting
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd

PEOPLE = "".join(
    f"""\
dn: uid={name},ou=people,{SUFFIX}
objectClass: inetOrgPerson
uid: {name}
cn: {name}
sn: {name}
mail: {name}@example.test
userPassword: right one

"""
    for name in ("carol", "dave", "erin")
)
FRANK = f"uid=frank,ou=people,{SUFFIX}"
FRANKS_NAMES = (
    "frank",
    "frank@example.test",
    "FRANK",
    "f.miller@example.test",
    "Frank@Example.Test",
)
PEOPLE += f"""\
dn: cn=five,{SUFFIX}
objectClass: applicationProcess
objectClass: pwdPolicy
cn: five
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 5
pwdLockoutDuration: 1800
pwdFailureCountInterval: 1800

dn: {FRANK}
objectClass: inetOrgPerson
uid: frank
cn: frank
sn: frank
mail: frank@example.test
mail: f.miller@example.test
userPassword: right one
pwdPolicySubentry: cn=five,{SUFFIX}

"""


@dataclass
class Site:
    gateway: Demo
    slapd: Slapd

    def binds(self, name: str) -> int:
        """How often the directory was asked about this person's password."""
        log = (self.slapd.directory / "slapd.log").read_text(errors="replace")
        return log.count(f'BIND dn="uid={name},ou=people,{SUFFIX}" method=128')

    def failures(self, dn: str) -> int:
        """How many the directory counts; it must have locked nobody."""
        name, password = self.slapd.administrator
        found = self.slapd.client(
            "ldapsearch", "-x", "-LLL", "-D", name, "-w", password, "-b", dn, "-s", "base",
            "pwdFailureTime", "pwdAccountLockedTime",
        ).stdout.decode()  # fmt: skip
        assert "pwdAccountLockedTime" not in found, found
        return found.count("pwdFailureTime:")

    def imap(self, user: str, password: str) -> str:
        """What a mail program hears."""
        port = self.gateway.port(993)
        with imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=trusting(), timeout=60) as client:
            try:
                return client.login(user, password)[0]
            except imaplib.IMAP4.error as error:
                return str(error)

    def imap_by_proxy(self, ip: str, user: str, password: str) -> str:
        """The same of a client elsewhere, whom our proxy names."""
        raw = socket.create_connection(("127.0.0.1", self.gateway.port(993)), 60)
        raw.sendall(f"PROXY TCP4 {ip} 192.0.2.1 5000 993\r\n".encode())
        context: ssl.SSLContext = trusting()
        with (
            context.wrap_socket(raw, server_hostname="localhost") as tls,
            tls.makefile("rb") as in_,
        ):
            in_.readline()
            tls.sendall(f'a LOGIN {user} "{password}"\r\n'.encode())
            return in_.readline().decode()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("throttle")
    slapd = Slapd(folder / "ldap", PEOPLE)
    slapd.debug = 256
    slapd.start()
    gateway = Demo(folder / "d", workers=2)
    gateway.prepare()
    (folder / "password").write_text(f"{READER_PASSWORD}\n")
    text = gateway.config.read_text()
    before, _, rest = text.partition("[directory]")
    directory = f"""[directory]
kind = "ldap"
uri = ["{slapd.tls_uri}"]
base_dn = "{SUFFIX}"
bind_dn = "{READER_DN}"
bind_password_file = "{folder}/password"
ca_file = "{slapd.ca_file}"

[tls]"""
    gateway.config.write_text(before + directory + rest.partition("[tls]")[2])
    gateway.start()
    try:
        yield Site(gateway, slapd)
    finally:
        gateway.stop()
        slapd.stop()


def test_A8_the_same_wrong_password_reaches_the_directory_once(site: Site) -> None:
    for user in ("carol", "CAROL", "carol") * 2:
        assert "AUTHENTICATIONFAILED" in site.imap(user, "old one")
    with (
        smtplib.SMTP_SSL(
            "127.0.0.1", site.gateway.port(465), timeout=60, context=trusting()
        ) as client,
        pytest.raises(smtplib.SMTPAuthenticationError) as refused,
    ):
        client.login("carol", "old one")
    assert refused.value.smtp_code == 535
    assert site.binds("carol") == 1
    assert site.imap("carol", "right one") == "OK"
    assert site.binds("carol") == 2


def test_A8_a_mail_program_that_opens_five_connections_again_and_again(site: Site) -> None:
    with ThreadPoolExecutor(5) as pool:
        for _ in range(3):
            said = list(pool.map(lambda _: site.imap("dave", "old one"), range(5)))
            assert all("AUTHENTICATIONFAILED" in each for each in said), said
        assert site.binds("dave") == 1
        said = list(pool.map(lambda _: site.imap("dave", "right one"), range(5)))
    assert said == ["OK"] * 5


@pytest.fixture(scope="module")
def proxied(site: Site) -> Site:
    """Whose clients come from elsewhere."""
    text = site.gateway.config.read_text()
    site.gateway.stop()
    listen = 'protocol = "imap"\n'
    site.gateway.config.write_text(text.replace(listen, f'{listen}proxy_from = "127.0.0.1"\n'))
    site.gateway.arguments = ["--config", str(site.gateway.config)]  # the demo has no proxies
    site.gateway.environ["GATEWAY_WORKERS"] = "3"
    site.gateway.start()
    return site


def test_A7_strangers_neither_lock_erin_out_nor_get_past_the_limits(proxied: Site) -> None:
    site = proxied
    assert site.imap_by_proxy("192.0.2.9", "erin", "right one").startswith("a OK")
    with ThreadPoolExecutor(8) as pool:
        said = list(
            pool.map(
                lambda n: site.imap_by_proxy(f"198.51.{8 * n}.1", "erin", f"guess {n}"), range(12)
            )
        )
    # The directory says neither where it locks her nor what it counts, and half of four may be used
    # in the first half hour: one by her.
    assert sum("AUTHENTICATIONFAILED" in each for each in said) == 1, said
    assert sum("UNAVAILABLE" in each for each in said) == 11, said
    assert site.binds("erin") == 2
    # Where nobody is asked, what is kept may say that she is right, and nothing that she is wrong.
    assert "AUTHENTICATIONFAILED" not in site.imap_by_proxy("203.0.113.5", "erin", "right one")
    assert site.imap_by_proxy("192.0.2.10", "erin", "right one").startswith("a OK")
    with ThreadPoolExecutor(10) as pool:
        guesses = list(
            pool.map(lambda n: site.imap_by_proxy("203.0.113.77", f"no{n}", "x"), range(10))
        )
    assert all("AUTHENTICATIONFAILED" in each for each in guesses), guesses
    assert "[UNAVAILABLE] Try again later" in site.imap_by_proxy("203.0.113.77", "erin", "x")


def test_A8_L22_an_old_telephone_beside_the_right_password_locks_nobody_out(proxied: Site) -> None:
    """Four connections with an old password, again and again, by two names, and meanwhile the same
    person with the right one."""
    site = proxied
    home = "192.0.2.9"
    assert site.imap_by_proxy(home, "frank", "right one").startswith("a OK")
    with ThreadPoolExecutor(8) as pool:
        for n in range(3):
            old = [
                pool.submit(site.imap_by_proxy, "192.0.2.10", FRANKS_NAMES[n % 2], "old one")
                for _ in range(4)
            ]
            # By the other address he is a stranger there until it has worked once.
            names = [name for name in FRANKS_NAMES if "miller" not in name]
            right = [pool.submit(site.imap_by_proxy, home, name, "right one") for name in names]
            assert all("AUTHENTICATIONFAILED" in each.result() for each in old)
            heard = [each.result() for each in right]
            assert all(each.startswith("a OK") for each in heard), heard
    assert site.failures(FRANK) <= 1


def test_L22_a_storm_by_all_names_from_everywhere_never_has_openldap_lock_frank(
    proxied: Site,
) -> None:
    site = proxied
    home = "192.0.2.9"
    assert site.imap_by_proxy(home, "frank", "right one").startswith("a OK")

    def guess(n: int) -> str:
        ip = f"198.{51 + n % 50}.{n}.1"
        return site.imap_by_proxy(ip, FRANKS_NAMES[n % 5], f"guess {n}")

    with ThreadPoolExecutor(12) as pool:
        said = list(pool.map(guess, range(48)))
    assert all("AUTHENTICATIONFAILED" in each or "UNAVAILABLE" in each for each in said), said
    assert site.failures(FRANK) <= 3, "one try is left for where he is"
    assert site.imap_by_proxy(home, "frank", "right one").startswith("a OK")
    assert site.failures(FRANK) == 0, "it was the directory that said so"
