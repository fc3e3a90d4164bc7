"""Whatever servers, senders and messages say, a report stays a report (SECURITY S9, S31, S36)."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import Message

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.address import Address
from gateway.wire.dsn import render
from gateway.wire.dsn_original import header_of
from gateway.wire.dsn_values import Action, Report, Reported

EVIL = st.text(st.characters(exclude_categories=()), max_size=200) | st.sampled_from(
    [
        "550 no\r\nAction: delivered\r\n\r\nx",
        "--report-Q--",
        "=?utf-8?q?Bcc:_x=0D=0A?=",
        "x" * 5000,
        "ü" * 5000,
        "\u202e\u2028\x85\x1b[2J",
        "{domain} {address} %s",
    ]
)
ACTIONS = st.sampled_from(Action)
REPORTED = st.builds(
    Reported,
    st.builds(Address, EVIL, EVIL),
    ACTIONS,
    st.sampled_from(["5.1.1", "4.7.1", "2.0.0", "5.999.999", "x", ""]) | EVIL,
    EVIL,
    EVIL,
    st.builds("{};{}".format, EVIL, EVIL) | EVIL,
    st.booleans(),
    st.none() | st.integers(0, 2**33),
)
FIELDS = st.sampled_from(
    [b"Subject: ", b"Message-ID: <1@x>", b"Subject: =?utf-8?b?aGFsbG8NCkJjYzogeA==?=", b"X:", b"\t"]
)
ORIGINAL = st.lists(st.tuples(FIELDS, st.binary(max_size=100)), max_size=8).map(
    lambda lines: b"\r\n".join(name + value for name, value in lines) + b"\r\n\r\nbody\r\n"
) | st.binary(max_size=500)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(REPORTED, min_size=1, max_size=4),
    ORIGINAL,
    st.booleans(),
    st.booleans(),
    st.tuples(EVIL, EVIL, EVIL, EVIL),
)
def test_S9_every_report_is_one_whatever_it_speaks_of(
    recipients: list[Reported],
    original: bytes,
    whole: bool,
    utf8: bool,
    texts: tuple[str, str, str, str],
) -> None:
    envelope_id, report_id, in_place_of, reference = texts
    octets = render(
        Report(
            report_id=report_id or "Q",
            hostname="mail.x.example",
            to=Address("alice" if not utf8 else "älice", "x.example"),
            recipients=tuple(recipients),
            arrived_at=1_700_000_000,
            reported_at=1_700_003_600,
            original=original if whole else header_of(original),
            whole=whole,
            envelope_id=envelope_id,
            utf8=utf8,
            reference=reference,
            in_place_of=in_place_of,
        )
    )
    assert octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r")
    assert max(map(len, octets.split(b"\r\n"))) <= 998 and b"\0" not in octets
    if not utf8 and not whole:
        assert octets.isascii()
    message = message_from_bytes(octets, policy=policy.compat32)
    kind = "global-delivery-status" if utf8 else "delivery-status"
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == kind
    assert "Bcc" not in message and not message.defects
    assert set(message.keys()) <= {
        "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References",
        "Auto-Submitted", "MIME-Version", "Content-Type",
    }  # fmt: skip
    parts = message.get_payload()
    assert isinstance(parts, list) and len(parts) == 3
    words, machine, returned = parts
    assert isinstance(words, Message) and words.get_content_type() == "text/plain"
    text = words.get_payload(decode=True)
    assert isinstance(text, bytes) and b"This is the mail server mail.x.example." in text
    text.decode()
    assert isinstance(machine, Message) and machine.get_content_type() == f"message/{kind}"
    blocks = octets.split(b"\r\n\r\n--report")[2].split(b"\r\n\r\n")[1:]
    assert len(blocks) == 1 + len(recipients)
    for block, each in zip(blocks[1:], recipients, strict=True):
        lines = block.split(b"\r\n")
        names = [line.partition(b":")[0] for line in lines]
        assert names.count(b"Action") == names.count(b"Status") == 1
        assert names.count(b"Final-Recipient") == 1
        assert f"Action: {each.action.value}".encode() in lines
        assert {b"Original-Recipient", b"Final-Recipient", b"Action", b"Status", b"Remote-MTA",
                b"Diagnostic-Code", b"Last-Attempt-Date", b"Final-Log-ID", b"Will-Retry-Until",
                } >= set(names)  # fmt: skip
    assert isinstance(returned, Message)
    assert returned.get_content_type() in (
        "message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"
    )  # fmt: skip
