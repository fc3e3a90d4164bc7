"""The EHLO registry: what is advertised is what is there, and nothing else (RFC 5321 section 2.2).

Held against each other: rows, parameters, parsers, verbs and the table of transitions.
"""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from gateway.core.envelope import RecipientOptions
from gateway.wire.smtp_commands import (
    Auth,
    Bdat,
    Data,
    Ehlo,
    Etrn,
    Mail,
    Rcpt,
    Simple,
    SyntaxRefused,
    Verb,
    Xclient,
)
from gateway.wire.smtp_extensions import (
    COMMAND_TYPES,
    EXTENSIONS,
    DoorOffer,
    Extension,
    Offer,
    offered,
    refuse_unanswered,
)
from gateway.wire.smtp_order import TRANSITIONS, Phase
from gateway.wire.smtp_syntax import PARSERS, parse_command
from tests.support.smtp_core import ALL, LIMITS, Talk, door_offer, grammar

ROWS = {row.keyword: row for row in EXTENSIONS}
ANSWERS = (Ehlo, Mail, Rcpt, Auth, Data, Bdat, Etrn, Xclient, Simple)
EVERYTHING_SHOWN = Offer(
    door_offer(no_soliciting=("net.example:adv",)), tls=False, mechanisms=("PLAIN",), proxy=True
)

# One good use of each parameter, and the verbs with an argument that parses.
USES = {
    "SIZE": b"SIZE=1",
    "BODY": b"BODY=8BITMIME",
    "AUTH": b"AUTH=<>",
    "SMTPUTF8": b"SMTPUTF8",
    "RET": b"RET=FULL",
    "ENVID": b"ENVID=x",
    "BY": b"BY=1;R",
    "HOLDFOR": b"HOLDFOR=1",
    "HOLDUNTIL": b"HOLDUNTIL=2030-01-31T18:00:00Z",
    "MT-PRIORITY": b"MT-PRIORITY=1",
    "REQUIRETLS": b"REQUIRETLS",
    "SOLICIT": b"SOLICIT=a.b:c",
    "NOTIFY": b"NOTIFY=NEVER",
    "ORCPT": b"ORCPT=rfc822;a@b",
}
LINES = {
    Verb.STARTTLS: b"STARTTLS",
    Verb.AUTH: b"AUTH PLAIN",
    Verb.BDAT: b"BDAT 1",
    Verb.ETRN: b"ETRN example.test",
    Verb.XCLIENT: b"XCLIENT NAME=x.test",
}


def shown(offer: Offer) -> dict[str, str]:
    """Keywords with what follows them, as a client reads them."""
    lines = offered(offer).ehlo.decode("ascii").split("\r\n")
    assert lines.pop() == "" and lines[0][:4] == "250-" and lines[-1][:4] == "250 "
    assert all(line[:4] == "250-" for line in lines[:-1])
    return {line[4:].partition(" ")[0]: line[4:].partition(" ")[2] for line in lines[1:]}


def test_rows_parsers_and_transitions_agree() -> None:
    assert len(ROWS) == len(EXTENSIONS)
    assert set(PARSERS) == set(Verb) == {verb for _, verb in TRANSITIONS}
    assert not [pair for pair in TRANSITIONS if pair[0] is Phase.CONTENT]
    brought = [verb for row in EXTENSIONS for verb in row.verbs]
    assert len(brought) == len(set(brought)) and set(brought) == set(COMMAND_TYPES)
    names = {field.name for field in fields(Mail)}
    options = {field.name for field in fields(RecipientOptions)}
    for row in EXTENSIONS:
        assert row.rfc.startswith("RFC ") or row.keyword == "XCLIENT"
        assert row.needs <= ROWS.keys()
        assert all(not each.fills or each.fills in names for each in row.mail)
        assert all(each.fills in options for each in row.rcpt)
    used = {each.keyword for row in EXTENSIONS for each in (*row.mail, *row.rcpt)}
    assert used == set(USES)


