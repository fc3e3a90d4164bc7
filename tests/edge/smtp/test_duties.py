"""What a submission server does to mail of our people: adds what is missing, takes out Bcc, and
lets nobody use somebody else's name in the header (RFC 6409 section 8, SECURITY S32)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable
from gateway.core.group import Group
from gateway.edge.smtp.services import SubmissionRules, SubmissionServices
from gateway.policy.senders import Senders
from gateway.wire.smtp_limits import SmtpLimits
from tests.support.smtp_fakes import AT_ONCE, Client, SmtpBench

COMPLETE = (
    b"From: alice@example.test\r\nDate: Mon, 05 Jan 2026 10:01:00 +0100\r\n"
    b"Message-ID: <1@example.test>\r\nTo: bob@example.test\r\n\r\nhello\r\n"
)
REST = b"Date: x\r\nMessage-ID: <1@x>\r\n\r\nhello\r\n"
DATE = b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"


SALES = Group("g", ("sales@example.test",), ())


class Groups:
    async def groups_of(self, account: Account) -> Sequence[Group]:
        return [SALES]

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | Group | None:
        return SALES if str(addresses[0]) == SALES.addresses[0] else None


def submission(limits: SmtpLimits = AT_ONCE, **rules: Any) -> SmtpBench:
    def services(bench: SmtpBench) -> SubmissionServices:
        return SubmissionServices(Senders(bench.router, groups=Groups()), SubmissionRules(**rules))

    return SmtpBench("submission", submission=services, limits=limits)


def deliver(client: Client, content: bytes, sender: bytes = b"<alice@example.test>") -> bytes:
    return client.deliver(content, b"<bob@example.test>", sender=sender)


def added(bench: SmtpBench) -> bytes:
    """What stands between Received and the message's own header."""
    header = bench.intake.accepted[-1].trace_header
    received, date, rest = header.partition(b";\r\n\tTue, 14 Nov 2023 22:13:20 +0000\r\n")
    assert received.startswith(b"Received: ") and date
    return rest


def test_a_complete_message_stays_octet_for_octet() -> None:
    bench = submission()
    for send in (Client.send, Client.drip):
        client = bench.submitter()
        client.open_content(sender=b"<alice@example.test>")
        assert send(client, COMPLETE + b".\r\n").startswith(b"250 ")
        assert bench.intake.content() == COMPLETE and added(bench) == b""


def test_what_is_missing_is_added_above() -> None:
    bench = submission()
    client = bench.submitter()
    assert deliver(client, b"Subject: x\r\n\r\nhello\r\n").startswith(b"250 ")
    assert bench.intake.content() == b"Subject: x\r\n\r\nhello\r\n"
    message_id = bench.intake.accepted[0].ingest_id.encode()
    assert added(bench) == (
        DATE
        + b"From: alice@example.test\r\nMessage-ID: <"
        + message_id
        + b"@mail.example.test>\r\n"
    )
    assert deliver(client, b"Date: x\r\nFrom: alice@example.test\r\n\r\n").startswith(b"250 ")
    assert added(bench).startswith(b"Message-ID: <")
    record = bench.intake.accepted[-1].trace
    assert record is not None and str(record.fields["message_id"]) in added(bench).decode()


def test_text_without_a_header_gets_one() -> None:
    bench = submission()
    client = bench.submitter()
    assert deliver(client, b"just text\r\nBcc: text too\r\n").startswith(b"250 ")
    assert bench.intake.content() == b"just text\r\nBcc: text too\r\n"
    assert added(bench).endswith(b"@mail.example.test>\r\n\r\n")


def test_a_message_without_from_can_be_refused() -> None:
    client = submission(missing_from="reject").submitter()
    assert deliver(client, REST) == b"550 5.6.0 The message has no From field\r\n"
    assert deliver(client, COMPLETE).startswith(b"250 ")


