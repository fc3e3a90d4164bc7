"""XCLIENT: named proxies speak for their clients, nobody else does, and logins are named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.errors import DirectoryUnavailable
from tests.support.smtp_fakes import ALICE, AT_ONCE, Client, SmtpBench, codes, plain

PROXY = "192.0.2.9"
BODY = b"Subject: x\r\n\r\nhello\r\n"


def bench_with_proxy(protocol: str = "smtp") -> SmtpBench:
    return SmtpBench(protocol, may_xclient=lambda ip: ip == PROXY, clear_text_login=True)


def become(client: Client, attributes: bytes) -> None:
    assert client.say(b"XCLIENT " + attributes).startswith(b"220 mail.example.test ")


def test_the_message_is_the_clients_not_the_proxys() -> None:
    bench = bench_with_proxy()
    client = bench.ready(PROXY)
    become(client, b"NAME=mx.far.test ADDR=IPV6:2001:db8::5 HELO=old.far.test PROTO=ESMTP")
    assert client.connection.client.host_name == "mx.far.test"
    assert client.connection.client.hello == "old.far.test"
    assert client.say(b"MAIL FROM:<a@far.test>").startswith(b"503 5.5.1 ")
    client.say(b"EHLO new.far.test")
    client.deliver(BODY)
    trace = bench.intake.accepted[0].trace_header
    assert trace.startswith(b"Received: from new.far.test ([IPv6:2001:db8::5])\r\n")
    assert PROXY.encode() not in trace


def test_only_named_networks_see_it_or_may_say_it() -> None:
    bench = bench_with_proxy()
    assert b"XCLIENT" in bench.connect(PROXY).say(b"EHLO proxy.test")
    stranger = bench.connect("192.0.2.10")
    assert b"XCLIENT" not in stranger.say(b"EHLO far.test")
    assert codes(stranger.say(b"XCLIENT ADDR=127.0.0.1 LOGIN=alice"))[0] in (502, 550)
    assert stranger.connection.peer_ip == "192.0.2.10" and stranger.connection.login == ""


def test_who_was_named_cannot_name_others_but_the_proxy_can_again() -> None:
    """The proxy is who holds the socket: a client behind it can send no command but through it."""
    bench = bench_with_proxy()
    client = bench.ready(PROXY)
    become(client, b"ADDR=198.51.100.1")
    client.say(b"EHLO a.test")
    become(client, b"ADDR=198.51.100.2")
    assert client.connection.peer_ip == "198.51.100.2"


def test_everything_known_before_is_forgotten() -> None:
    bench = bench_with_proxy("submission")
    client = bench.ready(PROXY)
    client.start_tls()
    client.say(b"EHLO client.test")
    assert client.say(b"AUTH PLAIN " + plain(b"alice", b"secret")).startswith(b"235 ")
    become(client, b"ADDR=198.51.100.1")
    assert client.connection.login == "" and client.connection.client.account is None
    client.say(b"EHLO client.test")
    assert client.say(b"MAIL FROM:<alice@example.test>").startswith(b"530 5.7.0 ")


def test_a_login_counts_only_if_this_command_names_it() -> None:
    bench = bench_with_proxy("submission")
    client = bench.ready(PROXY)
    become(client, b"ADDR=198.51.100.1 LOGIN=alice")
    assert client.connection.login == ALICE.login
    client.say(b"EHLO client.test")
    assert client.say(b"MAIL FROM:<alice@example.test>").startswith(b"250 ")
    assert client.say(b"RSET").startswith(b"250 ")
    become(client, b"ADDR=198.51.100.1")
    assert client.connection.login == ""
    client.say(b"EHLO client.test")
    become(client, b"LOGIN=[UNAVAILABLE]")
    assert client.connection.login == ""


@pytest.mark.parametrize("login", [b"mallory", b"leaver"])
def test_unknown_and_disabled_people_are_nobody(login: bytes) -> None:
    bench = bench_with_proxy("submission")
    bench.people["leaver"] = replace(ALICE, enabled=False)
    client = bench.ready(PROXY)
    assert client.say(b"XCLIENT LOGIN=" + login).startswith(b"550 5.7.0 ")
    assert client.connection.login == "" and client.connection.peer_ip == PROXY


def test_A5_a_directory_that_cannot_be_asked_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = bench_with_proxy("submission")
    monkeypatch.setattr(bench, "people", Unavailable())
    client = bench.ready(PROXY)
    assert client.say(b"XCLIENT LOGIN=alice").startswith(b"454 4.7.0 ")
    assert client.connection.login == ""


class Unavailable:
    def get(self, _: str) -> None:
        raise DirectoryUnavailable


def test_not_in_a_transaction_and_with_nothing_behind_it() -> None:
    bench = bench_with_proxy()
    client = bench.ready(PROXY)
    client.say(b"MAIL FROM:<a@far.test>")
    assert client.say(b"XCLIENT ADDR=198.51.100.1").startswith(b"503 5.5.1 ")
    client.say(b"RSET")
    pipelined = b"XCLIENT ADDR=198.51.100.1\r\nEHLO x\r\nMAIL FROM:<a@far.test>\r\n"
    assert client.send(pipelined).startswith(b"554 5.5.0 ") and client.closed()


@pytest.mark.parametrize(
    "attributes",
    [
        b"",
        b"ADDR",
        b"ADDR=999.1.1.1",
        b"COLOUR=red",
        b"ADDR=1.2.3.4 ADDR=1.2.3.5",
        b"LOGIN=a+0D+0Ab",
    ],
)
def test_malformed_attributes_change_nothing(attributes: bytes) -> None:
    bench = bench_with_proxy()
    client = bench.ready(PROXY)
    assert client.say(b"XCLIENT " + attributes).startswith(b"501 5.5.4 ")
    assert client.connection.peer_ip == PROXY
    assert client.say(b"MAIL FROM:<a@far.test>").startswith(b"250 ")


def test_S9_a_forged_name_stays_one_harmless_word() -> None:
    bench = bench_with_proxy()
    client = bench.ready(PROXY)
    become(client, b"NAME=a+0D+0Ab HELO=c+0D+0Ad")
    known = client.connection.client
    assert (known.host_name, known.hello) == ("a??b", "c??d")


def test_N2_the_client_is_counted_in_place_of_the_proxy() -> None:
    bench = bench_with_proxy()
    client = bench.ready(PROXY)
    bench.sessions.reason = "too many connections from your address"
    assert client.say(b"XCLIENT ADDR=198.51.100.1").startswith(b"421 4.7.0 ")
    assert client.closed() and bench.sessions.open == set()


def test_S25_saying_it_for_ever_is_bounded() -> None:
    bench = SmtpBench(may_xclient=lambda ip: True, limits=replace(AT_ONCE, idle_commands=10))
    client = bench.connect()
    replies = b""
    for number in range(10):
        replies += client.say(b"EHLO x")
        replies += client.say(b"XCLIENT ADDR=198.51.100.%d" % number)
    assert codes(replies)[-1] == 421 and client.closed()


def test_no_greet_pause_for_whom_a_proxy_has_named() -> None:
    bench = SmtpBench(may_xclient=lambda ip: True, limits=replace(AT_ONCE, greet_pause_s=5.0))
    client = bench.connect()
    client.say(b"EHLO x")
    become(client, b"ADDR=198.51.100.1")