def test_an_enabled_row_without_an_answer_stops_the_start() -> None:
    refuse_unanswered(ALL, ANSWERS)
    for row in EXTENSIONS:
        for verb in row.verbs:
            without = [kind for kind in ANSWERS if kind is not COMMAND_TYPES[verb]]
            with pytest.raises(LookupError, match=row.keyword):
                refuse_unanswered({row.keyword}, without)
            refuse_unanswered(ALL - {each.keyword for each in EXTENSIONS if each.verbs}, without)


def test_a_door_cannot_enable_what_does_not_exist() -> None:
    with pytest.raises(AssertionError, match="X-NONE"):
        DoorOffer("mail.test", 1, frozenset({"SIZE", "X-NONE"}))


@pytest.mark.parametrize("row", EXTENSIONS, ids=lambda row: row.keyword)
def test_what_is_not_shown_is_not_there(row: Extension) -> None:
    """Each row left out by the door: not in EHLO, its parameters 555, its verbs 502."""
    with_it, without = ALL, ALL - {row.keyword}
    offer = replace(EVERYTHING_SHOWN, tls=row.keyword == "REQUIRETLS")
    assert row.keyword in shown(replace(offer, door=door_offer(*with_it)))
    assert row.keyword not in shown(replace(offer, door=door_offer(*without)))
    for enabled in (with_it, without):
        rules = offered(replace(offer, door=door_offer(*enabled))).extended
        for parameter in row.mail:
            if enabled is without and row.keyword == "BINARYMIME":
                continue  # its parameter is one of 8BITMIME, with one more value
            line = b"MAIL FROM:<a@b.test> " + USES[parameter.keyword]
            _is_there(line, rules, enabled is with_it, "555 5.5.4")
        for parameter in row.rcpt:
            line = b"RCPT TO:<a@b.test> " + USES[parameter.keyword]
            _is_there(line, rules, enabled is with_it, "555 5.5.4")
        for verb in row.verbs:
            _is_there(LINES[verb], rules, enabled is with_it, "502 5.5.1")


def _is_there(line: bytes, rules: object, there: bool, otherwise: str) -> None:
    try:
        parse_command(line, rules)  # type: ignore[arg-type]
    except SyntaxRefused as error:
        assert not there, line
        assert f"{error.reply.code} {error.reply.status}" == otherwise
    else:
        assert there, line


def test_binarymime_needs_its_rows() -> None:
    for missing in ("CHUNKING", "8BITMIME"):
        assert "BINARYMIME" not in shown(Offer(door_offer(*ALL - {missing})))
    without = grammar(*ALL - {"BINARYMIME"})
    _is_there(b"MAIL FROM:<> BODY=BINARYMIME", without, False, "501 5.5.4")
    _is_there(b"MAIL FROM:<> BODY=BINARYMIME", grammar(), True, "")


def test_what_the_keywords_say() -> None:
    door = door_offer(
        recipients=50,
        hold_s=86_400 * 2,
        no_soliciting=("net.example:adv", "org.example:x"),
    )
    says = shown(Offer(door, mechanisms=("PLAIN", "LOGIN"), proxy=True, today=20_000))
    assert says["SIZE"] == "1000"
    assert says["AUTH"] == "PLAIN LOGIN"
    assert says["FUTURERELEASE"] == "172800 2024-10-06T00:00:00Z"
    assert says["DELIVERBY"] == says["MT-PRIORITY"] == ""
    assert says["LIMITS"] == "RCPTMAX=50"
    assert says["NO-SOLICITING"] == "net.example:adv,org.example:x"
    assert says["XCLIENT"] == "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"
    plain = shown(Offer(door_offer(recipients=0, no_soliciting=())))
    assert "LIMITS" not in plain and plain["NO-SOLICITING"] == plain["PIPELINING"] == ""


def test_what_is_shown_depends_on_tls_login_and_network() -> None:
    clear, inside = Offer(door_offer()), Offer(door_offer(), tls=True, mechanisms=("PLAIN",))
    assert {"STARTTLS"} == shown(clear).keys() - shown(inside).keys()
    assert {"AUTH", "REQUIRETLS"} == shown(inside).keys() - shown(clear).keys()
    assert "XCLIENT" not in shown(clear) and "XCLIENT" in shown(replace(clear, proxy=True))
    assert "AUTH" not in shown(replace(inside, mechanisms=(), logged_in=True))
    assert "STARTTLS" not in shown(Offer(door_offer(starttls=False)))


