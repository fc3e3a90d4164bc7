"""URLs of mail servers as an administrator writes them."""

from __future__ import annotations

import pytest

from gateway.delivery.next_hop import NextHop, NextHopSyntax, parse_next_hop
from gateway.wire.smtp_client_plan import TlsRule

MAYBE, REQUIRED = TlsRule.OPPORTUNISTIC, TlsRule.REQUIRED


@pytest.mark.parametrize(
    "text, hop",
    [
        ("smtp://relay.example", NextHop("relay.example", 25, False, MAYBE)),
        ("smtp://Relay.Example.:2525/", NextHop("relay.example", 2525, False, MAYBE)),
        ("smtp://[2001:db8::1]:26", NextHop("2001:db8::1", 26, False, MAYBE)),
        ("smtp://relay.example?tls=required", NextHop("relay.example", 25, False, REQUIRED)),
        ("smtps://relay.example", NextHop("relay.example", 465, True, REQUIRED)),
        ("smtps://me@relay.example:4650", NextHop("relay.example", 4650, True, REQUIRED, "me")),
        # A password travels only under TLS, whatever the URL says about TLS.
        ("smtp://me@relay.example:587", NextHop("relay.example", 587, False, REQUIRED, "me")),
        (
            "smtp://me%40corp@relay.example",
            NextHop("relay.example", 25, False, REQUIRED, "me@corp"),
        ),
        ("smtp://me@127.0.0.1:2525", NextHop("127.0.0.1", 2525, False, MAYBE, "me")),
        ("smtp://me@localhost", NextHop("localhost", 25, False, MAYBE, "me")),
        ("smtp://me@[::1]", NextHop("::1", 25, False, MAYBE, "me")),
    ],
)
def test_urls_mean(text: str, hop: NextHop) -> None:
    assert parse_next_hop(text) == hop


@pytest.mark.parametrize(
    "text",
    [
        "",
        "relay.example",
        "http://relay.example",
        "smtp://",
        "smtp://:25",
        "smtp://relay.example:0",
        "smtp://relay.example:99999",
        "smtp://relay.example:x",
        "smtp://relay.example/path",
        "smtp://relay.example#x",
        "smtp://relay.example?tls=none",
        "smtp://relay.example?x=y",
        "smtp://relay.example?tls",
        "smtp://me:secret@relay.example",
        "smtp://[::1",
    ],
)
def test_other_texts_are_refused_and_no_password_is_repeated(text: str) -> None:
    with pytest.raises(NextHopSyntax) as refused:
        parse_next_hop(text)
    assert "secret" not in str(refused.value)


def test_the_text_form_has_no_user() -> None:
    assert str(parse_next_hop("smtps://me@relay.example")) == "smtps://relay.example:465"
    assert str(parse_next_hop("smtp://[::1]:26")) == "smtp://[::1]:26"