def test_bcc_is_gone() -> None:
    bench = submission()
    client = bench.submitter()
    client.open_content(sender=b"<alice@example.test>")
    message = b"BCC: secret@far.test,\r\n other@far.test\r\n" + COMPLETE
    assert client.drip(message + b".\r\n").startswith(b"250 ")
    assert bench.intake.content() == COMPLETE


def test_strangers_mail_is_left_as_it_is() -> None:
    bench = SmtpBench()
    message = b"Bcc: x@far.test\r\nSubject: x\r\n\r\n"
    assert bench.ready().deliver(message).startswith(b"250 ")
    assert bench.intake.content() == message and added(bench) == b""


def test_who_need_not_log_in_gets_the_same_help() -> None:
    bench = SmtpBench("submission", auth="offered")
    client = bench.ready()
    message = b"Bcc: x@far.test\r\nSubject: x\r\n\r\n"
    assert client.deliver(message, sender=b"<printer@example.test>").startswith(b"250 ")
    assert bench.intake.content() == b"Subject: x\r\n\r\n"
    assert b"From: printer@example.test\r\n" in added(bench)
    assert client.deliver(message, sender=b"<>").startswith(b"550 5.6.0 ")


def test_the_login_is_shown_if_that_is_set() -> None:
    for expected in (False, True):
        bench = submission(show_login=expected)
        deliver(bench.submitter(), COMPLETE)
        header = bench.intake.accepted[0].trace_header
        assert (b"\r\n\t(logged in: alice)\r\n" in header) is expected


# -- names


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"From: Bob <bob@example.test>", b"From: alice may not send as <bob@example.test>: it is"),
        (b"From: alice@example.test, ceo@far.test", b"From: alice may not send as <ceo@far.test>"),
        (b"From: alice@example.test\r\nSender: bob@example.test", b"Sender: alice may not send"),
        (b"From: alice@example.test\r\nResent-From: b@far.test", b"Resent-From: alice may not"),
        (b"From: alice@example.test\r\nResent-Sender: b@far.test", b"Resent-Sender: alice may"),
    ],
)  # fmt: skip
def test_S32_nobody_writes_as_somebody_else(field: bytes, expected: bytes) -> None:
    bench = submission()
    client = bench.submitter()
    reply = deliver(client, field + b"\r\n" + REST)
    assert reply.startswith(b"550 5.7.1 " + expected)
    assert reply.rstrip().endswith(b"alice may send as alice@example.test")
    assert bench.intake.accepted == [] and bench.intake.bodies[0].discarded
    assert deliver(client, COMPLETE).startswith(b"250 ")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (b"From: alice@example.test\r\nFrom: bob@example.test", b"The message has 2 From fields"),
        (b"From: alice@example.test\r\nSender: a@b.test\r\nSender: c@d.test",
         b"The message has 2 Sender fields"),
        (b"From: alice", b"The From field cannot be understood: it holds an address without"),
        (b"From: bob@example.test <alice@example.test>", b"The From field cannot be understood"),
        (b"From:", b"The From field cannot be understood: it holds no address"),
    ],
)  # fmt: skip
def test_S32_a_from_with_two_meanings_is_refused(fields: bytes, expected: bytes) -> None:
    bench = submission()
    reply = deliver(bench.submitter(), fields + b"\r\n" + REST)
    assert reply.startswith(b"550 5.6.0 " + expected)
    assert bench.intake.accepted == []


def test_S32_no_second_from_hides_behind_a_broken_line() -> None:
    client = submission().submitter()
    message = b"From: alice@example.test\r\nbroken\r\nFrom: bob@example.test\r\n" + REST
    assert deliver(client, message).startswith(b"550 5.6.0 The message has 2 From fields")


