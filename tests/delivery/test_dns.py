"""Questions to name servers: what comes of them, whatever the servers do."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.names import dns

from gateway.delivery.dns import resolver as resolver_module
from gateway.delivery.dns.answers import Answer, Found, MailExchanger
from gateway.delivery.dns.messages import MAX_RECORDS, Fault, question, read_answer
from gateway.delivery.dns.resolver import Resolver
from gateway.delivery.dns.servers import NameServers, ResolvConf
from tests.support.dns_fakes import FakeExchange
from tests.support.name_server import Tlsa, Zones

FIRST, SECOND = ("192.0.2.53", 53), ("192.0.2.54", 53)


class World:
    def __init__(self, *, trusted: bool = False, **zones: Any) -> None:
        self.clock = Clock()
        self.exchange = FakeExchange(self.clock)
        self.zones = self.exchange.add(FIRST[0], Zones(**zones))
        self.drawn = 0
        servers = NameServers(self.clock, [FIRST, SECOND], trusted=trusted)
        self.resolver = Resolver(servers, self.exchange, self.clock, self._random)

    def _random(self, count: int) -> bytes:
        self.drawn += 1
        return bytes((self.drawn * 37 + place * 101) & 0xFF for place in range(count))

    def start(self, kind: Any, name: str) -> list[Answer]:
        found: list[Answer] = []
        Deferred.fromCoroutine(self.resolver.ask(kind, name)).addCallback(found.append)
        return found

    def ask(self, kind: Any, name: str) -> Answer:
        found = self.start(kind, name)
        for _ in range(100):
            if found:
                break
            self.clock.advance(1)
        (answer,) = found
        assert not self.clock.getDelayedCalls()
        return answer


def test_each_type_is_read() -> None:
    world = World(
        mx={"x.example": [(10, "MX.x.example"), (0, "")]},
        a={"x.example": ["192.0.2.1", "192.0.2.2"]},
        also={
            "x.example": [
                dns.Record_AAAA("2001:db8::1"),
                dns.Record_TXT(b"v=STSv1; ", b"id=1"),
                Tlsa(3, 1, 1, b"\x01" * 32),
            ]
        },
        ttl_s=77,
    )
    assert world.ask("A", "x.example").texts == ("192.0.2.1", "192.0.2.2")
    assert world.ask("AAAA", "x.example").texts == ("2001:db8::1",)
    hosts = world.ask("MX", "x.example")
    assert hosts.exchangers == (MailExchanger(10, "mx.x.example"), MailExchanger(0, ""))
    assert (hosts.ttl_s, hosts.secure, hosts.name) == (77, False, "x.example")
    assert world.ask("TXT", "x.example").octets == (b"v=STSv1; id=1",)
    assert world.ask("TLSA", "x.example").octets == (b"\x03\x01\x01" + b"\x01" * 32,)


def test_no_name_no_record_and_no_answer_are_three_things() -> None:
    world = World(a={"x.example": ["192.0.2.1"]})
    world.zones.fails = {"broken.example"}
    assert world.ask("MX", "x.example").found is Found.NO_DATA
    assert world.ask("A", "nowhere.example").found is Found.NO_NAME
    assert world.ask("A", "broken.example").found is Found.FAILURE
    assert world.ask("A", "two words").found is Found.NO_NAME
    assert world.ask("A", "x" * 64 + ".example").found is Found.NO_NAME


def test_an_alias_is_followed_and_told() -> None:
    world = World(
        a={"end.example": ["192.0.2.1"]}, also={"x.example": [dns.Record_CNAME("End.example")]}
    )
    answer = world.ask("A", "x.example")
    assert (answer.texts, answer.name) == (("192.0.2.1",), "end.example")
    circle = World(also={"x.example": [dns.Record_CNAME("x.example")]})
    assert circle.ask("A", "x.example").found is Found.FAILURE
    bare = World(
        mx={"end.example": [(5, "mx.example")]},
        also={"x.example": [dns.Record_CNAME("End.example")]},
    )
    assert bare.ask("MX", "x.example").exchangers == (MailExchanger(5, "mx.example"),)
    assert bare.zones.asked == ["MX x.example", "MX end.example"]
    longer = {f"h{n}.example": [dns.Record_CNAME(f"h{n + 1}.example")] for n in range(20)}
    assert World(also=longer).ask("MX", "h0.example").found is Found.FAILURE


def test_answers_are_kept_for_their_time() -> None:
    world = World(a={"x.example": ["192.0.2.1"]}, ttl_s=60)
    world.zones.soa = dns.Record_SOA("ns.example", "x.example", minimum=100, ttl=60)
    world.ask("A", "x.example")
    assert world.resolver.known("A", "x.example") is not None
    world.ask("A", "gone.example")
    world.clock.advance(59)
    world.ask("A", "x.example")
    world.ask("A", "gone.example")
    assert world.zones.asked == ["A x.example", "A gone.example"]
    world.clock.advance(2)
    assert world.resolver.known("A", "x.example") is None
    world.ask("A", "x.example")
    world.ask("A", "gone.example")
    assert len(world.zones.asked) == 4


def test_a_failure_is_kept_for_seconds_alone() -> None:
    world = World()
    world.zones.fails = {"x.example"}
    assert world.ask("A", "x.example").failed
    asked = len(world.zones.asked)
    assert world.ask("A", "x.example").failed
    assert len(world.zones.asked) == asked
    world.zones.fails = set()
    world.zones.a["x.example"] = ["192.0.2.1"]
    world.clock.advance(resolver_module.FAILURE_S)
    assert world.ask("A", "x.example").texts == ("192.0.2.1",)


def test_N6_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver_module, "MAX_CACHED", 3)
    names = [f"h{n}.example" for n in range(5)]
    world = World(a={name: ["192.0.2.1"] for name in names})
    for name in names:
        world.ask("A", name)
    assert [world.resolver.known("A", name) is not None for name in names] == [False] * 2 + [
        True
    ] * 3


def test_equal_questions_are_asked_once() -> None:
    world = World(a={"x.example": ["192.0.2.1"]})
    world.exchange.silent = {FIRST}
    one, two = world.start("A", "x.example"), world.start("A", "x.example")
    world.exchange.add(SECOND[0], world.zones)
    world.clock.advance(2)
    assert one == two
    assert one[0].texts == ("192.0.2.1",)
    assert world.zones.asked == ["A x.example"]


def test_who_stops_waiting_does_not_stop_the_others() -> None:
    world = World(a={"x.example": ["192.0.2.1"]})
    world.exchange.silent = {FIRST}
    world.exchange.add(SECOND[0], world.zones)
    first = Deferred.fromCoroutine(world.resolver.ask("A", "x.example"))
    first.addErrback(lambda _: None)
    second = world.start("A", "x.example")
    first.cancel()
    world.clock.advance(2)
    assert second[0].texts == ("192.0.2.1",)


def test_servers_are_tried_in_turn_and_a_silent_one_comes_last_for_a_while() -> None:
    world = World(a={f"h{n}.example": ["192.0.2.1"] for n in range(3)})
    other = world.exchange.add(SECOND[0], Zones(a=world.zones.a))
    world.zones.refuses = True
    assert world.ask("A", "h0.example").texts == ("192.0.2.1",)
    world.exchange.silent = {FIRST}
    world.ask("A", "h1.example")
    world.exchange.talks.clear()
    world.ask("A", "h2.example")
    assert world.exchange.talks == ["192.0.2.54 udp"]
    assert other.asked == ["A h0.example", "A h1.example", "A h2.example"]


def test_nobody_answers_in_bounded_time() -> None:
    world = World()
    world.exchange.silent = {FIRST}
    answer = world.ask("A", "x.example")
    assert answer.failed
    assert "silent" in answer.why
    assert world.clock.seconds() <= resolver_module.TOTAL_S + 1


def test_what_is_cut_off_is_asked_for_over_tcp() -> None:
    world = World(a={"x.example": ["192.0.2.1"] * 200})
    world.zones.cut = {"x.example"}
    assert len(world.ask("A", "x.example").texts) == 100, "N6: no more are looked at"
    assert world.zones.asked == ["A x.example", "A x.example tcp"]


@pytest.mark.parametrize("forged, over", [(5, ["udp"]), (50, ["udp", "tcp"])])
def test_forged_answers_are_passed_over(forged: int, over: list[str]) -> None:
    world = World(a={"x.example": ["192.0.2.1"]})
    world.zones.forged = forged
    assert world.ask("A", "x.example").texts == ("192.0.2.1",)
    assert world.exchange.talks == [f"192.0.2.53 {each}" for each in over]


def test_a_server_that_changes_the_letters_case_is_asked_over_tcp() -> None:
    world = World(a={"abcdefgh.example": ["192.0.2.1"]})
    world.zones.folds = True
    assert world.ask("A", "abcdefgh.example").texts == ("192.0.2.1",)
    assert world.exchange.talks == ["192.0.2.53 udp", "192.0.2.53 tcp"]


def test_a_small_server_that_folds_letters_and_has_no_tcp_is_believed_by_id_and_port() -> None:
    world = World(a={"abcdefgh.example": ["192.0.2.1"] * 3})
    world.zones.folds = world.exchange.no_tcp = True
    assert world.ask("A", "abcdefgh.example").texts[0] == "192.0.2.1"
    world.zones.folds = False
    world.zones.cut = {"cut.example"}
    assert world.ask("A", "cut.example").failed, "half an answer is none"


def test_a_server_without_edns_is_asked_without() -> None:
    world = World(a={"x.example": ["192.0.2.1"], "y.example": ["192.0.2.2"]})
    world.zones.no_edns = True
    assert world.ask("A", "x.example").texts == ("192.0.2.1",)
    assert world.ask("A", "y.example").texts == ("192.0.2.2",)
    assert len(world.zones.asked) == 3


def test_only_a_trusted_server_proves() -> None:
    for trusted in (True, False):
        world = World(a={"x.example": ["192.0.2.1"]}, trusted=trusted)
        world.zones.proven = {"x.example", "none.example"}
        assert world.resolver.proves is trusted
        assert world.ask("A", "x.example").secure is trusted
        assert world.ask("MX", "x.example").secure is trusted, "and that there is none"
        assert world.ask("A", "none.example").secure is trusted
        assert not world.ask("A", "other.example").secure


def test_messages_that_cannot_be_read_are_no_answers() -> None:
    asked = question("A", "x.example", bytes(range(34)))
    right = Zones(a={"x.example": ["192.0.2.1"]}).answer(asked.octets)
    assert isinstance(read_answer(asked, right, trusted=False), Answer)
    for length in range(len(right)):
        assert isinstance(read_answer(asked, right[:length], trusted=False), Fault), length
    assert read_answer(asked, asked.octets, trusted=False) is Fault.FOREIGN
    other = question("A", "y.example", bytes(range(34)))
    assert read_answer(other, right, trusted=False) is Fault.FOREIGN
    loop = right[:12] + asked.section + b"\xc0\x1d" * 2 + b"\x00" * 20
    assert read_answer(asked, loop, trusted=False) is Fault.BROKEN
    # An answer that says "ask them" is none.
    octets = bytearray(Zones(a={"x.example": []}).answer(asked.octets))
    octets[3] &= 0x7F
    octets[9] = 1
    record = b"\x00" + struct.pack("!HHIH", dns.NS, 1, 60, 1) + b"\x00"
    assert read_answer(asked, bytes(octets) + record, trusted=False) is Fault.REFUSED


def test_N6_of_many_records_the_first_count_and_of_strange_ones_none() -> None:
    asked = question("MX", "x.example", bytes(range(34)))
    pieces = [b"\x00\x0a\x01a\xc0\x0c"] * 2500  # 10 a.x.example

    def said(owner: bytes, category: int, count: int) -> Answer | Fault:
        head = struct.pack("!H2B4H", asked.number, 0x81, 0x80, 1, count, 0, 0) + asked.section
        records = (
            owner + struct.pack("!HHIH", dns.MX, category, 60, len(each)) + each
            for each in pieces[:count]
        )
        return read_answer(asked, head + b"".join(records), trusted=False)

    many = said(b"\xc0\x0c", dns.IN, 2500)
    assert isinstance(many, Answer) and len(many.exchangers) == MAX_RECORDS
    for owner, category in ((b"\x01y\x00", dns.IN), (b"\xc0\x0c", dns.CH)):
        other = said(owner, category, 3)
        assert isinstance(other, Answer) and other.found is Found.NO_DATA


def test_resolv_conf_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    clock = Clock()
    servers = NameServers(clock, look=ResolvConf(path), trusted=True)
    assert servers.in_order() == [("127.0.0.1", 53)], "without the file"
    assert not servers.trusted, "only what the settings name is"
    path.write_text("# x\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver x\nsearch a\n")
    assert servers.in_order() == [("127.0.0.1", 53)]
    clock.advance(10)
    assert servers.in_order() == [("192.0.2.1", 53), ("fe80::1%eth0", 53)]
    path.unlink()
    clock.advance(10)
    assert servers.in_order() == [("127.0.0.1", 53)]
