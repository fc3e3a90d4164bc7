"""SMTP command lines: syntax, parameters and their refusals (SECURITY S6, S15, S20, S23, S29)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.address import Address
from gateway.core.envelope import BodyKind
from gateway.wire.smtp_commands import (
    Auth,
    Command,
    Data,
    Ehlo,
    Mail,
    Rcpt,
    Simple,
    SyntaxRefused,
    Verb,
    parse_command,
)
from gateway.wire.smtp_extensions import EXTENSIONS, Offer, ehlo_reply
from gateway.wire.smtp_replies import Reply


def parse(line: bytes, *, esmtp: bool = True, auth_offered: bool = False) -> Command:
    return parse_command(line, esmtp=esmtp, auth_offered=auth_offered)


def refusal(line: bytes, *, esmtp: bool = True, auth_offered: bool = False) -> str:
    """Code and enhanced code of the refusal."""
    with pytest.raises(SyntaxRefused) as caught:
        parse(line, esmtp=esmtp, auth_offered=auth_offered)
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
        (b"EXPN", "501 5.5.4"),
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
        (b"RCPT TO:<a@b.test> NOTIFY=NEVER", "555 5.5.4"),
        (b"MAIL FROM:<a@b.test> SMTPUTF8", "555 5.5.4"),
        (b"MAIL FROM:<a@b.test> AUTH=<>", "555 5.5.4"),
        (b"MAIL FROM:<a@b.test> SIZE=1 =2", "501 5.5.4"),
        (b"MAIL FROM:<a@b.test> BODY=BINARYMIME", "501 5.5.4"),
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


@pytest.mark.parametrize("parameter", [b"SIZE=1", b"BODY=8BITMIME", b"AUTH=<>"])
def test_S23_helo_has_no_parameters(parameter: bytes) -> None:
    line = b"MAIL FROM:<a@b.test> " + parameter
    assert refusal(line, esmtp=False, auth_offered=True) == "555 5.5.4"


def test_auth_parameter_where_auth_is_offered() -> None:
    for value in (b"<>", b"e+3Dmc2@example.test"):
        line = b"MAIL FROM:<a@b.test> AUTH=" + value
        assert parse(line, auth_offered=True) == Mail(A)
    for value in (b"", b"a=b", b"a+3"):
        line = b"MAIL FROM:<a@b.test> AUTH=" + value
        assert refusal(line, auth_offered=True) == "501 5.5.4"


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


@given(st.binary(max_size=200), st.booleans(), st.booleans())
def test_any_line_is_a_command_or_refused(line: bytes, esmtp: bool, auth_offered: bool) -> None:
    for prefix in (b"", b"MAIL FROM:", b"RCPT TO:<", b"AUTH ", b"MAIL FROM:<a@b> "):
        try:
            parse_command(prefix + line, esmtp=esmtp, auth_offered=auth_offered)
        except SyntaxRefused as error:
            assert error.reply.code >= 500


def test_ehlo_shows_what_is_possible_now() -> None:
    offer = Offer("mail.example.test", 1000, starttls=True, mechanisms=())
    assert ehlo_reply(offer) == (
        b"250-mail.example.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n"
        b"250-ENHANCEDSTATUSCODES\r\n250 STARTTLS\r\n"
    )
    inside = ehlo_reply(Offer("mail.example.test", 1000, False, ("PLAIN", "LOGIN")))
    assert b"STARTTLS" not in inside and inside.endswith(b"250 AUTH PLAIN LOGIN\r\n")


def test_every_extension_names_its_rfc() -> None:
    assert all(row.rfc.startswith("RFC ") for row in EXTENSIONS)
    assert len({row.keyword for row in EXTENSIONS}) == len(EXTENSIONS)


def test_replies_are_one_printable_line() -> None:
    reply = Reply(451, "4.3.0", "a\r\n250 forged\x1b[0m \u2028" + "x" * 1000)
    assert reply.octets.count(b"\r\n") == 1 and reply.octets.endswith(b"\r\n")
    assert len(reply.octets) <= 512 and reply.octets[:-2].isascii()
    with pytest.raises(AssertionError):
        Reply(451, "5.3.0", "the class follows the code")