def test_S32_many_names_cost_a_bounded_number_of_questions() -> None:
    bench = submission()
    bench.router.aliases["example.org"] = "example.test"
    field = b"Resent-From: alice@example.org\r\n"
    message = b"From: alice@example.test\r\n" + field * 50 + REST
    client = bench.submitter()
    assert deliver(client, message).startswith(b"550 5.6.0 It is from more than 50")
    field = b"Resent-From: alice@example.test" + (b"\r\n " + b"(x)" * 300) * 15 + b"\r\n"
    message = b"From: alice@example.test\r\n" + field * 5 + REST
    assert deliver(client, message).startswith(b"550 5.6.0 The fields that say who it is from")


def test_S32_the_null_sender_does_not_open_the_header() -> None:
    client = submission().submitter()
    reply = deliver(client, b"From: bob@example.test\r\n" + REST, sender=b"<>")
    assert reply.startswith(b"550 5.7.1 ")


def test_what_leads_to_the_person_and_groups_are_names_of_theirs() -> None:
    bench = submission()
    bench.router.aliases["example.org"] = "example.test"
    client = bench.submitter()
    for name in (b"alice@example.org", b"Sales <sales@example.test>", b"ALICE@example.test"):
        assert deliver(client, b"From: " + name + b"\r\n" + REST).startswith(b"250 ")
        assert added(bench) == b""
    assert client.say(b"MAIL FROM:<sales@example.test>").startswith(b"250 ")


def test_the_second_message_asks_nobody() -> None:
    bench = submission()
    bench.router.aliases["example.org"] = "example.test"
    client = bench.submitter()
    message = b"From: alice@example.org\r\n" + REST
    for _ in range(3):
        assert deliver(client, message, sender=b"<alice@example.org>").startswith(b"250 ")
    asked = [str(address) for address in bench.router.asked]
    assert asked.count("alice@example.org") == 1


def test_A5_directory_trouble_refuses_for_now() -> None:
    bench = submission()
    client = bench.submitter()
    client.open_content(sender=b"<alice@example.test>")
    bench.router.fails = DirectoryUnavailable()
    reply = client.send(b"From: alice@example.org\r\n" + REST + b".\r\n")
    assert reply.startswith(b"451 4.4.3 ")
    assert bench.intake.accepted == []


def test_of_several_authors_sender_says_who_sends() -> None:
    """RFC 5322 section 3.6.2."""
    bench = submission()
    client = bench.submitter()
    authors = b"From: alice@example.test, sales@example.test\r\n"
    assert deliver(client, authors + REST).startswith(b"250 ")
    assert added(bench) == b"Sender: alice@example.test\r\n"
    assert deliver(client, authors + b"Sender: sales@example.test\r\n" + REST).startswith(b"250 ")
    assert added(bench) == b""
    assert deliver(client, authors + REST).startswith(b"250 ")  # known by now
    assert added(bench) == b"Sender: alice@example.test\r\n"


def test_sender_on_mail_of_a_group_if_that_is_set() -> None:
    bench = submission(add_sender=True)
    client = bench.submitter()
    assert deliver(client, b"From: sales@example.test\r\n" + REST).startswith(b"250 ")
    assert added(bench) == b"Sender: alice@example.test\r\n"
    assert deliver(client, COMPLETE).startswith(b"250 ")
    assert added(bench) == b""


def test_a_foreign_from_can_be_taken_with_the_true_sender() -> None:
    bench = submission(from_check="rewrite-sender")
    bench.router.aliases["example.org"] = "example.test"
    client = bench.submitter()
    foreign = b"From: ceo@far.test\r\n"
    for false in (b"", b"Sender: ceo@far.test\r\n", b"Sender: x\r\n", b"Sender: a@b, c@d\r\n"):
        for _ in range(2):
            assert deliver(client, foreign + false + REST).startswith(b"250 ")
            assert bench.intake.content() == foreign + REST
            assert added(bench) == b"Sender: alice@example.test\r\n"
    for true in (b"alice@example.test", b"Alice <alice@example.org>"):
        message = foreign + b"Sender: " + true + b"\r\n" + REST
        assert deliver(client, message).startswith(b"250 ")
        if added(bench):  # not known while it streamed past, so it comes back above
            assert added(bench) == b"Sender: " + true + b"\r\n"
            assert bench.intake.content() == foreign + REST
        else:
            assert bench.intake.content() == message
    assert deliver(client, message).startswith(b"250 ")
    assert bench.intake.content() == message and added(bench) == b""


