"""SMTP command lines: syntax, parameters and their refusals (SECURITY S6, S15, S20, S23, S29)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.address import Address
from gateway.core.envelope import BodyKind
from gateway.wire.smtp_commands import (
    Auth,
    Bdat,
    Command,
    Data,
    Ehlo,
    Etrn,
    Mail,
    Rcpt,
    Simple,
    SyntaxRefused,
    Verb,
)
from gateway.wire.smtp_replies import Reply
from gateway.wire.smtp_syntax import Grammar, parse_command
from tests.support.smtp_core import grammar

FULL = grammar(mechanisms=("PLAIN",), proxy=True)
BASIC = grammar("PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "STARTTLS")
PLAIN = grammar(esmtp=False)


def parse(line: bytes, rules: Grammar = FULL) -> Command:
    return parse_command(line, rules)


def refusal(line: bytes, rules: Grammar = FULL) -> str:
    """Code and enhanced code of the refusal."""
    with pytest.raises(SyntaxRefused) as caught:
        parse(line, rules)
    return f"{caught.value.reply.code} {caught.value.reply.status}"


A = Address("a", "b.test")


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"EHLO client.test", Ehlo(Verb.EHLO, "client.test")),
        (b"ehlo [192.0.2.1]", Ehlo(Verb.EHLO, "[192.0.2.1]")),
        (b"HELO x_y", Ehlo(Verb.HELO, "x_y")),
        (b"EHLO M\xfcller-PC", Ehlo(Verb.EHLO, "M?ller-PC")),
        (b"MAIL FROM:<a@b.test>", Mail(A)),
        (b"mail from:<a@b.test>", Mail(A)),
        (b"MAIL FROM: <a@b.test>", Mail(A)),
        (b"MAIL FROM:<a@b.test> ", Mail(A)),
        (b"MAIL FROM:<>", Mail(None)),
        (b"MAIL FROM:<a@b.test> SIZE=4096 BODY=8BITMIME", Mail(A, 4096, BodyKind.EIGHT_BIT)),
        (b"MAIL FROM:<a@b.test> body=7bit size=0", Mail(A)),
        (b"RCPT TO:<a@b.test>", Rcpt(A)),
        (b"rcpt to: <Postmaster>", Rcpt(Address("postmaster", ""))),
        (b"RCPT TO:<@r1.test,@r2.test:a@b.test>", Rcpt(A)),
        (b"DATA", Data()),
        (b"DATA ", Data()),
        (b"RSET\t", Simple(Verb.RSET)),
        (b"NOOP anything at all", Simple(Verb.NOOP)),
        (b"HELP", Simple(Verb.HELP)),
        (b"VRFY somebody", Simple(Verb.VRFY)),
        (b"StartTLS", Simple(Verb.STARTTLS)),
        (b"BDAT 5", Bdat(5, last=False)),
        (b"bdat 0 last ", Bdat(0, last=True)),
        (b"ETRN Example.TEST", Etrn("example.test")),
        (b"ETRN @example.test", Etrn("example.test", subdomains=True)),
        (b"ETRN [192.0.2.1]", Etrn("[192.0.2.1]")),
        (b"AUTH PLAIN", Auth("PLAIN", None)),
        (b"AUTH login =", Auth("login", b"=")),
        (b"AUTH PLAIN AGEAYg==", Auth("PLAIN", b"AGEAYg==")),
    ],
)
def test_commands(line: bytes, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"", "500 5.5.1"),
        (b" NOOP", "500 5.5.1"),
        (b".", "500 5.5.1"),
        (b"WIZ", "500 5.5.1"),
        (b"MAILFROM:<a@b.test>", "500 5.5.1"),
        (b"EHLO", "501 5.5.4"),
        (b"HELO two words", "501 5.5.4"),
        (b"DATA x", "501 5.5.4"),
        (b"QUIT now", "501 5.5.4"),
        (b"RSET x", "501 5.5.4"),
        (b"STARTTLS x", "501 5.5.4"),
        (b"VRFY", "501 5.5.4"),
        (b"EXPN", "502 5.5.1"),
        (b"ETRN", "501 5.5.4"),
        (b"ETRN #queue", "501 5.5.4"),
        (b"ETRN a b", "501 5.5.4"),
        (b"ETRN ../x", "501 5.5.4"),
        (b"ETRN " + b"x" * 300, "501 5.5.4"),
        (b"AUTH", "501 5.5.4"),
        (b"AUTH PLAIN a b", "501 5.5.4"),
        (b"AUTH PL@IN", "501 5.5.4"),
        (b"MAIL", "501 5.5.4"),
        (b"MAIL TO:<a@b.test>", "501 5.5.4"),
        (b"MAIL FROM <a@b.test>", "501 5.5.4"),
        (b"MAIL FROM:a@b.test", "501 5.1.7"),
        (b"MAIL FROM:", "501 5.1.7"),
        (b"MAIL FROM:<a@b.test", "501 5.1.7"),
        (b"MAIL FROM:<a@b.test>>", "501 5.1.7"),
        (b"MAIL FROM:<a@b.test>SIZE=1", "501 5.1.7"),
        (b"MAIL FROM:<;id;>", "501 5.1.7"),
        (b"RCPT TO:<>", "501 5.1.3"),
        (b"RCPT TO:<a@b@c>", "501 5.1.3"),
        (b"RCPT TO:<a(comment)@x>", "501 5.1.3"),
        (b"RCPT TO:<a@b.test>>", "501 5.1.3"),
        (b"RCPT FROM:<a@b.test>", "501 5.5.4"),
        (b"RCPT TO:<a@b.test> SIZE=1", "555 5.5.4"),
        (b"MAIL FROM:<a@b.test> NOTIFY=NEVER", "555 5.5.4"),
        (b"MAIL FROM:<a@b.test> X-Y", "555 5.5.4"),
        (b"MAIL FROM:<a@b.test> SIZE=1 =2", "501 5.5.4"),
        (b"MAIL FROM:<a@b.test> BODY", "501 5.5.4"),
        ("RCPT TO:<ä@b.test>".encode(), "553 5.6.7"),
        ("MAIL FROM:<a@bücher.test>".encode(), "553 5.6.7"),
    ],
)
def test_S29_S31_refusals(line: bytes, reply: str) -> None:
    assert refusal(line) == reply


@pytest.mark.parametrize(
    "value", [b"", b"=", b"=-1", b"=+1", b"=0x10", b"=1.5", b"=" + b"9" * 21, b"=1 SIZE=1"]
)
def test_S15_size_parameter(value: bytes) -> None:
    assert refusal(b"MAIL FROM:<a@b.test> SIZE" + value) == "501 5.5.4"


def test_S15_size_of_20_digits_is_a_number() -> None:
    command = parse(b"MAIL FROM:<a@b.test> SIZE=" + b"9" * 20)
    assert isinstance(command, Mail) and command.size_octets == int("9" * 20)


def test_S11_sizes_of_chunks() -> None:
    for size in (
        b"-1",
        b"+5",
        b"0x10",
        b"5 FIRST",
        b"5 LAST x",
        b"18446744073709551616",
        b"9" * 40,
    ):
        assert refusal(b"BDAT " + size) == "501 5.5.4"
    assert refusal(b"BDAT") == refusal(b"BDAT LAST") == "501 5.5.4"
    assert refusal(b"BDAT 1", BASIC) == "502 5.5.1"


@pytest.mark.parametrize(
    "line",
    [
        b"EHLO x\nMAIL FROM:<a@b.test>",
        b"RCPT TO:<a@b.test>\rX",
        b"NOOP\0",
        b"\nQUIT",
        b"QUIT\n",
        b"QUIT\r",
    ],
)
def test_S6_commands_with_stray_controls(line: bytes) -> None:
    assert refusal(line) == "500 5.5.2"


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1",
        b"POST /x HTTP/1.1",
        b"CONNECT a:25 HTTP/1.1",
        b"Host: mail.example.test",
        b"PRI * HTTP/2.0",
        b"\x16\x03\x01\x02",
        b"\xff\xffjunk",
    ],
)
def test_S20_other_protocols(line: bytes) -> None:
    with pytest.raises(SyntaxRefused) as caught:
        parse(line)
    assert caught.value.foreign or b"\0" in line
    assert line.split()[0].decode("latin-1") not in caught.value.reply.text


def test_F1f_verbs_with_high_octets_are_unknown_words() -> None:
    assert refusal(b"N\xd6\xd6P") == "500 5.5.1"


@pytest.mark.parametrize("rules", [FULL, BASIC, PLAIN])
@given(line=st.binary(max_size=200), utf8=st.booleans())
def test_any_line_is_a_command_or_refused(rules: Grammar, line: bytes, utf8: bool) -> None:
    for prefix in (b"", b"MAIL FROM:", b"RCPT TO:<", b"AUTH ", b"XCLIENT ", b"BDAT ", b"ETRN "):
        try:
            parse_command(prefix + line, rules, utf8=utf8)
        except SyntaxRefused as error:
            assert error.reply.code >= 500


def test_replies_are_one_printable_line() -> None:
    reply = Reply(451, "4.3.0", "a\r\n250 forged\x1b[0m \u2028" + "x" * 1000)
    assert reply.octets.count(b"\r\n") == 1 and reply.octets.endswith(b"\r\n")
    assert len(reply.octets) <= 512 and reply.octets[:-2].isascii()
    with pytest.raises(AssertionError):
        Reply(451, "5.3.0", "the class follows the code")
