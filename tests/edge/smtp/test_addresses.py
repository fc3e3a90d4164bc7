"""Odd addresses at the door: whatever they hold is an address or nothing, never anything else."""

from __future__ import annotations

import pytest

from gateway.core.address import Address
from tests.support.smtp_fakes import SmtpBench, codes

COMMANDS = [
    "`id`",
    "|id",
    "$(id)",
    "${IFS}id",
    ";id;",
    "&&id",
    ">x",
    "<x",
    "\\nid",
    "'id'",
    '"|id"',
]


@pytest.mark.parametrize("local", COMMANDS)
def test_S30_what_a_shell_would_run_is_a_local_part_or_refused(local: str) -> None:
    bench = SmtpBench()
    client = bench.ready()
    answer = client.say(f"MAIL FROM:<{local}@far.test>".encode())
    if codes(answer) == [250]:
        assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"250 ")
        assert client.say(b"DATA").startswith(b"354 ")
        assert client.send(b"\r\n.\r\n").startswith(b"250 ")
        (message,) = bench.intake.accepted
        # Unquoted, as it was: the address is a value from here on, and no program is given it.
        assert message.sender == Address(local.strip('"'), "far.test")
    else:
        assert codes(answer) == [501] and local.encode() not in answer
        assert codes(client.say(b"RCPT TO:<alice@example.test>")) == [503]


@pytest.mark.parametrize("path", [b"<;id;>", b"<`id`>", b"<|id>", b"<$(id)>"])
def test_S30_without_a_domain_it_is_no_address(path: bytes) -> None:
    client = SmtpBench().ready()
    assert codes(client.say(b"MAIL FROM:" + path)) == [501]
    assert client.say(b"MAIL FROM:<a@far.test>").startswith(b"250 ")
    assert codes(client.say(b"RCPT TO:" + path)) == [501]


def test_S37_what_one_client_asks_decides_nothing_for_another() -> None:
    """No answer about an address is kept: who is unknown now may exist a moment later, and whoever
    can make mail to somebody fail must not keep others from sending to them."""
    bench = SmtpBench()
    first, second = bench.ready("192.0.2.1"), bench.ready("192.0.2.2")
    for client in (first, second):
        assert client.say(b"MAIL FROM:<a@far.test>").startswith(b"250 ")
    assert codes(first.say(b"RCPT TO:<new@example.test>")) == [550]
    assert codes(first.say(b"RCPT TO:<alice@example.test>")) == [250]
    assert codes(second.say(b"RCPT TO:<alice@example.test>")) == [250]
    assert [address.local_part for address in bench.router.asked] == ["new", "alice", "alice"]
