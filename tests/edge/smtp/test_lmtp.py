"""LMTP: the same mail, and an answer for each recipient."""

from __future__ import annotations

from typing import Literal

import pytest

from gateway.core.errors import StoreFull, StoreUnavailable
from gateway.core.quota import Quota
from gateway.edge.smtp import acceptance
from gateway.policy.quota import QuotaPolicy
from tests.support.quota_fakes import FakeQuotaStore
from tests.support.smtp_fakes import ALICE, BOB, Client, SmtpBench, codes

BODY = b"Subject: x\r\n\r\nhello\r\n"
A, B = b"<alice@example.test>", b"<bob@example.test>"


class World:
    """An LMTP door whose people may keep 1,000 octets."""

    def __init__(self, check: Literal["rcpt", "data"] = "data", *, rejects: bool = False) -> None:
        self.store = FakeQuotaStore()
        quota = QuotaPolicy(self.store, default=Quota(octets=1000), check=check, rejects=rejects)
        self.bench = SmtpBench("lmtp", quota=quota)
        self.client = ready(self.bench)


def ready(bench: SmtpBench) -> Client:
    client = bench.connect()
    assert client.say(b"LHLO client.test").startswith(b"250-")
    return client


def begin(client: Client, *recipients: bytes) -> None:
    client.say(b"MAIL FROM:<a@far.test>")
    for recipient in recipients:
        assert client.say(b"RCPT TO:" + recipient).startswith(b"250 "), recipient


def test_only_lhlo_opens_it() -> None:
    client = SmtpBench("lmtp").connect()
    assert codes(client.say(b"EHLO x"))[0] in (500, 502)
    assert codes(client.say(b"HELO x"))[0] in (500, 502)
    assert client.say(b"MAIL FROM:<a@far.test>").startswith(b"503 5.5.1 ")
    assert codes(SmtpBench().connect().say(b"LHLO x"))[0] in (500, 502)


def test_each_recipient_has_an_answer_repeated_ones_too() -> None:
    bench = SmtpBench("lmtp")
    client = ready(bench)
    begin(client, A, B, A)
    assert codes(client.say(b"RCPT TO:<nobody@example.test>")) == [550]
    assert client.say(b"DATA").startswith(b"354 ")
    assert codes(client.send(BODY + b".\r\n")) == [250, 250, 250]
    (message,) = bench.intake.accepted
    assert message.local == (ALICE.account_id, BOB.account_id)
    assert b" with LMTP id 00000001-1;" in message.trace_header
    # The last chunk is as the dot; any other is answered once.
    begin(client, A, B)
    assert codes(client.send(b"BDAT 6\r\na: b\r\n")) == [250]
    assert codes(client.send(b"BDAT 0 LAST\r\n")) == [250, 250]
    begin(client, A, B)
    assert codes(client.send(b"BDAT %d LAST\r\n%b" % (len(BODY), BODY))) == [250, 250]


@pytest.mark.parametrize(("rejects", "answer"), [(False, 452), (True, 552)])
def test_a_full_mailbox_refuses_nobody_elses_mail(rejects: bool, answer: int) -> None:
    world = World(rejects=rejects)
    begin(world.client, A, B, A)
    world.store.kept[ALICE.account_id] = (990, 1)
    world.client.say(b"DATA")
    replies = world.client.send(BODY + b".\r\n")
    assert codes(replies) == [answer, 250, answer]
    assert world.client.ids == ["00000001-1"] * 2
    (message,) = world.bench.intake.accepted
    assert message.local == (BOB.account_id,)


def test_everybody_full_is_an_answer_for_each() -> None:
    world = World()
    begin(world.client, A, B)
    for account in (ALICE, BOB):
        world.store.kept[account.account_id] = (990, 1)
    world.client.say(b"DATA")
    assert codes(world.client.send(BODY + b".\r\n")) == [452, 452]
    assert world.bench.intake.accepted == [] and world.bench.intake.bodies[0].discarded


@pytest.mark.parametrize("error", [StoreFull(), StoreUnavailable()])
def test_D6_trouble_with_the_store_is_temporary_for_all(error: StoreFull) -> None:
    bench = SmtpBench("lmtp")
    client = ready(bench)
    bench.intake.fails = error
    begin(client, A, B)
    client.say(b"DATA")
    replies = codes(client.send(BODY + b".\r\n"))
    assert len(replies) == 2 and set(replies) <= {451, 452}
    assert codes(client.say(b"DATA")) == [503]


@pytest.mark.parametrize(
    "content", [b"DATA\r\n" + BODY + b".\r\n", b"BDAT %d LAST\r\n%b" % (len(BODY), BODY)]
)
def test_S4_a_fault_of_ours_is_an_answer_for_each(
    content: bytes, recorded_failures: list[object]
) -> None:
    """Else the next reply, to RSET or MAIL, would be taken for the second recipient's."""
    bench = SmtpBench("lmtp")
    client = ready(bench)
    bench.intake.fails = ZeroDivisionError()
    begin(client, A, B)
    assert [code for code in codes(client.send(content)) if code != 354] == [451, 451]
    assert len(recorded_failures) == 1 and all(body.discarded for body in bench.intake.bodies)
    assert codes(client.say(b"NOOP")) == [250]
    bench.intake.fails = None
    begin(client, A)
    client.say(b"DATA")
    assert codes(client.send(BODY + b".\r\n")) == [250]
    bench.router.fails = ZeroDivisionError()
    client.say(b"MAIL FROM:<a@far.test>")
    assert codes(client.say(b"RCPT TO:" + A)) == [451]


def test_S4_a_fault_behind_the_promise_says_nothing_more(
    monkeypatch: pytest.MonkeyPatch, recorded_failures: list[object]
) -> None:
    bench = SmtpBench("lmtp")
    client = ready(bench)
    begin(client, A, B)
    client.say(b"DATA")
    monkeypatch.setattr(acceptance, "_log_accepted", broken)
    assert codes(client.send(BODY + b".\r\n")) == [250, 250]
    assert len(recorded_failures) == 1 and client.aborted()


def broken(*_: object) -> None:
    raise ZeroDivisionError


def test_what_is_wrong_with_the_message_is_for_all() -> None:
    client = ready(SmtpBench("lmtp"))
    begin(client, A, B)
    client.say(b"DATA")
    loop = b"Received: from a\r\n" * 101
    assert codes(client.send(loop + b"\r\n.\r\n")) == [554, 554]


def test_data_without_a_recipient_is_refused() -> None:
    client = ready(SmtpBench("lmtp"))
    client.say(b"MAIL FROM:<a@far.test>")
    client.say(b"RCPT TO:<nobody@example.test>")
    assert client.say(b"DATA").startswith(b"503 ")  # RFC 2033 section 4.2


def test_it_relays_no_more_than_smtp() -> None:
    client = ready(SmtpBench("lmtp"))
    client.say(b"MAIL FROM:<a@far.test>")
    assert client.say(b"RCPT TO:<x@elsewhere.test>").startswith(b"554 5.7.1 ")
