"""What MAIL and RCPT ask for: who gets it, who does not, and how it reaches the store."""

from __future__ import annotations

import pytest

from gateway.core.envelope import (
    NO_OPTIONS,
    BodyKind,
    DeliverBy,
    Hold,
    MessageOptions,
    Notify,
    RecipientOptions,
)
from gateway.core.messages import LOCAL
from tests.support.smtp_fakes import HOLD_S, NOW, Client, SmtpBench, codes

BODY = b"From: alice@example.test\r\nSubject: x\r\n\r\nhello\r\n"
AT = int(NOW)
ME = b"MAIL FROM:<alice@example.test>"


def options(client: Client, bench: SmtpBench, mail: bytes) -> MessageOptions:
    assert codes(client.say(mail)) == [250], mail
    client.say(b"RCPT TO:<alice@example.test>")
    client.say(b"DATA")
    assert codes(client.send(BODY + b".\r\n")) == [250]
    return bench.intake.accepted[-1].options


def test_who_asks_for_nothing_gets_the_one_empty_value() -> None:
    bench = SmtpBench()
    asked = b"MAIL FROM:<a@far.test> SIZE=10 BODY=7BIT MT-PRIORITY=0"
    assert options(bench.ready(), bench, asked) is NO_OPTIONS


def test_everything_that_is_asked_for_is_kept() -> None:
    bench = SmtpBench("submission")
    wish = b" BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+2B1 BY=120;RT MT-PRIORITY=3 REQUIRETLS"
    assert options(bench.submitter(), bench, ME + wish) == MessageOptions(
        body=BodyKind.EIGHT_BIT,
        smtputf8=True,
        ret="HDRS",
        envid="QQ+1",
        deliver_by=DeliverBy(AT + 120, or_return=True, trace=True),
        priority=3,
        require_tls=True,
    )
    assert b" with UTF8SMTPSA id " in bench.intake.accepted[0].trace_header


def test_recipients_have_their_own() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.say(b"MAIL FROM:<a@far.test>")
    client.say(b"RCPT TO:<alice@example.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2B@y.test")
    client.say(b"RCPT TO:<bob@example.test> NOTIFY=NEVER")
    client.say(b"DATA")
    assert codes(client.send(BODY + b".\r\n")) == [250]
    (message,) = bench.intake.accepted
    (waiting,) = message.remote
    assert waiting.next_hop == LOCAL and len(message.local) == 1
    wanted = RecipientOptions(Notify.SUCCESS | Notify.DELAY, "rfc822;x+@y.test")
    assert waiting.options == wanted


# -- time


def test_rfc_2852_time_runs_from_the_receipt_of_mail() -> None:
    bench = SmtpBench()
    client = bench.ready()
    asked = options(client, bench, b"MAIL FROM:<a@far.test> BY=-30;N")
    assert asked.deliver_by == DeliverBy(AT - 30, or_return=False)
    for past in (b"0;R", b"-1;R"):
        assert client.say(b"MAIL FROM:<a@far.test> BY=" + past).startswith(b"501 5.5.4 ")


@pytest.mark.parametrize(
    ("wish", "until"),
    [(b"HOLDFOR=3600", AT + 3600), (b"HOLDUNTIL=2023-11-15T00:00:00Z", 1_700_006_400)],
)
def test_rfc_4865_a_later_release_holds_the_message_for_everybody(wish: bytes, until: int) -> None:
    bench = SmtpBench("submission")
    asked = options(bench.submitter(), bench, ME + b" " + wish)
    assert asked.release_at == until
    (message,) = bench.intake.accepted
    assert message.hold == Hold("release: the sender asked for delivery later", until)
    assert message.local == () and [each.next_hop for each in message.remote] == [LOCAL]


def test_rfc_4865_a_release_in_the_past_is_now() -> None:
    bench = SmtpBench("submission")
    client = bench.submitter()
    for wish in (b" HOLDFOR=0", b" HOLDUNTIL=2001-01-01T00:00:00Z"):
        assert options(client, bench, ME + wish).release_at is None
        assert bench.intake.accepted[-1].hold is None and bench.intake.accepted[-1].local


def test_rfc_4865_bounds() -> None:
    bench = SmtpBench("submission")
    client = bench.submitter()
    assert codes(client.say(ME + b" HOLDFOR=%d" % HOLD_S)) == [250]
    client.say(b"RSET")
    assert client.say(ME + b" HOLDFOR=%d" % (HOLD_S + 60)).startswith(b"501 5.5.4 ")
    assert client.say(ME + b" HOLDUNTIL=2099-01-01T00:00:00Z").startswith(b"501 5.5.4 ")
    # What is to come back before it may leave would only come back.
    assert client.say(ME + b" HOLDFOR=600 BY=500;R").startswith(b"501 5.5.4 ")
    assert codes(client.say(ME + b" HOLDFOR=600 BY=500;N")) == [250]


