"""Nobody relays through us: the open relay set of SECURITY 1.6 against the real router."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.routing.domains import Domain, DomainRouter
from tests.support.smtp_fakes import ALICE, AT_ONCE, Client, SmtpBench, plain

PATIENT = replace(AT_ONCE, errors_hard=10_000, idle_commands=10_000)

TARGET = b"<relaytest@ext.test>"

SENDERS = [
    b"<>",
    b"<antispam@ext.test>",
    b"<antispam@mail.example.test>",
    b"<antispam@example.test>",
    b"<antispam@[192.0.2.1]>",
    b"<test@localhost>",
    b"<test>",
    b"<postmaster@mail.example.test>",
    b"<alice@example.test>",
]

RECIPIENTS = [
    TARGET,
    b"<relaytest%ext.test@[192.0.2.1]>",
    b"<relaytest%ext.test@mail.example.test>",
    b"<relaytest%ext.test@example.test>",
    b'<"relaytest@ext.test">',
    b'<"relaytest%ext.test">',
    b"<relaytest@ext.test@[192.0.2.1]>",
    b'<"relaytest@ext.test"@[192.0.2.1]>',
    b'<"relaytest@ext.test"@example.test>',
    b"<relaytest@ext.test@mail.example.test>",
    b"<@[192.0.2.1]:relaytest@ext.test>",
    b"<@mail.example.test:relaytest@ext.test>",
    b"<@example.test:relaytest@ext.test>",
    b"<ext.test!relaytest>",
    b"<ext.test!relaytest@[192.0.2.1]>",
    b"<ext.test!relaytest@mail.example.test>",
    b"<ext.test!relaytest@example.test>",
    b"<relaytest%ext.test>",
    b'<"relaytest@ext.test"@localdomain>',
    b"<relaytest@ext.test@localdomain>",
    b"<relaytest@ext.test%localdomain>",
    b"<@localdomain:relaytest@ext.test>",
    b"<relaytest@[198.51.100.1]>",
    b"<relaytest@localdomain.ext.test>",
    b"<RELAYTEST@EXT.TEST>",
    b"<relaytest@ext.test.>",
    b"<relaytest@example.test.ext.test>",
    "<relaytest@\u0435\u0445t.test>".encode(),
    b"<alice@example.test>,<relaytest@ext.test>",
    b"relaytest@ext.test",
]


class People:
    """A directory with alice."""

    async def find_by_address(self, address: Address) -> Account | None:
        return ALICE if address.key in ALICE.addresses else None


def bench(protocol: str = "smtp", **options: Any) -> SmtpBench:
    router = DomainRouter({"example.test": Domain("example.test")}, cast(Any, People()))
    return SmtpBench(protocol, router=router, **options)


def try_all(client: Client, setup: SmtpBench) -> None:
    for sender in SENDERS:
        for recipient in RECIPIENTS:
            assert client.say(b"RSET").startswith(b"250 ")
            client.say(b"MAIL FROM:" + sender)
            reply = client.say(b"RCPT TO:" + recipient)
            assert reply[:1] == b"5" and reply[:3] in (
                b"500",
                b"501",
                b"503",
                b"550",
                b"553",
                b"554",
            )
            assert client.say(b"DATA")[:1] == b"5"
    assert setup.intake.accepted == [] and setup.intake.bodies == []


def test_a_nul_in_a_recipient_ends_the_connection() -> None:
    setup = bench(limits=PATIENT)
    client = setup.ready()
    client.say(b"MAIL FROM:<antispam@ext.test>")
    assert client.say(b"RCPT TO:<relaytest@ext.test\0@example.test>").startswith(b"500 5.5.2 ")
    assert client.closed()
    assert setup.intake.bodies == []


@pytest.mark.parametrize("ip", ["192.0.2.9", "2001:db8::9", "127.0.0.1"])
def test_open_relay_set_from_strangers(ip: str) -> None:
    setup = bench(limits=PATIENT)
    try_all(setup.ready(ip), setup)


@pytest.mark.parametrize("implicit_tls", [False, True])
def test_open_relay_set_on_submission_without_login(implicit_tls: bool) -> None:
    setup = bench("submission", implicit_tls=implicit_tls, limits=PATIENT)
    client = setup.ready()
    assert client.say(b"MAIL FROM:<alice@example.test>").startswith(b"530 5.7.0 ")
    try_all(client, setup)


def test_open_relay_set_after_failed_and_cancelled_logins() -> None:
    setup = bench("submission", clear_text_login=True, limits=PATIENT)
    client = setup.ready("127.0.0.1")
    client.say(b"AUTH PLAIN")
    assert client.say(b"*").startswith(b"501 ")
    assert client.say(b"AUTH PLAIN " + plain(b"alice", b"wrong")).startswith(b"535 ")
    try_all(client, setup)


def test_our_own_people_are_reached_by_any_sender() -> None:
    client = bench().ready()
    for sender in (b"<>", b"<a@far.test>", b"<a@[192.0.2.1]>"):
        client.say(b"MAIL FROM:" + sender)
        assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"250 ")
        assert client.say(b"RCPT TO:<@far.test:alice@EXAMPLE.test>").startswith(b"250 ")
        client.say(b"RSET")
