"""Guessers at all doors, from many addresses, before a domain that locks people out (L22)."""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.support.gateway_process import Demo
from tests.support.mail import trusting
from tests.support.samba_ad import SambaAd
from tests.support.samba_people import (
    BASE,
    DNS_DOMAIN,
    LOCKOUT_THRESHOLD,
    NETBIOS_DOMAIN,
    PASSWORD,
    READER_DN,
    dn_of,
    user,
)
from tests.support.waiting import eventually

STELLA = dn_of("stella")
NAMES = (
    "stella",
    "STELLA",
    "stella@example.test",
    f"Stella@{DNS_DOMAIN}",
    f"{NETBIOS_DOMAIN}\\stella",
    "s.sommer@example.test",
)
HOME = "192.0.2.9"
GUESSES = 18


@pytest.fixture(scope="module")
def stella(samba_ad: SambaAd) -> Iterator[SambaAd]:
    """The domain with one person more."""
    also = "proxyAddresses: smtp:s.sommer@example.test"
    samba_ad.change(user("stella", "mail: stella@example.test", also))
    yield samba_ad
    samba_ad.change(f"dn: {STELLA}\nchangetype: delete\n\n")


def failures(server: SambaAd) -> int:
    """How many the domain counts of hers; it must have locked nobody."""
    name, password = server.administrator
    found = server.client(
        "ldapsearch", "-x", "-LLL", "-D", name, "-w", password, "-b", STELLA, "-s", "base",
        "badPwdCount", "lockoutTime",
    ).stdout.decode()  # fmt: skip
    assert "lockoutTime: 1" not in found, found
    count = re.search(r"^badPwdCount: (\d+)$", found, re.MULTILINE)
    return int(count[1]) if count is not None else 0


class Doors:
    """A gateway in front of the domain, whose clients come from elsewhere: loopback is no
    stranger's place."""

    def __init__(self, folder: Path, server: SambaAd) -> None:
        self.gateway = Demo(folder)
        self.gateway.prepare()
        before, _, rest = self.gateway.config.read_text().partition("[directory]")
        directory = f"""[directory]
kind = "ldap"
preset = "samba"
uri = ["{server.tls_uri}"]
base_dn = "{BASE}"
netbios_domain = "{NETBIOS_DOMAIN}"
bind_dn = "{READER_DN}"
bind_password = "{PASSWORD}"
ca_file = "{server.ca_file}"
timeout_s = 20.0
picture = false

[tls]"""
        text = before + directory + rest.partition("[tls]")[2]
        listener = re.compile(r'^(protocol = "(?:imap|pop3|submission)")$', re.MULTILINE)
        self.gateway.config.write_text(listener.sub(r'\1\nproxy_from = "127.0.0.1"', text))
        self.gateway.arguments = ["--config", str(self.gateway.config)]  # the demo has no proxies
        self.gateway.environ["GATEWAY_WORKERS"] = "2"
        self.gateway.start()

    @contextmanager
    def _at(self, port: int, ip: str) -> Iterator[tuple[socket.socket, BinaryIO]]:
        raw = socket.create_connection(("127.0.0.1", self.gateway.port(port)), 40)
        raw.sendall(f"PROXY TCP4 {ip} 192.0.2.1 5000 {port}\r\n".encode())
        with (
            trusting().wrap_socket(raw, server_hostname="localhost") as tls,
            tls.makefile("rb") as lines,
        ):
            lines.readline()
            yield tls, lines

    def imap(self, ip: str, login: str, password: str) -> str:
        with self._at(993, ip) as (tls, lines):
            name = login.replace("\\", "\\\\")
            tls.sendall(f'a LOGIN "{name}" "{password}"\r\n'.encode())
            return lines.readline().decode()

    def pop3(self, ip: str, login: str, password: str) -> str:
        with self._at(995, ip) as (tls, lines):
            tls.sendall(f"USER {login}\r\n".encode())
            lines.readline()
            tls.sendall(f"PASS {password}\r\n".encode())
            return lines.readline().decode()

    def submission(self, ip: str, login: str, password: str) -> str:
        with self._at(465, ip) as (tls, lines):
            tls.sendall(b"EHLO client.example.test\r\n")
            while lines.readline()[3:4] == b"-":
                pass
            coded = base64.b64encode(f"\0{login}\0{password}".encode()).decode()
            tls.sendall(f"AUTH PLAIN {coded}\r\n".encode())
            return lines.readline().decode()


@pytest.fixture
def doors(stella: SambaAd, tmp_path: Path) -> Iterator[Doors]:
    made = Doors(tmp_path / "d", stella)
    yield made
    made.gateway.stop()


def answer(way: Callable[[str, str, str], str]) -> str:
    """What she hears; nothing: that a server is too slow, which is worth another try."""
    said = way(HOME, "stella", PASSWORD)
    temporary = ("[UNAVAILABLE]", "[SYS/TEMP]", "454 ")
    return "" if any(each in said for each in temporary) else said


def test_L22_a_storm_at_all_doors_never_has_active_directory_lock_stella(
    doors: Doors, stella: SambaAd
) -> None:
    ways = (doors.imap, doors.pop3, doors.submission)
    welcome = ("a OK", "+OK", "235")

    def welcomed() -> None:
        for way, expected in zip(ways, welcome, strict=True):
            said = eventually(partial(answer, way), deadline_s=90)
            assert said.startswith(expected), said

    welcomed()

    def guess(number: int) -> str:
        ip = f"198.{51 + number}.100.7"
        return ways[number % 3](ip, NAMES[number % len(NAMES)], f"guess {number}")

    with ThreadPoolExecutor(GUESSES) as pool:
        heard = list(pool.map(guess, range(GUESSES)))
    assert not any(each.startswith(welcome) for each in heard), heard
    assert 0 < failures(stella) < LOCKOUT_THRESHOLD - 1, "one try is left for where she is"
    welcomed()
    assert failures(stella) == 0, "it was the domain that said so"
