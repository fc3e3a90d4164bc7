"""Mail by MX records and by next hops, for real: name servers, other hosts and their port 25 in a
private network."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from gateway.app.demo import prepare
from tests.support.gateway_process import Demo
from tests.support.mail import ALICE
from tests.support.name_server import NameServer, running_name_server
from tests.support.outbound import FRIEND, running, submit
from tests.support.ports import free_port
from tests.support.private_network import private_network
from tests.support.sink import Received, Sink, running_sink
from tests.support.waiting import eventually

OURS, DEAD, HOST, PLAIN = "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"
MESSAGE = b"From: alice@example.test\r\nSubject: by MX\r\n\r\nhello\r\n"
MX = {
    "elsewhere.example": [(20, "mx2.elsewhere.example"), (10, "mx1.elsewhere.example")],
    "late.example": [(10, "mx2.elsewhere.example")],
    "cut.example": [(10, "mx2.elsewhere.example")],
    "backup.example": [(10, "mx2.elsewhere.example"), (20, "another-name-of-ours.example")],
    "loop.example": [(10, "another-name-of-ours.example")],
    "null.example": [(0, "")],
}
A = {
    "mx1.elsewhere.example": [DEAD],
    "mx2.elsewhere.example": [HOST],
    "plain.example": [PLAIN],
    "another-name-of-ours.example": [OURS],
}
CAROL = """
dn: uid=carol,ou=people,dc=example,dc=test
objectClass: inetOrgPerson
objectClass: inetLocalMailRecipient
uid: carol
cn: Carol
sn: C
mail: carol@example.test
mailHost: 192.0.2.3
mailRoutingAddress: carol@old.example
"""


@dataclass
class World:
    demo: Demo
    names: NameServer
    host: Sink
    plain: Sink

    def send(self, *recipients: str) -> None:
        submit(self.demo, *recipients, message=MESSAGE, starttls=True)

    def taken(self, sink: Sink, recipient: str) -> Received:
        return eventually(
            lambda: next((e for e in sink.script.received if e.recipients == [recipient]), None)
        )  # type: ignore[return-value]  # eventually is true


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    demo = Demo(tmp_path_factory.mktemp("mx") / "d")
    with (
        private_network(OURS, DEAD, HOST, PLAIN),
        running_name_server(mx=MX, a=A, tcp=True) as names,
        running_sink(HOST, 25) as host,
        running_sink(PLAIN, 25) as plain,
    ):
        # The first name server is not there.
        settings = f"""\
[outbound]
resolvers = ["127.0.0.1:{free_port()}", "127.0.0.1:{names.port}"]
retry_after_s = [1]
mta_sts = false
[outbound.destinations."named.example"]
next_hop = ["smtp://{DEAD}", "smtp://{PLAIN}:25?tls=none"]
[domains."backup.example"]
relay = "mx"
relay_recipients = "any"
[[listen]]
protocol = "smtp"
address = "{OURS}:25"
tls = "none"
"""
        prepare(demo.folder, demo.base)
        people = demo.folder / "people.ldif"
        people.write_text(f"{people.read_text()}{CAROL}")
        with running(demo, settings, ["--config", str(demo.config)]):
            yield World(demo, names, host, plain)


def test_the_next_host_takes_what_the_first_one_does_not_answer(world: World) -> None:
    world.send(FRIEND, "somebody@plain.example")
    assert world.taken(world.host, FRIEND).message.endswith(MESSAGE)
    # RFC 5321 section 5.1: a domain without MX records is its own mail host.
    world.taken(world.plain, "somebody@plain.example")


def test_hosts_that_take_no_mail_are_reported_at_once(world: World) -> None:
    world.send("somebody@null.example", "somebody@nowhere.example")
    ends = ("null.example failed status=5.1.10", "nowhere.example failed status=5.1.2")
    eventually(lambda: all(f"to=somebody@{end}" in "\n".join(world.demo.output) for end in ends))


def test_a_silent_name_server_only_delays(world: World) -> None:
    world.names.silent = True
    world.send("somebody@late.example")
    eventually(lambda: world.names.swallowed)
    world.names.silent = False
    world.taken(world.host, "somebody@late.example")


def test_an_answer_that_is_cut_off_or_comes_behind_forged_ones_counts(world: World) -> None:
    world.names.cut = {"cut.example"}
    world.names.forged = 3
    world.send("somebody@cut.example")
    world.taken(world.host, "somebody@cut.example")
    assert "MX cut.example tcp" in world.names.asked
    world.names.forged = 0


def test_named_servers_are_tried_in_their_order(world: World) -> None:
    world.send("somebody@named.example")
    world.taken(world.plain, "somebody@named.example")


def test_the_directory_says_whose_server_takes_a_persons_mail(world: World) -> None:
    world.send("carol@example.test")
    assert world.taken(world.host, "carol@old.example").sender == ALICE[0]


def test_S34_an_address_that_we_listen_on_is_no_destination(world: World) -> None:
    world.send("somebody@loop.example")
    line = world.demo.wait_for_line("somebody@loop.example failed status=5.4.6")
    assert "lead back to this server" in line, "known without connecting to ourselves"


def test_explain_shows_the_way_out_of_a_backup_mx_and_sends_nothing(world: World) -> None:
    before = len(world.host.script.received)
    said = subprocess.run(
        [
            *(sys.executable, "-m", "gateway", "explain", "--config", str(world.demo.config)),
            *("--from", "x@far.example", "--to", "who@backup.example", "--json"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    (queued,) = json.loads(said.stdout)["stored"]["queued"]
    assert queued["next_hop"] == "backup.example"
    assert [host["host"] for host in queued["hosts"]] == ["mx2.elsewhere.example"]
    assert queued["left_out"] == ["another-name-of-ours.example"]
    assert len(world.host.script.received) == before
