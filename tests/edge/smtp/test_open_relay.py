"""Nobody relays through us: the open relay set of SECURITY 1.6 against the real router and door."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.address import Address
from gateway.core.networks import Networks
from gateway.core.route import Outbound
from gateway.routing.alias_file import FixedAliases
from gateway.routing.aliases import Aliases, from_settings
from gateway.routing.domains import Domain, DomainRouter
from tests.support.open_relay import HOST, IP, TARGET, every_pair, nmap, recipients
from tests.support.people import People
from tests.support.smtp_fakes import ALICE, AT_ONCE, Client, SmtpBench, plain

PATIENT = replace(AT_ONCE, errors_hard=10_000, idle_commands=10_000)
MAIN = Domain("example.test")
BACKUP = Domain("backup.test", "smtp://primary", any_recipient=True)
NETWORKS = Networks(("192.0.2.0/24", "2001:db8:1::/48"))


def bench(protocol: str = "smtp", *, main: Domain = MAIN, **options: Any) -> SmtpBench:
    """A door in front of a router that has everything configured which might be abused."""
    people = People()
    people.add(ALICE)
    people.add_group("all@example.test", *ALICE.addresses, "out@else.example")
    aliases = {"out@example.test": ["somebody@else.example"]}
    router = DomainRouter(
        {"example.test": main, "alias.test": main, "backup.test": BACKUP},
        people,
        postmaster="admin@else.example",
        aliases=FixedAliases(Aliases(from_settings(aliases, ("example.test",)))),
        literals=(IP,),
    )
    return SmtpBench(
        protocol, router=router, limits=PATIENT, may_relay=NETWORKS.contains, **options
    )


def refuse_all(client: Client, setup: SmtpBench, pairs: Iterable[tuple[str, str]]) -> None:
    for sender, recipient in pairs:
        assert client.say(b"RSET").startswith(b"250 ")
        client.say(f"MAIL FROM:<{sender}>".encode())
        reply = client.say(f"RCPT TO:<{recipient}>".encode())
        assert reply[:3] in (b"500", b"501", b"503", b"550", b"553", b"554"), (recipient, reply)
        assert client.say(b"DATA")[:1] == b"5"
    assert setup.intake.accepted == []
    assert setup.intake.bodies == []


@pytest.mark.parametrize("ip", ["198.51.100.9", "2001:db8::9", "127.0.0.1", "::1"])
def test_nmaps_set_from_strangers(ip: str) -> None:
    setup = bench()
    refuse_all(setup.ready(ip), setup, nmap())


def test_the_whole_set_from_a_stranger() -> None:
    setup = bench()
    refuse_all(setup.ready("198.51.100.9"), setup, every_pair())


def test_the_whole_set_with_smtputf8() -> None:
    setup = bench()
    client = setup.ready("198.51.100.9")
    for recipient in recipients():
        client.say(b"RSET")
        client.say(b"MAIL FROM:<> SMTPUTF8")
        assert client.say(f"RCPT TO:<{recipient}>".encode())[:1] == b"5"
    assert setup.intake.bodies == []


def test_a_catch_all_takes_what_is_ours_only_and_sends_nothing_on() -> None:
    setup = bench(main=replace(MAIN, catch_all=Address("alice", "example.test")))
    client = setup.ready("198.51.100.9")
    for recipient in recipients():
        client.say(b"RSET")
        client.say(b"MAIL FROM:<a@far.test>")
        if client.say(f"RCPT TO:<{recipient}>".encode())[:3] == b"250":
            assert client.say(b"DATA")[:3] == b"354"
            assert client.say(b"\r\n.")[:3] == b"250"
            assert setup.intake.accepted[-1].remote == ()
            assert setup.intake.accepted[-1].local == (ALICE.account_id,)


def test_a_backup_domain_is_relayed_and_no_way_round() -> None:
    setup = bench()
    client = setup.ready("198.51.100.9")
    client.say(b"MAIL FROM:<a@far.test>")
    assert client.say(b"RCPT TO:<whoever@backup.test>").startswith(b"250 ")
    for local_part in (b"relaytest%ext.test", b"ext.test!relaytest", b'"relaytest@ext.test"'):
        reply = client.say(b"RCPT TO:<" + local_part + b"@backup.test>")
        assert reply.startswith(b"554 5.7.1 ")


@pytest.mark.parametrize("implicit_tls", [False, True])
def test_the_set_on_submission_without_login(implicit_tls: bool) -> None:
    setup = bench("submission", implicit_tls=implicit_tls)
    client = setup.ready("192.0.2.9")  # also from a network that may relay
    assert client.say(b"MAIL FROM:<alice@example.test>").startswith(b"530 5.7.0 ")
    refuse_all(client, setup, nmap())


def test_the_set_after_failed_and_cancelled_logins() -> None:
    setup = bench("submission", clear_text_login=True)
    client = setup.ready("127.0.0.1")
    client.say(b"AUTH PLAIN")
    assert client.say(b"*").startswith(b"501 ")
    assert client.say(b"AUTH PLAIN " + plain(b"alice", b"wrong")).startswith(b"535 ")
    refuse_all(client, setup, every_pair())


def test_a_nul_in_a_recipient_ends_the_connection() -> None:
    setup = bench()
    client = setup.ready("198.51.100.9")
    client.say(b"MAIL FROM:<antispam@ext.test>")
    assert client.say(b"RCPT TO:<relaytest@ext.test\0@example.test>").startswith(b"500 5.5.2 ")
    assert client.closed()
    assert setup.intake.bodies == []


def test_what_was_refused_before_rset_stays_refused_after_it() -> None:
    setup = bench()
    client = setup.ready("198.51.100.9")
    for _ in range(3):
        client.say(b"MAIL FROM:<alice@example.test>")
        assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"250 ")
        assert client.say(f"RCPT TO:<{TARGET}>".encode()).startswith(b"554 5.7.1 ")
        assert client.say(b"RSET").startswith(b"250 ")
        assert client.say(f"RCPT TO:<{TARGET}>".encode()).startswith(b"503 ")


@pytest.mark.parametrize("ip", ["192.0.2.9", "::ffff:192.0.2.9", "2001:db8:1::7"])
def test_named_networks_may_relay(ip: str) -> None:
    setup = bench()
    client = setup.ready(ip)
    assert client.deliver(b"Subject: x\r\n\r\nx\r\n", f"<{TARGET}>".encode()).startswith(b"250 ")
    [queued] = setup.intake.accepted[-1].remote
    assert (str(queued.address), queued.next_hop) == (TARGET, "")
    client.say(b"MAIL FROM:<a@far.test>")
    assert client.say(b"RCPT TO:<nobody@example.test>").startswith(b"550 5.1.1 ")


def test_our_own_people_are_reached_by_any_sender() -> None:
    client = bench().ready("198.51.100.9")
    for sender in (b"<>", b"<a@far.test>", b"<a@[192.0.2.1]>"):
        client.say(b"MAIL FROM:" + sender)
        for recipient in (
            b"<alice@example.test>",
            b"<@far.test:alice@EXAMPLE.test>",
            b"<alice+tag@alias.test>",
            b"<alice@[192.0.2.1]>",
            b"<postmaster>",
        ):
            assert client.say(b"RCPT TO:" + recipient).startswith(b"250 ")
        client.say(b"RSET")


def test_an_alias_that_leads_outside_is_no_relay_for_others() -> None:
    setup = bench()
    client = setup.ready("198.51.100.9")
    reply = client.deliver(b"Subject: x\r\n\r\nx\r\n", b"<out@example.test>", b"<all@example.test>")
    assert reply.startswith(b"250 ")
    message = setup.intake.accepted[-1]
    assert [str(each.address) for each in message.remote] == [
        "somebody@else.example",
        "out@else.example",
    ]
    assert message.local == (ALICE.account_id,)
    # RFC 5321 section 3.9.1: an alias leaves the sender as it is.
    assert message.sender == Address("a", "far.test")


def test_S36_an_empty_group_and_trouble_have_answers_of_their_own() -> None:
    people = People("alice@example.test")
    people.add_group("none@example.test")
    people.add_group("large@example.test", "alice@example.test", "a@else.example")
    router = DomainRouter({"example.test": MAIN}, people, members=1)
    client = SmtpBench(router=router).ready()
    client.say(b"MAIL FROM:<a@far.test>")
    assert client.say(b"RCPT TO:<none@example.test>").startswith(b"550 5.2.4 ")
    assert client.say(b"RCPT TO:<large@example.test>").startswith(b"451 4.2.4 ")
    people.broken = True
    assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"451 4.4.3 ")
    people.broken = False
    assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"250 ")


def test_a_route_elsewhere_is_never_made_of_a_hosts_name() -> None:
    """Our host's name is no domain of ours."""
    client = bench().ready("198.51.100.9")
    client.say(b"MAIL FROM:<a@far.test>")
    assert client.say(f"RCPT TO:<alice@{HOST}>".encode()).startswith(b"554 5.7.1 ")
    assert Outbound() == Outbound("")
