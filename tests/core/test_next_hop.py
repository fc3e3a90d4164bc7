"""URLs of mail servers as an administrator writes them."""

from __future__ import annotations

import pytest

from gateway.core.next_hop import (
    MAX_SOCKET_PATH_OCTETS,
    NextHop,
    NextHopSyntax,
    chain_text,
    login_name,
    parse_chain,
    parse_next_hop,
)


def _at(path: str) -> NextHop:
    return NextHop("lmtp+unix", "localhost", 0, "none", socket=path)


@pytest.mark.parametrize(
    "text, hop",
    [
        ("smtp://relay.example", NextHop("smtp", "relay.example", 25)),
        ("smtp://Relay.Example.:2525/", NextHop("smtp", "relay.example", 2525)),
        ("smtp://[2001:db8::1]:26", NextHop("smtp", "2001:db8::1", 26)),
        ("lmtp://store.example", NextHop("lmtp", "store.example", 24)),
        ("smtp://relay.example?tls=none", NextHop("smtp", "relay.example", 25, "none")),
        ("smtp://relay.example?tls=required", NextHop("smtp", "relay.example", 25, "required")),
        ("smtp://relay.example?tls=verified", NextHop("smtp", "relay.example", 25, "verified")),
        ("smtps://relay.example", NextHop("smtps", "relay.example", 465, "verified")),
        ("smtps://127.0.0.1", NextHop("smtps", "127.0.0.1", 465, "verified")),
        (
            "smtps://me@relay.example:4650?tls=opportunistic",
            NextHop("smtps", "relay.example", 4650, "opportunistic", "me"),
        ),
        # A password travels under TLS with the right server, unless the URL says otherwise.
        ("smtp://me@relay.example:587", NextHop("smtp", "relay.example", 587, "verified", "me")),
        (
            "smtp://me%40corp@relay.example",
            NextHop("smtp", "relay.example", 25, "verified", "me@corp"),
        ),
        ("smtp://me@127.0.0.1:2525", NextHop("smtp", "127.0.0.1", 2525, "opportunistic", "me")),
        ("smtp://me@localhost", NextHop("smtp", "localhost", 25, "opportunistic", "me")),
        ("smtp://me@[::1]?tls=none", NextHop("smtp", "::1", 25, "none", "me")),
        ("lmtp+unix:///run/dovecot/lmtp", _at("/run/dovecot/lmtp")),
        ("lmtp+unix:///run/a%20b%25/%C3%BC", _at("/run/a b%/ü")),
        ("lmtp+unix:///" + "x" * (MAX_SOCKET_PATH_OCTETS - 1), _at("/" + "x" * 106)),
    ],
)
def test_urls_mean_and_are_written_again(text: str, hop: NextHop) -> None:
    assert parse_next_hop(text) == hop
    assert parse_next_hop(str(hop)) == hop


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
        "smtp://relay.example?tls=maybe",
        "smtp://relay.example?tls=required&tls=required",
        "smtp://relay.example?x=y",
        "smtp://relay.example?tls",
        "smtp://relay.example\r\n",
        "smtp://rel%61y.example",
        "smtp://me:secret@relay.example",
        "smtp://me@relay.example?tls=none",
        "smtps://relay.example?tls=none",
        "smtp://[::1",
        "smtp://relay..example",
        "smtp://.",
        "smtp://-x.example",
        "smtp://192.0.2.300",
        "smtp://192.0.2",
        "smtp://bücher.example",
        "smtp://" + "a." * 127 + "example",
        "lmtp+unix://",
        "lmtp+unix:///",
        "lmtp+unix:///run/dovecot/",
        "lmtp+unix:/run/lmtp",
        "lmtp+unix://localhost/run/lmtp",
        "lmtp+unix://me:secret@/run/lmtp",
        "lmtp+unix:///run/lmtp?tls=none",
        "lmtp+unix:///run/lmtp?",
        "lmtp+unix:///run/lmtp#x",
        "lmtp+unix:///run/l mtp",
        "lmtp+unix:///run/l%00mtp",
        "lmtp+unix:///run/l%0Amtp",
        "lmtp+unix:///run/%ff",
        "smtp+unix:///run/smtp",
    ],
)
def test_other_texts_are_refused_and_no_password_is_repeated(text: str) -> None:
    with pytest.raises(NextHopSyntax) as refused:
        parse_next_hop(text)
    assert "secret" not in str(refused.value)


def test_a_path_that_no_socket_can_have_is_refused_with_its_length() -> None:
    for path in ("/" + "x" * 107, "/" + "%C3%BC" * 54):
        with pytest.raises(NextHopSyntax, match=r"has 10[89] octets, and the system takes 107"):
            parse_next_hop(f"lmtp+unix://{path}")


def test_a_socket_is_on_this_machine_and_no_level_of_tls_applies() -> None:
    text = "lmtp+unix:///run/lmtp lmtp://store.example"
    first = parse_next_hop("lmtp+unix:///run/lmtp")
    assert first.on_loopback and first.lmtp and not first.login_names
    assert chain_text(parse_chain(text), "verified") == (
        "lmtp+unix:///run/lmtp lmtp://store.example:24?tls=verified"
    )


def test_one_spelling_says_what_is_not_the_default() -> None:
    assert str(parse_next_hop("smtps://me@Relay.example")) == "smtps://me@relay.example:465"
    assert str(parse_next_hop("smtp://[::1]:26")) == "smtp://[::1]:26"
    assert str(parse_next_hop("smtp://x?tls=opportunistic")) == "smtp://x:25?tls=opportunistic"
    text = "smtp://a smtps://b smtp://c?tls=none smtp://127.0.0.1"
    assert chain_text(parse_chain(text), "verified") == (
        "smtp://a:25?tls=verified smtps://b:465 smtp://c:25?tls=none smtp://127.0.0.1:25"
    )
    for wrong in ("", " ", "smtp://a x", " ".join(["smtp://a"] * 11)):
        with pytest.raises(NextHopSyntax):
            parse_chain(wrong)


def test_logins_are_named_with_or_without_port() -> None:
    assert login_name("Me@Relay.example") == "Me@relay.example"
    assert login_name("me@[::1]:587") == "me@[::1]:587"
    assert parse_next_hop("smtp://me@relay.example:587").login_names == (
        "me@relay.example:587",
        "me@relay.example",
    )
    with pytest.raises(NextHopSyntax):
        login_name("relay.example")
