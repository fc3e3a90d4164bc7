"""What is asked of the next server, by what it offers; what it cannot give fails with a reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.envelope import (
    DeliverBy,
    MessageOptions,
    Notify,
    RecipientOptions,
)
from gateway.core.queue import Verdict
from gateway.wire.content_scan import Content
from gateway.wire.smtp_client_envelope import Envelope
from gateway.wire.smtp_client_offer import Offer, OfferRefused, Terms, needs_inspection, terms
from gateway.wire.smtp_client_plan import Result

TEXT = Content(ascii_header=True, eight_bit=False)
ENVELOPE = Envelope(b"<a@x.example>", (b"<b@y.example>",), 1000)
GREEN = "<grün@y.example>".encode()


def agreed(
    offer: Offer,
    *asked: RecipientOptions,
    secure: bool = False,
    content: Content | None = TEXT,
    envelope: Envelope = ENVELOPE,
    by_s: int | None = None,
    **options: object,
) -> Terms:
    wanted = MessageOptions(**options)  # type: ignore[arg-type]
    told = replace(envelope, options=wanted, asked=asked, by_s=by_s)
    facts = content if needs_inspection(told, offer) else None
    return terms(told, offer, secure=secure, content=facts)


def refusal(offer: Offer, **asked: object) -> tuple[str, bool]:
    with pytest.raises(OfferRefused) as refused:
        agreed(offer, **asked)  # type: ignore[arg-type]
    assert refused.value.result.verdict is Verdict.FAILED
    return refused.value.result.status, refused.value.elsewhere


def test_nothing_is_asked_that_nobody_asked_for() -> None:
    offer = dict.fromkeys(
        ("SIZE", "DSN", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "DELIVERBY",
         "MT-PRIORITY", "REQUIRETLS"), ""
    )  # fmt: skip
    terms = agreed(offer, secure=True)
    assert terms.mail == b"MAIL FROM:<a@x.example> SIZE=1000"
    assert terms.recipients == (b"RCPT TO:<b@y.example>",)
    assert terms.reports_on and not terms.timed


# -- DSN (RFC 3461)


def test_wishes_for_reports_are_passed_on_where_they_are_understood() -> None:
    asked = RecipientOptions(Notify.SUCCESS | Notify.DELAY, "rfc822;b+c d@old.example")
    terms = agreed({"DSN": ""}, asked, ret="HDRS", envid="a+b=c d")
    assert terms.mail == b"MAIL FROM:<a@x.example> RET=HDRS ENVID=a+2Bb+3Dc+20d"
    assert terms.recipients == (
        b"RCPT TO:<b@y.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bc+20d@old.example",
    )
    assert terms.reports_on
    never = agreed({"DSN": ""}, RecipientOptions(Notify.NEVER))
    assert never.recipients == (b"RCPT TO:<b@y.example> NOTIFY=NEVER",)
    silent = agreed({}, asked, ret="FULL", envid="x")
    assert silent.mail == b"MAIL FROM:<a@x.example>"
    assert silent.recipients == (b"RCPT TO:<b@y.example>",) and not silent.reports_on


def test_S31_an_original_address_in_utf8_is_ascii_unless_the_session_is_not() -> None:
    asked = RecipientOptions(original="utf-8;grün@y.example")
    plain = agreed({"DSN": ""}, asked)
    assert plain.recipients == (b"RCPT TO:<b@y.example> ORCPT=utf-8;gr\\x{FC}n@y.example",)
    offer = {"DSN": "", "SMTPUTF8": "", "8BITMIME": ""}
    utf8 = agreed(offer, asked, smtputf8=True)
    assert utf8.recipients == ("RCPT TO:<b@y.example> ORCPT=utf-8;grün@y.example".encode(),)


@given(st.text(max_size=120), st.text(max_size=60), st.text(max_size=60))
def test_S8_no_wish_can_end_its_command(envid: str, kind: str, original: str) -> None:
    texts = [envid, kind, original]
    if any("\ud800" <= each <= "\udfff" for text in texts for each in text):
        return
    asked = RecipientOptions(original=f"{kind};{original}")
    terms = agreed({"DSN": ""}, asked, envid=envid)
    for command in (terms.mail, *terms.recipients):
        assert isinstance(command, bytes)
        assert all(0x20 <= octet < 0x7F for octet in command)
        assert command.count(b" ") <= 2 and command.count(b">") >= 1


# -- SMTPUTF8 (RFC 6531)


def test_S31_utf8_is_used_where_it_is_offered() -> None:
    envelope = replace(ENVELOPE, recipients=(GREEN,))
    terms = agreed({"SMTPUTF8": "", "8BITMIME": ""}, envelope=envelope)
    assert terms.mail == b"MAIL FROM:<a@x.example> SMTPUTF8"
    assert terms.recipients == (b"RCPT TO:" + GREEN,)


def test_S31_without_it_only_what_is_ascii_in_fact_is_sent() -> None:
    assert agreed({}, smtputf8=True).mail == b"MAIL FROM:<a@x.example>"
    header = Content(ascii_header=False, eight_bit=True)
    assert refusal({}, smtputf8=True, content=header) == ("5.6.9", False)
    assert refusal({}, envelope=replace(ENVELOPE, sender=GREEN)) == ("5.6.7", False)
    envelope = replace(ENVELOPE, recipients=(b"<b@y.example>", GREEN))
    first, second = agreed({}, smtputf8=True, envelope=envelope).recipients
    assert first == b"RCPT TO:<b@y.example>"
    assert isinstance(second, Result)
    assert (second.verdict, second.status) == (Verdict.FAILED, "5.6.7")


# -- DELIVERBY (RFC 2852)


@pytest.mark.parametrize(
    ("by", "left_s", "parameter"),
    [
        (DeliverBy(0, or_return=True), 120, b" BY=120;R"),
        (DeliverBy(0, or_return=False), -30, b" BY=-30;N"),
        (DeliverBy(0, or_return=True, trace=True), 120, b" BY=120;RT"),
        (DeliverBy(0, or_return=False), 10**12, b" BY=999999999;N"),
    ],
)
def test_the_time_that_is_left_is_passed_on(by: DeliverBy, left_s: int, parameter: bytes) -> None:
    terms = agreed({"DELIVERBY": "60"}, deliver_by=by, by_s=left_s)
    assert terms.mail == b"MAIL FROM:<a@x.example>" + parameter and terms.timed


def test_what_must_come_back_in_time_goes_only_where_that_is_promised() -> None:
    by = DeliverBy(0, or_return=True)
    assert refusal({}, deliver_by=by, by_s=60) == ("5.4.7", True)
    assert refusal({"DELIVERBY": "240"}, deliver_by=by, by_s=60) == ("5.4.7", True)
    assert refusal({"DELIVERBY": ""}, deliver_by=by, by_s=0) == ("5.4.7", False)
    late = agreed({}, deliver_by=DeliverBy(0, or_return=False), by_s=60)
    assert not late.timed and late.mail == b"MAIL FROM:<a@x.example>"


# -- MT-PRIORITY (RFC 6710), REQUIRETLS (RFC 8689)


def test_priorities_are_passed_on() -> None:
    assert agreed({"MT-PRIORITY": "MIXER"}, priority=-3).mail.endswith(b" MT-PRIORITY=-3")
    assert b"PRIORITY" not in agreed({}, priority=9).mail


def test_classes_of_solicitation_are_passed_on() -> None:
    asked = ("net.example:adv", "org.example:x")
    said = agreed({"NO-SOLICITING": ""}, solicit=asked).mail
    assert said.endswith(b" SOLICIT=net.example:adv,org.example:x")
    assert b"SOLICIT" not in agreed({}, solicit=asked).mail


def test_requiretls_needs_tls_and_a_server_that_keeps_it() -> None:
    offer = {"REQUIRETLS": ""}
    assert agreed(offer, secure=True, require_tls=True).mail.endswith(b" REQUIRETLS")
    assert refusal(offer, require_tls=True) == ("5.7.30", True)
    assert refusal({}, secure=True, require_tls=True) == ("5.7.30", True)
    # RFC 8689 section 5: a report is rather sent without than lost.
    report = replace(ENVELOPE, sender=b"<>")
    assert agreed({}, require_tls=True, envelope=report).mail == b"MAIL FROM:<>"
    kept = agreed(offer, secure=True, require_tls=True, envelope=report)
    assert kept.mail == b"MAIL FROM:<> REQUIRETLS"