def test_A1_S17_verbs_that_are_hidden_say_why() -> None:
    for offer, line, reply in (
        (Offer(door_offer(), tls=True), b"STARTTLS", "503 5.5.1"),
        (Offer(door_offer(starttls=False)), b"STARTTLS", "502 5.5.1"),
        (Offer(door_offer()), b"AUTH PLAIN", "538 5.7.11"),
        (Offer(door_offer(), tls=True, logged_in=True), b"AUTH PLAIN", "503 5.5.1"),
        (Offer(door_offer()), b"XCLIENT NAME=x", "502 5.5.1"),
        (Offer(door_offer("SIZE")), b"AUTH PLAIN", "502 5.5.1"),
    ):
        for rules in (offered(offer).plain, offered(offer).extended):
            _is_there(line, rules, False, reply)


@pytest.mark.parametrize("verb", LINES)
def test_extensions_begin_with_ehlo(verb: Verb) -> None:
    talk = Talk(offer=EVERYTHING_SHOWN)
    for before in (b"", b"HELO x\r\n"):
        talk.say(before)
        assert talk.say(LINES[verb] + b"\r\nx"[: 3 if verb is Verb.BDAT else 2]) == ["503 5.5.1"]


@pytest.mark.parametrize("parameter", [use for use in USES.values() if use != b"REQUIRETLS"])
def test_S23_helo_has_no_parameters(parameter: bytes) -> None:
    path = b"RCPT TO" if parameter[:5] in (b"NOTIF", b"ORCPT") else b"MAIL FROM"
    talk = Talk(b"HELO x", offer=EVERYTHING_SHOWN)
    assert talk.say(path + b":<a@b.test> " + parameter + b"\r\n") == ["555 5.5.4"]


def test_help_lists_what_there_is() -> None:
    everything = offered(EVERYTHING_SHOWN).help
    words = everything.text.partition(";")[0].split()
    assert set(words) == {verb.value for verb in Verb} - {"LHLO"}
    little = offered(Offer(door_offer("SIZE"))).help.text
    assert not {"AUTH", "BDAT", "ETRN", "STARTTLS", "XCLIENT"} & set(little.split())
    assert offered(Offer(door_offer(lmtp=True))).help.text.startswith("LHLO MAIL ")


@pytest.mark.parametrize("line", [b"EXPN staff", b"TURN", b"SEND FROM:<>", b"SOML x", b"saml"])
def test_S25_commands_that_are_known_and_not_there(line: bytes) -> None:
    assert Talk(b"EHLO x").say(line + b"\r\n") == ["502 5.5.1"]


def test_lmtp_is_opened_by_lhlo_only() -> None:
    talk = Talk(offer=Offer(door_offer(lmtp=True)), limits=LIMITS)
    assert talk.say(b"EHLO x\r\nHELO x\r\nMAIL FROM:<>\r\n") == [
        "500 5.5.1",
        "500 5.5.1",
        "503 5.5.1",
    ]
    assert talk.say(b"LHLO x\r\nMAIL FROM:<> SIZE=1\r\n") == ["LHLO", "MAIL"]
    assert Talk().say(b"LHLO x\r\n") == ["500 5.5.1"]


def test_lmtp_data_without_recipients_is_503() -> None:
    """RFC 2033 section 4.2, where SMTP may say 554."""
    for lmtp, reply in ((True, "503 5.5.1"), (False, "554 5.5.1")):
        hello = b"LHLO x" if lmtp else b"EHLO x"
        talk = Talk(hello, b"MAIL FROM:<>", offer=Offer(door_offer(lmtp=lmtp)))
        talk.core.recipient_refused()
        assert talk.say(b"DATA\r\n") == [reply]


def test_one_state_is_computed_once() -> None:
    door = door_offer()
    assert offered(Offer(door, tls=True)) is offered(Offer(door, tls=True))
    assert offered(Offer(door)) is not offered(Offer(door_offer()))
