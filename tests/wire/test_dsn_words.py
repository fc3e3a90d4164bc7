"""What people read: the reason in plain words, what they can do, and who else it happened to."""

from __future__ import annotations

from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from typing import Any

import pytest

from gateway.core.address import Address
from gateway.wire.dsn import render
from gateway.wire.dsn_machine import MAX_OCTETS
from gateway.wire.dsn_values import Action, Report, Reported

HEADER = b"From: a@x.example\r\nMessage-ID: <1@x.example>\r\nSubject: Offer\r\n"


def refused(
    status: str, reply: str, *, name: str = "bob", remote: str = "mx.y.example", **more: Any
) -> Reported:
    return Reported(Address(name, "y.example"), Action.FAILED, status, reply, remote, **more)


def rendered(*recipients: Reported, original: bytes = HEADER, **fields: Any) -> Message:
    return message_from_bytes(
        render(
            Report(
                report_id="report-Q1-0",
                hostname="mail.x.example",
                to=Address("alice", "x.example"),
                recipients=recipients,
                arrived_at=1_700_000_000,
                reported_at=1_700_003_600,
                original=original,
                **fields,
            )
        )
    )


def words(message: Message) -> str:
    part = message.get_payload(0)
    assert isinstance(part, Message)
    text = part.get_payload(decode=True)
    assert isinstance(text, bytes)
    return text.decode().replace("\r\n", "\n")


def flat(message: Message) -> str:
    return " ".join(words(message).split())


def test_the_whole_text_of_a_refusal() -> None:
    message = rendered(refused("5.1.1", "550 5.1.1 no such user"), reference="2F-1")
    assert words(message) == (
        "This is the mail server mail.x.example.\n"
        "\n"
        'Your message "Offer" of 14 Nov 2023 22:13 UTC could not be delivered to\n'
        "the following person:\n"
        "\n"
        "  <bob@y.example>\n"
        "    There is no mailbox with this address at y.example.\n"
        "    Check how the address is written. If it is right, ask the person by\n"
        "    another way whether it has changed.\n"
        "    The server mx.y.example answered: 550 5.1.1 no such user\n"
        "\n"
        "The message will not be tried again.\n"
        "Your administrator finds out more by this reference: 2F-1\n"
        "The header of your message follows below, its text does not.\n"
    )


@pytest.mark.parametrize(
    ("status", "reply", "said"),
    [
        ("5.2.2", "552 5.2.2 over quota", "The mailbox is full."),
        ("5.3.4", "552 5.3.4 too big", "larger than the other server takes. Send less at once"),
        ("5.7.1", "550 5.7.1 spam", "does not want to take this message. If you think"),
        ("5.7.26", "550 5.7.26 DMARC", "does not believe that the message is from you"),
        ("5.7.30", "REQUIRETLS", "proven encryption only, which y.example does not offer"),
        ("5.4.6", "a loop", "went in a circle between servers"),
        ("5.1.10", "no mail here", "takes no mail at all"),
        ("5.6.7", "SMTPUTF8", "letters beyond plain English"),
        ("5.7.99", "550 5.7.99 x", "does not want to take this message"),
        ("5.0.0", "552 no", "The mailbox is full, or the message too large"),
        ("5.0.0", "550 no", "refused the message for this address"),
        ("x", "550nothing that helps", "550nothing that helps"),
    ],
)
def test_a_status_code_is_put_into_words(status: str, reply: str, said: str) -> None:
    message = rendered(refused(status, reply))
    assert said in flat(message) and reply in flat(message)


def test_a_delay_says_what_the_trouble_is_and_asks_for_nothing() -> None:
    late = Reported(
        Address("bob", "y.example"), Action.DELAYED, "4.7.1", "450 4.7.1 greylisted", "mx",
        retry_until=1_700_400_000,
    )  # fmt: skip
    message = rendered(late)
    assert message["Subject"] == "Your message is delayed: Offer"
    assert "does not want to take the message yet. The server mx answered: 450" in flat(message)
    assert "It will be tried again until Sun, 19 Nov 2023" in flat(message)
    assert "If you think" not in flat(message) and "You need not send it again." in flat(message)