def test_names_need_not_be_looked_at() -> None:
    bench = submission(from_check="off")
    client = bench.submitter()
    for fields, sender in (
        (b"From: ceo@far.test", b""),
        (b"From: a@b.test, c@d.test", b"Sender: alice@example.test\r\n"),
        (b"From: nonsense:;;", b""),
    ):
        assert deliver(client, fields + b"\r\n" + REST).startswith(b"250 ")
        assert added(bench) == sender
    assert client.say(b"MAIL FROM:<ceo@far.test>").startswith(b"553 5.7.1 ")


# -- bounds


def test_S27_a_header_over_the_limit_is_refused() -> None:
    bench = submission(replace(AT_ONCE, header_octets=2000))
    client = bench.submitter()
    reply = deliver(client, b"X: " + b"a" * 900 + b"\r\n" + (b" " + b"a" * 900 + b"\r\n") * 3)
    assert reply.startswith(b"554 5.6.0 ")
    assert deliver(client, COMPLETE).startswith(b"250 ")


def test_refusals_say_both_sizes() -> None:
    client = submission(replace(AT_ONCE, size_octets=100_000)).submitter()
    expected = (
        b"552 5.3.4 The message has 123,456 octets (121 KB), and 100,000 (97.7 KB) are the most"
        b" taken here\r\n"
    )
    assert client.say(b"MAIL FROM:<alice@example.test> SIZE=123456") == expected
    content = (b"x" * 62 + b"\r\n") * 1929
    assert deliver(client, content) == expected


def test_refusals_say_what_to_do() -> None:
    client = submission().submitter()
    assert client.say(b"MAIL FROM:<alice@example.test>").startswith(b"250 ")
    assert client.say(b"RCPT TO:<bbo@example.test>") == (
        b"550 5.1.1 nobody here has this address; look at how it is written\r\n"
    )
    stranger = SmtpBench().ready()
    assert stranger.say(b"MAIL FROM:<alice@example.test>").startswith(b"250 ")
    assert stranger.say(b"RCPT TO:<x@far.test>") == (
        b"554 5.7.1 relaying denied; log in to send mail to other domains\r\n"
    )


@pytest.mark.parametrize("call", [Client.send, Client.drip])
def test_bdat_comes_in_by_the_same_way(call: Callable[[Client, bytes], bytes]) -> None:
    bench = submission()
    client = bench.submitter()
    message = b"Bcc: secret@far.test\r\n" + COMPLETE
    assert client.say(b"MAIL FROM:<alice@example.test>").startswith(b"250 ")
    assert client.say(b"RCPT TO:<bob@example.test>").startswith(b"250 ")
    first, second = message[:9], message[9:]
    assert call(client, b"BDAT 9\r\n" + first).startswith(b"250 ")
    assert call(client, b"BDAT %d LAST\r\n" % len(second) + second).startswith(b"250 ")
    assert bench.intake.content() == COMPLETE


def test_nothing_of_a_message_is_left_for_the_next() -> None:
    bench = submission()
    client = bench.submitter()
    client.say(b"MAIL FROM:<alice@example.test>")
    client.say(b"RCPT TO:<bob@example.test>")
    client.send(b"BDAT 12\r\nFrom: a@b.c\r")
    assert client.say(b"RSET").startswith(b"250 ")
    assert deliver(client, COMPLETE).startswith(b"250 ")
    assert bench.intake.content() == COMPLETE
    assert client.connection.outgoing is None
