"""SECURITY D4, D5, S18: servers that do everything wrong, all at once, and one gateway in between.

One message for each row of ``bad_peer_table`` leaves at the same time; then each row is looked at.
Nothing may be lost, and nothing come twice unless the answer to the end of data was lost.
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.authority import new_authority
from tests.support.bad_peer import Conduct, Peer, bad_peers
from tests.support.gateway_process import BIN, ROOT, Demo
from tests.support.mail import ALICE, inbox
from tests.support.name_server import running_name_server
from tests.support.outbound import running
from tests.support.private_network import private_network
from tests.support.waiting import eventually
from tests.system.bad_peer_table import NAMES, Fate, Row, rows

T = TypeVar("T")
LOGIN = ("gateway", "pass-wörd%")
NETWORK, NEXT_HOST = "198.51.100.{}", "198.51.100.254"
DEADLINE_S = 45.0
_NO_TLS = (b"", b"")
ROWS = {row.name: row for row in rows(_NO_TLS, _NO_TLS, LOGIN)}
HOSTS = {name: f"mail.{row.domain}" for name, row in ROWS.items()}


@dataclass(frozen=True)
class World:
    """The gateway and its peers, by the names of the rows."""

    demo: Demo
    peers: Mapping[str, Peer]
    next_host: Peer

    def logged(self, recipient: str, what: str, words: str = "") -> list[str]:
        about = f"to={recipient} {what}"
        return [line for line in list(self.demo.output) if about in line and words in line]

    def copies(self, row: Row, recipient: str) -> tuple[int, int]:
        """At the row's own host and at the next one."""
        return self.peers[row.name].copies(recipient), self.next_host.copies(recipient)

    def reports_about(self, recipient: str) -> list[str]:
        return self.reported().get(recipient, [])

    def reported(self) -> dict[str, list[str]]:
        """By recipient, the reports that came back."""
        found: dict[str, list[str]] = {}
        for octets in inbox(self.demo.port(143), ALICE):
            report = message_from_bytes(octets)
            for recipient in re.findall(r"Final-Recipient: rfc822; ?(\S+)", report.as_string()):
                found.setdefault(recipient, []).append(report.as_string())
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("bad")
    authority = new_authority()
    (folder / "ca.pem").write_bytes(authority.pem)
    good = authority.issue(*HOSTS.values())
    table = rows(good, authority.issue("another.example"), LOGIN)
    addresses = {row.name: NETWORK.format(number) for number, row in enumerate(table, 1)}
    conducts = {addresses[row.name]: row.conduct for row in table} | {NEXT_HOST: Conduct()}
    with private_network(NETWORK.format(1) + "/24"), bad_peers(conducts) as peers:
        mx = {row.domain: [(10, HOSTS[row.name])] for row in table}
        for row in table:
            if row.second:
                mx[row.domain].append((20, "next.example"))
        a = {HOSTS[name]: [address] for name, address in addresses.items()}
        with running_name_server(mx=mx, a={**a, "next.example": [NEXT_HOST]}) as names:
            demo = Demo(folder / "d")
            settings = outbound(table, names.port, folder / "ca.pem")
            impatient = [str(BIN / "python"), str(ROOT / "tests" / "support" / "impatient.py")]
            with running(demo, settings, command=impatient):
                send_all(demo, table)
                by_name = {name: peers[address] for name, address in addresses.items()}
                yield World(demo, by_name, peers[NEXT_HOST])


def soon(probe: Callable[[], T]) -> T:
    return eventually(probe, deadline_s=DEADLINE_S)


def outbound(table: list[Row], resolver_port: int, ca_file: Path) -> str:
    settings = f"""\
[outbound]
resolvers = ["127.0.0.1:{resolver_port}"]
ca_file = "{ca_file}"
retry_after_s = [1]
"""
    for row in table:
        section = f'[outbound.destinations."{row.domain}"]\n'
        if row.login:
            host = HOSTS[row.name]
            settings += f'{section}next_hop = "smtp://{LOGIN[0]}@{host}?tls=verified"\n'
            settings += f'[outbound.logins."{LOGIN[0]}@{host}"]\npassword = "{LOGIN[1]}"\n'
        elif row.tls:
            settings += f'{section}tls = "{row.tls}"\n'
    return settings


def send_all(demo: Demo, table: list[Row]) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port(587), timeout=60) as client:
        client.login(*ALICE)
        for row in table:
            message = f"From: {ALICE[0]}\r\nSubject: {row.name}\r\n\r\n.dot\r\n".encode()
            client.sendmail(ALICE[0], [f"{name}@{row.domain}" for name in NAMES], message)


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_D4_D5_each_recipient_meets_its_fate(world: World, row: Row) -> None:
    peer = world.peers[row.name]
    for name in NAMES:
        recipient, fate = f"{name}@{row.domain}", row.fate_of(name)
        if fate is Fate.RETURNS:
            (told,) = soon(partial(world.reports_about, recipient))
            assert row.words in told
        elif fate is Fate.WAITS:
            soon(partial(world.logged, recipient, "deferred", row.words))
        else:
            soon(partial(world.logged, recipient, "delivered"))
        copies = world.copies(row, recipient)
        assert copies[0] <= (2 if fate is Fate.AGAIN else fate is Fate.ARRIVES)
        assert copies[1] == (fate is Fate.ELSEWHERE)
    if fate is Fate.ELSEWHERE:
        assert peer.connections >= 1, "the first host is tried first"
    if row.tls or row.login:
        assert all(each.secure for each in peer.taken)


def test_S18_a_password_is_never_said_in_clear_or_written_down(world: World) -> None:
    for name, row in ROWS.items():
        if row.login:
            before_tls = world.peers[name].verbs[: world.peers[name].verbs.index("STARTTLS")]
            assert "AUTH" not in before_tls
    assert LOGIN[1] not in "\n".join(world.demo.output)


def test_D5_at_the_end_nothing_is_lost_and_nothing_came_twice(world: World) -> None:
    waiting = {
        f"{name}@{row.domain}": row
        for row in ROWS.values()
        for name in NAMES
        if row.fate_of(name) is Fate.WAITS
    }
    eventually(lambda: world.demo.status()["queue"]["recipients"] == len(waiting))
    reported = world.reported()
    for row in ROWS.values():
        for name in NAMES:
            recipient, fate = f"{name}@{row.domain}", row.fate_of(name)
            copies = sum(world.copies(row, recipient))
            most = 2 if fate is Fate.AGAIN else 1
            told = len(reported.get(recipient, ()))
            assert (fate is Fate.RETURNS) == (told == 1), recipient
            assert (copies == 0) if fate in (Fate.RETURNS, Fate.WAITS) else 1 <= copies <= most