def test_those_who_fared_alike_are_spoken_of_together() -> None:
    some = [refused("5.1.1", f"550 5.1.1 <p{n}@y.example> unknown", name=f"p{n}") for n in range(3)]
    message = rendered(*some, refused("5.2.2", "552 5.2.2 full", name="q"))
    text = words(message)
    assert "the following 4 people:" in text
    assert "  <p0@y.example>\n  <p1@y.example>\n  <p2@y.example>\n    There is no" in text
    assert text.count("There is no mailbox") == 1 and text.count("mailbox is full") == 1
    assert "answered for the first of them: 550 5.1.1 <p0@y.example> unknown" in flat(message)


def test_S36_a_thousand_failures_are_one_bounded_report_that_names_each() -> None:
    local = "p" * 60
    some = [
        refused(
            "5.1.1", f"550 5.1.1 {n} " + "x" * 480, name=f"{local}{n}",
            original=f"rfc822;{local}{n}@old.example",
        )
        for n in range(1000)
    ]  # fmt: skip
    message = rendered(*some)
    text = words(message)
    assert "the following 1,000 people:" in text
    assert text.count("@y.example>") == 20 and "980 others" in text  # each answer differs
    machine = message.get_payload(1)
    assert isinstance(machine, Message)
    blocks = machine.get_payload()
    assert isinstance(blocks, list) and len(blocks) == 1001
    assert all(isinstance(each, Message) and each["Final-Recipient"] for each in blocks[1:])
    assert len(machine.as_bytes()) < 2 * MAX_OCTETS
    alike = [refused("5.1.1", "550 5.1.1 no", name=f"p{n}") for n in range(1000)]
    text = words(rendered(*alike))
    assert text.count("@y.example>") == 100 and "  and 900 others\n" in text


# -- the message that is reported about


def test_mail_programs_find_the_message_that_a_report_is_about() -> None:
    message = rendered(refused("5.1.1", "no"))
    assert message["In-Reply-To"] == message["References"] == "<1@x.example>"


@pytest.mark.parametrize(
    "field", [b"", b"Message-ID: 1@x", b"Message-ID: <a><b>", b"Message-ID: <\xff@x>",
              b"Message-ID: <" + b"x" * 400 + b">"]
)  # fmt: skip
def test_S9_what_is_no_message_id_is_not_repeated(field: bytes) -> None:
    message = rendered(refused("5.1.1", "no"), original=b"X: 1\r\n" + field + b"\r\n")
    assert "In-Reply-To" not in message and "References" not in message


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("Grüße".encode(), "Grüße"),
        (b"=?utf-8?q?a=0D=0ABcc:_x?=", "a Bcc: x"),
        (b"long " * 60, ("long " * 60)[:97].rstrip() + "..."),
        (b"=?x", "=?x"),
    ],
)
def test_S9_the_subject_is_quoted_readable_and_harmless(subject: bytes, shown: str) -> None:
    original = b"Subject: " + subject + b"\r\n"
    message = rendered(refused("5.1.1", "no"), original=original)
    assert f'"{shown}"' in flat(message)
    title = str(make_header(decode_header(message["Subject"])))
    assert title == f"Your message was not delivered: {shown}"
    assert "Bcc" not in message and message.as_bytes().isascii()


def test_S9_a_subject_cannot_end_the_part_that_quotes_it() -> None:
    for blanks in range(60):
        original = b"Subject: " + b"x" * blanks + b" --report-report-Q1-0-- y\r\n"
        payload = rendered(refused("5.1.1", "no"), original=original).get_payload()
        assert isinstance(payload, list) and len(payload) == 3


def test_without_a_subject_nothing_is_quoted() -> None:
    message = rendered(refused("5.1.1", "no"), original=b"X: 1\r\n")
    assert message["Subject"] == "Your message was not delivered"
    assert "Your message of 14 Nov 2023" in flat(message)


def test_the_postmaster_reads_why_it_is_they_who_hear_of_it() -> None:
    why = "the message has no sender who could be told"
    message = rendered(refused("5.1.1", "no"), in_place_of=why)
    assert message["Subject"] == "A message was not delivered: Offer"
    assert flat(message).count("Your message") == 0
    assert f"You get this report as postmaster, because {why}." in flat(message)
