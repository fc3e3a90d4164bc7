"""ENVELOPE, exactly as sent (RFC 3501 section 7.4.2)."""

from __future__ import annotations

from gateway.wire.mime.budget import MAX_ADDRESSES, MAX_ADDRESSES_PER_FIELD
from gateway.wire.mime.summary import summarise
from tests.wire.mime import imap_data


def envelope(header: bytes) -> bytes:
    summary = summarise(header.replace(b"\n", b"\r\n") + b"\r\n")
    assert summary.note == ""
    imap_data.check_envelope(imap_data.read(summary.envelope))
    return summary.envelope


def test_the_example_of_rfc_3501_section_8() -> None:
    header = b"""\
Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
From: Terry Gray <gray@cac.washington.edu>
Subject: IMAP4rev1 WG mtg summary and minutes
To: imap@cac.washington.edu
cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>
Message-Id: <B27397-0100000@cac.washington.edu>
MIME-Version: 1.0
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII
"""
    assert envelope(header) == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" '
        b'"IMAP4rev1 WG mtg summary and minutes" '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'((NIL NIL "imap" "cac.washington.edu")) '
        b'((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) '
        b"NIL NIL "
        b'"<B27397-0100000@cac.washington.edu>")'
    )


def test_absent_fields_are_nil_and_empty_ones_are_empty() -> None:
    assert envelope(b"") == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
    assert envelope(b"Subject:\nDate: \nTo:\nMessage-ID:\n") == (
        b'("" "" NIL NIL NIL NIL NIL NIL NIL "")'
    )


def test_sender_and_reply_to_default_to_from() -> None:
    sent_from, other = b'((NIL NIL "a" "b"))', b'((NIL NIL "c" "d"))'
    assert envelope(b"From: a@b\nSender:\nReply-To: <>\n") == (
        b"(NIL NIL %b %b %b NIL NIL NIL NIL NIL)" % (sent_from, sent_from, sent_from)
    )
    assert envelope(b"From: a@b\nSender: c@d\nReply-To: c@d\n") == (
        b"(NIL NIL %b %b %b NIL NIL NIL NIL NIL)" % (sent_from, other, other)
    )


def test_M5_empty_from_and_groups() -> None:
    assert envelope(b"From: <>\n") == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
    assert envelope(b"To: undisclosed-recipients:;\nCc: g: a@b;, c@d\n") == (
        b'(NIL NIL NIL NIL NIL ((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL)) '
        b'((NIL NIL "g" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL)(NIL NIL "c" "d")) NIL NIL NIL)'
    )


def test_a_mailbox_without_domain_is_no_group() -> None:
    assert b'((NIL NIL "root" ""))' in envelope(b"From: root\n")


def test_header_octets_are_sent_undecoded_and_unfolded() -> None:
    assert envelope(b"Subject: =?utf-8?q?a?=\n =?utf-8?q?b?=\nIn-Reply-To: <x@y>\n\t<z@y>\n") == (
        b'(NIL "=?utf-8?q?a?= =?utf-8?q?b?=" NIL NIL NIL NIL NIL NIL "<x@y>\t<z@y>" NIL)'
    )


def test_M5_octets_a_quoted_string_cannot_hold() -> None:
    assert envelope(b'Subject: say "a\\b"\n') == (
        b'(NIL "say \\"a\\\\b\\"" NIL NIL NIL NIL NIL NIL NIL NIL)'
    )
    assert envelope(b"Subject: a\rb\nMessage-ID: <\0@\xff>\nFrom: \xe9\0 <a\0@b>\n") == (
        b'(NIL {3}\r\na\rb (({2}\r\n\xe9? NIL "a?" "b")) (({2}\r\n\xe9? NIL "a?" "b")) '
        b'(({2}\r\n\xe9? NIL "a?" "b")) NIL NIL NIL NIL {5}\r\n<?@\xff>)'
    )


def test_M2_an_injected_literal_or_tag_stays_inside_its_string() -> None:
    rendered = envelope(b'Subject: x" NIL) {5}\n\t\rA1 OK done\n')
    assert imap_data.items(imap_data.read(rendered))[1] == b'x" NIL) {5}\t\rA1 OK done'


def test_F5_M2_long_lists_are_cut() -> None:
    summary = summarise(b"To: " + b"a@b, " * 20_000 + b"\r\n\r\n")
    assert summary.note == ""
    assert summary.envelope.count(b'(NIL NIL "a" "b")') == MAX_ADDRESSES_PER_FIELD


def test_M2_all_envelopes_of_a_message_share_one_budget() -> None:
    part = b"--b\r\n\r\nTo: " + b"a@b, " * 500 + b"\r\n\r\n"
    message = (
        b"To: top@example.com\r\nContent-Type: multipart/digest; boundary=b\r\n\r\n" + part * 40
    )
    summary = summarise(message)
    assert summary.note == ""
    assert b'"top" "example.com"' in summary.envelope
    assert summary.body_structure.count(b'(NIL NIL "a" "b")') == MAX_ADDRESSES - 1
    imap_data.check_body(imap_data.read(summary.body_structure), extended=True)


def test_no_half_address_at_the_octet_limit() -> None:
    long = b"x" * 200
    message = b"To: " + b"%b@example.com, " % long * 2_000 + b"\r\n\r\n"
    node = imap_data.items(imap_data.read(summarise(message).envelope))[5]
    assert {bytes(str(address), "ascii") for address in imap_data.items(node)} == {
        bytes(str([None, None, long, b"example.com"]), "ascii")
    }
