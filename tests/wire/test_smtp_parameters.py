"""The parameters of MAIL and RCPT: what each takes, and what it says to anything else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.address import Address
from gateway.core.envelope import BodyKind, Notify, RecipientOptions
from gateway.wire.smtp_commands import By, Command, Mail, Rcpt, SyntaxRefused
from gateway.wire.smtp_replies import Reply
from gateway.wire.smtp_syntax import Grammar, parse_command
from tests.support.smtp_core import ALL, grammar

FULL = grammar(tls=True, mechanisms=("PLAIN",))
A = Address("a", "b.test")
SUCCESS, FAILURE, DELAY = Notify.SUCCESS, Notify.FAILURE, Notify.DELAY


def parse(line: bytes, *, rules: Grammar = FULL, utf8: bool = False) -> Command:
    return parse_command(line, rules, utf8=utf8)


def refusal(line: bytes, *, rules: Grammar = FULL, utf8: bool = False) -> Reply:
    with pytest.raises(SyntaxRefused) as caught:
        parse(line, rules=rules, utf8=utf8)
    assert not caught.value.foreign
    return caught.value.reply


def mail(parameters: str) -> bytes:
    return b"MAIL FROM:<a@b.test> " + parameters.encode()


def rcpt(parameters: str) -> bytes:
    return b"RCPT TO:<a@b.test> " + parameters.encode()


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        ("SIZE=4096", {"size_octets": 4096}),
        ("BODY=binarymime", {"body": BodyKind.BINARY}),
        ("SMTPUTF8", {"smtputf8": True}),
        ("RET=full", {"ret": "FULL"}),
        ("RET=HDRS ENVID=QQ314159", {"ret": "HDRS", "envid": "QQ314159"}),
        ("ENVID=a+20b+2Bc", {"envid": "a b+c"}),
        ("ENVID=" + "x" * 100, {"envid": "x" * 100}),
        ("ENVID=" + "+20" * 100, {"envid": " " * 100}),
        ("BY=120;R", {"by": By(120, or_return=True)}),
        ("BY=-5;n", {"by": By(-5, or_return=False)}),
        ("BY=+999999999;NT", {"by": By(999_999_999, or_return=False, trace=True)}),
        ("HOLDFOR=86400", {"hold_s": 86_400}),
        ("HOLDUNTIL=2030-01-31T18:00:00Z", {"hold_until": 1_896_112_800}),
        ("HOLDUNTIL=2030-01-31t19:30:00+01:30", {"hold_until": 1_896_112_800}),
        ("HOLDUNTIL=2030-01-31T17:59:59.001Z", {"hold_until": 1_896_112_800}),
        ("HOLDUNTIL=2030-01-31T17:59:60Z", {"hold_until": 1_896_112_800}),
        ("MT-PRIORITY=-9", {"priority": -9}),
        ("MT-PRIORITY=0", {"priority": 0}),
        ("mt-priority=9", {"priority": 9}),
        ("REQUIRETLS", {"require_tls": True}),
        ("SOLICIT=Net.Example:ADV,org.x:y-1_2", {"solicit": ("net.example:adv", "org.x:y-1_2")}),
        ("AUTH=<>", {}),
        ("AUTH=e+3Dmc2@example.test", {}),
    ],
)
def test_mail_parameters(parameters: str, fields: dict[str, Any]) -> None:
    assert parse(mail(parameters)) == Mail(A, **fields)


@pytest.mark.parametrize(
    ("parameters", "options"),
    [
        ("NOTIFY=NEVER", RecipientOptions(Notify.NEVER)),
        ("NOTIFY=success,DELAY", RecipientOptions(SUCCESS | DELAY)),
        ("NOTIFY=FAILURE", RecipientOptions(FAILURE)),
        ("ORCPT=rfc822;c+2Bd@e.test", RecipientOptions(None, "rfc822;c+d@e.test")),
        ("ORCPT=X400;/C=x", None),  # "=" must be encoded
        ("ORCPT=X400;/C+3Dx", RecipientOptions(None, "x400;/C=x")),
        ("ORCPT=utf-8;\\x{F6}@e.test", RecipientOptions(None, "utf-8;ö@e.test")),
        ("NOTIFY=NEVER ORCPT=rfc822;a@b", RecipientOptions(Notify.NEVER, "rfc822;a@b")),
        ("ORCPT=rfc822;" + "x" * 493, RecipientOptions(None, "rfc822;" + "x" * 493)),
    ],
)
def test_rcpt_parameters(parameters: str, options: RecipientOptions | None) -> None:
    if options is None:
        assert refusal(rcpt(parameters)).code == 501
    else:
        assert parse(rcpt(parameters)) == Rcpt(A, options)


@pytest.mark.parametrize(
    "parameters",
    [
        "SIZE",
        "SIZE=-1",
        "SIZE=0x10",
        "BODY",
        "BODY=9BIT",
        "SMTPUTF8=yes",
        "RET",
        "RET=BODY",
        "ENVID",
        "ENVID=a+2",
        "ENVID=a+0Ab",
        "ENVID=a+E9",
        "ENVID=" + "x" * 101,
        "ENVID=" + "+20" * 101,
        "BY=120",
        "BY=120;X",
        "BY=0;R",
        "BY=-1;R",
        "BY=1234567890;N",
        "BY=1;NTT",
        "BY=;N",
        "HOLDFOR=",
        "HOLDFOR=1.5",
        "HOLDFOR=-1",
        "HOLDFOR=1234567890",
        "HOLDUNTIL=tomorrow",
        "HOLDUNTIL=2030-01-31",
        "HOLDUNTIL=2030-01-31T18:00:00",
        "HOLDUNTIL=2030-02-31T18:00:00Z",
        "HOLDUNTIL=2030-01-31T25:00:00Z",
        "HOLDUNTIL=2030-01-31T18:00:61Z",
        "HOLDUNTIL=2030-01-31T18:00:00+99:00",
        "HOLDUNTIL=9999-12-31T23:59:60Z",
        "HOLDUNTIL=0000-01-01T00:00:00Z",
        "MT-PRIORITY=10",
        "MT-PRIORITY=-0",
        "MT-PRIORITY=+1",
        "MT-PRIORITY",
        "REQUIRETLS=yes",
        "SOLICIT=",
        "SOLICIT=1x",
        "SOLICIT=a,,b",
        "SOLICIT=" + "a" * 1001,
        "AUTH=a=b",
        "AUTH=a+3",
        "SIZE=1 SIZE=1",
        "RET=FULL RET=HDRS",
        "SMTPUTF8 SMTPUTF8",
        "HOLDFOR=1 HOLDUNTIL=2030-01-31T18:00:00Z",
        "HOLDFOR=1 HOLDFOR=1",
    ],
)
def test_S15_mail_parameters_that_are_refused(parameters: str) -> None:
    reply = refusal(mail(parameters))
    assert (reply.code, reply.status) == (501, "5.5.4")


@pytest.mark.parametrize(
    "parameters",
    [
        "NOTIFY",
        "NOTIFY=",
        "NOTIFY=NEVER,SUCCESS",
        "NOTIFY=SUCCESS,",
        "NOTIFY=ALWAYS",
        "NOTIFY=NEVER NOTIFY=NEVER",
        "ORCPT",
        "ORCPT=a@b.test",
        "ORCPT=;a@b.test",
        "ORCPT=rfc822;",
        "ORCPT=rfc822;a+0D+0AX-Forged:+20y",
        "ORCPT=rfc822;a+00",
        "ORCPT=utf-8;\\x{0A}",
        "ORCPT=utf-8;\\x{85}",
        "ORCPT=utf-8;\\x{2028}",
        "ORCPT=utf-8;\\x{D800}",
        "ORCPT=utf-8;a+40b",
        "ORCPT=utf-8;ö@e.test",
        "ORCPT=rfc822;" + "x" * 494,
    ],
)
def test_S9_rcpt_parameters_that_are_refused(parameters: str) -> None:
    reply = refusal(rcpt(parameters))
    assert (reply.code, reply.status) == (501, "5.5.4")


def test_a_refusal_says_what_is_expected() -> None:
    assert "FULL or HDRS" in refusal(mail("RET=ALL")).text
    assert refusal(mail("REQUIRETLS=1")).text == "Syntax: REQUIRETLS alone"
    assert "NEVER" in refusal(rcpt("NOTIFY=x")).text
    assert "ALL" not in refusal(mail("RET=ALL")).text.replace("FULL", "")


def test_S31_an_original_recipient_in_utf8_needs_smtputf8() -> None:
    command = parse(rcpt("ORCPT=utf-8;ö@e.test"), utf8=True)
    assert command == Rcpt(A, RecipientOptions(None, "utf-8;ö@e.test"))
    assert refusal(b"RCPT TO:<a@b.test> ORCPT=utf-8;\xff", utf8=True).code == 501
    assert refusal(b"RCPT TO:<a@b.test> ORCPT=rfc822;\xc3\xb6", utf8=True).code == 501


def test_S31_an_address_outside_ascii_needs_smtputf8() -> None:
    with_it = parse("MAIL FROM:<ä@bücher.test> SIZE=1 SMTPUTF8".encode())
    assert with_it == Mail(Address("ä", "xn--bcher-kva.test"), 1, smtputf8=True)
    for line in (
        "MAIL FROM:<ä@b.test>",
        "MAIL FROM:<ä@b.test> SIZE=1",
        'MAIL FROM:<"ä SMTPUTF8 x"@b.test>',
        "MAIL FROM:<a@bücher.test>",
    ):
        reply = refusal(line.encode())
        assert (reply.code, reply.status) == (553, "5.6.7")
        assert "SMTPUTF8" in reply.text
    assert parse("RCPT TO:<ö@d.test>".encode(), utf8=True) == Rcpt(Address("ö", "d.test"))
    assert refusal("RCPT TO:<ö@d.test>".encode()).status == "5.6.7"
    without_row = grammar(*ALL - {"SMTPUTF8"})
    reply = refusal("MAIL FROM:<ä@b.test> SMTPUTF8".encode(), rules=without_row)
    assert (reply.code, reply.status) == (553, "5.6.7") and "not supported" in reply.text


@pytest.mark.parametrize("octets", [b"\xff", b"\xc3", b"\xed\xa0\x80", "\u2163".encode()])
def test_S31_what_is_no_address_with_smtputf8_either(octets: bytes) -> None:
    assert refusal(b"MAIL FROM:<a" + octets + b"@x> SMTPUTF8").code == 501
    assert refusal(b"RCPT TO:<a" + octets + b"@x>", utf8=True).code == 501


WORDS = [*FULL.mail, *FULL.rcpt, b"X-Y"]


@given(
    st.lists(st.tuples(st.sampled_from(WORDS), st.none() | st.binary(max_size=40)), max_size=4),
    st.booleans(),
    st.booleans(),
)
def test_any_parameter_is_taken_or_refused(
    words: list[tuple[bytes, bytes | None]], to_mail: bool, utf8: bool
) -> None:
    text = b" ".join(word + (b"" if value is None else b"=" + value) for word, value in words)
    line = (b"MAIL FROM:<a@b> " if to_mail else b"RCPT TO:<a@b> ") + text
    try:
        parse_command(line, FULL, utf8=utf8)
    except SyntaxRefused as error:
        assert error.reply.code in (500, 501, 553, 555)


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_S9_no_decoded_value_can_end_a_line(text: str) -> None:
    encoded = "".join(f"\\x{{{ord(letter):02X}}}" for letter in text)
    hexed = "".join(f"+{octet:02X}" for octet in text.encode())
    for line in (rcpt(f"ORCPT=utf-8;{encoded}"), rcpt(f"ORCPT=rfc822;{hexed}")):
        try:
            command = parse(line)
        except SyntaxRefused:
            continue
        assert isinstance(command, Rcpt)
        assert command.options.original.splitlines() == [command.options.original]