def test_rfc_4865_strangers_hold_nothing() -> None:
    bench = SmtpBench("smtp", auth="offered")
    client = bench.ready()
    assert client.say(b"MAIL FROM:<a@far.test> HOLDFOR=60").startswith(b"530 5.7.0 ")
    assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"503 ")


# -- class, priority, TLS, solicitation, addresses


def test_rfc_6710_strangers_get_no_better_service_and_are_told() -> None:
    bench = SmtpBench()
    client = bench.ready()
    for asked, given, status in ((9, 0, b"2.3.6 0 is "), (1, 0, b"2.3.6 0 "), (-4, -4, b"2.0.0 ")):
        assert codes(client.say(b"MAIL FROM:<a@far.test> MT-PRIORITY=%d" % asked)) == [250]
        client.say(b"RCPT TO:<alice@example.test>")
        client.say(b"DATA")
        assert client.send(BODY + b".\r\n").startswith(b"250 " + status)
        assert bench.intake.accepted[-1].options.priority == given


def test_rfc_8689_requiretls_needs_tls() -> None:
    bench = SmtpBench()
    client = bench.ready()
    assert codes(client.say(b"MAIL FROM:<a@far.test> REQUIRETLS"))[0] in (530, 555)
    client.start_tls()
    client.say(b"EHLO client.test")
    assert options(client, bench, b"MAIL FROM:<a@far.test> REQUIRETLS").require_tls


def test_rfc_8689_a_header_may_say_that_tls_may_fail() -> None:
    bench = SmtpBench()
    client = bench.ready()
    for say in (b"DATA", b"BDAT"):
        client.say(b"MAIL FROM:<a@far.test>")
        client.say(b"RCPT TO:<alice@example.test>")
        content = b"TLS-Required: No\r\n" + BODY
        if say == b"DATA":
            client.say(say)
            said = client.send(content + b".\r\n")
        else:
            said = client.send(b"BDAT %d LAST\r\n" % len(content) + content)
        assert codes(said) == [250]
        assert bench.intake.accepted[-1].options == MessageOptions(tls_optional=True)
    client.start_tls()
    client.say(b"EHLO client.test")
    client.say(b"MAIL FROM:<a@far.test> REQUIRETLS")
    client.say(b"RCPT TO:<alice@example.test>")
    client.say(b"DATA")
    assert codes(client.send(content + b".\r\n")) == [250]
    # Section 5: what was said to SMTP comes first.
    assert bench.intake.accepted[-1].options == MessageOptions(require_tls=True)


def test_rfc_3865_unwanted_classes_are_refused() -> None:
    bench = SmtpBench(no_soliciting=("net.example:adv",))
    client = bench.connect()
    assert b" NO-SOLICITING net.example:adv\r\n" in client.say(b"EHLO client.test")
    unwanted = b"MAIL FROM:<a@far.test> SOLICIT=org.example:X,net.example:ADV"
    assert client.say(unwanted).startswith(b"550 5.7.1 ")
    assert options(client, bench, b"MAIL FROM:<a@far.test> SOLICIT=org.example:X").solicit == (
        "org.example:x",
    )


def test_rfc_3865_a_message_that_names_an_unwanted_class_is_refused() -> None:
    bench = SmtpBench(no_soliciting=("net.example:adv",))
    client = bench.ready()
    unwanted = b"Subject: x\r\nSOLICITATION: org.example:X,\r\n net.example:ADV\r\n\r\nhello\r\n"
    assert client.deliver(unwanted).startswith(b"550 5.7.1 ")
    assert codes(client.deliver(b"Subject: Solicitation: net.example:adv\r\n\r\nhello\r\n")) == [
        250
    ]
    assert codes(client.deliver(b"Subject: x\r\n\r\nSolicitation: net.example:adv\r\n")) == [250]
    assert codes(SmtpBench().ready().deliver(unwanted)) == [250]


def test_S31_addresses_outside_ascii_need_their_word() -> None:
    bench = SmtpBench()
    client = bench.ready()
    assert client.say("MAIL FROM:<jürgen@far.test>".encode()).startswith(b"553 5.6.7 ")
    assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"503 ")
    assert codes(client.say("MAIL FROM:<jürgen@far.test> SMTPUTF8".encode())) == [250]
    client.say(b"RCPT TO:<alice@example.test>")
    client.say(b"DATA")
    assert codes(client.send("Subject: grüße\r\n\r\nx\r\n.\r\n".encode())) == [250]
    (message,) = bench.intake.accepted
    assert message.options.smtputf8 and b" with UTF8SMTP id " in message.trace_header
    client.say(b"MAIL FROM:<a@far.test>")
    assert client.say("RCPT TO:<ülrike@example.test>".encode()).startswith(b"553 5.6.7 ")
