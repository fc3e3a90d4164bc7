"""The address grammar: parsed exactly or refused (SECURITY S29-S31)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.address import Address, path
from gateway.wire.address import AddressSyntax, parse_mailbox, parse_path

GOOD = [
    (b"<a@b>", Address("a", "b")),
    (b"<Alice.Smith@Example.TEST>", Address("Alice.Smith", "example.test")),
    (b"<postmaster>", Address("postmaster", "")),
    (b"<PostMaster>", Address("postmaster", "")),
    (b'<"a b"@x>', Address("a b", "x")),
    (b'<"a\\"b"@x>', Address('a"b', "x")),
    (b'<"a@b"@x>', Address("a@b", "x")),
    (b'<"a\\\\"@x>', Address("a\\", "x")),
    (b'<""@x>', Address("", "x")),
    (b"<@h1,@h2:u@d>", Address("u", "d")),
    (b"<@[192.0.2.1]:u@d>", Address("u", "d")),
    (b"<a@[127.0.0.1]>", Address("a", "[127.0.0.1]")),
    (b"<a@[IPv6:::1]>", Address("a", "[ipv6:::1]")),
    (b"<" + b"a" * 64 + b"@x>", Address("a" * 64, "x")),
    (b"<a@x_y.test>", Address("a", "x_y.test")),
    (b"<a@3com.test>", Address("a", "3com.test")),
    (b"<user%elsewhere.test@x>", Address("user%elsewhere.test", "x")),
    (b"<`id`|$(id)@x>", None),
    (b"<`id`|$id@x>", Address("`id`|$id", "x")),
]

BAD = [
    b"",
    b"<",
    b">",
    b"a@b",
    b"<a@b",
    b"<a>",
    b"<@b>",
    b"<a@>",
    b"<a@b@c>",
    b"<<a@b>>",
    b"<a@b\0>",
    b"<a\0@b>",
    b"<a @b>",
    b"<a@b >",
    b"< a@b>",
    b"<a@[999.1.1.1]>",
    b"<a@[127.1]>",
    b"<a@[IPv6:1::2::3]>",
    b"<a@[IPv6:fe80::1%eth0]>",
    b"<a@[tag:text]>",
    b"<a@[]>",
    b"<a@2130706433>",
    b"<a@127.0.0.1>",
    b"<a(comment)@x>",
    b"<a@x.>",
    b"<a@.x>",
    b"<a@x..y>",
    b"<a@-x>",
    b"<a@x->",
    b"<a@xn--->",
    b"<.a@x>",
    b"<a.@x>",
    b"<a..b@x>",
    b"<;id;>",
    b'<"a"b@x>',
    b'<"a@x>',
    b'<"a\\"@x>',
    b"<@h1,@h2 u@d>",
    b"<" + b"a" * 65 + b"@x>",
    b"<a@" + b"b" * 64 + b".test>",
    b"<a@" + b".".join([b"b" * 60] * 5) + b">",
]


@pytest.mark.parametrize(("text", "address"), GOOD)
def test_S29_addresses_that_parse(text: bytes, address: Address | None) -> None:
    if address is None:
        with pytest.raises(AddressSyntax):
            parse_path(text, allow_null=False)
        return
    assert parse_path(text, allow_null=False) == (address, b"")


@pytest.mark.parametrize("text", BAD)
@pytest.mark.parametrize("allow_null", [True, False])
def test_S29_addresses_that_are_refused(text: bytes, allow_null: bool) -> None:
    with pytest.raises(AddressSyntax) as caught:
        parse_path(text, allow_null=allow_null)
    assert not caught.value.needs_utf8


def test_S29_length_of_a_path_is_254_octets_inside_the_brackets() -> None:
    domain = b".".join([b"b" * 62] * 4)[:252]
    assert parse_path(b"<a@" + domain + b">", allow_null=False)[1] == b""
    with pytest.raises(AddressSyntax):
        parse_path(b"<ab@" + domain + b"c>", allow_null=False)


def test_S29_null_and_postmaster_depend_on_the_direction() -> None:
    assert parse_path(b"<> SIZE=3", allow_null=True) == (None, b" SIZE=3")
    with pytest.raises(AddressSyntax):
        parse_path(b"<>", allow_null=False)
    with pytest.raises(AddressSyntax):
        parse_path(b"<postmaster>", allow_null=True)


def test_S29_what_follows_is_handed_back() -> None:
    assert parse_path(b"<a@b>>", allow_null=False) == (Address("a", "b"), b">")
    assert parse_path(b"<a@b> X=<c@d>", allow_null=True)[1] == b" X=<c@d>"


def test_S31_octets_outside_ascii_need_smtputf8() -> None:
    for text in ("<ä@x>".encode(), "<a@bücher.test>".encode(), b"<a\xff@x>"):
        with pytest.raises(AddressSyntax) as caught:
            parse_path(text, allow_null=False)
        assert caught.value.needs_utf8


def test_S31_utf8_addresses() -> None:
    decomposed = "<a\u0308@b\u00fccher.test>".encode()
    assert parse_path(decomposed, allow_null=False, utf8=True)[0] == Address(
        "\u00e4", "xn--bcher-kva.test"
    )
    for text in (b"<a\xff@x>", b"<a\xc3@x>", "<henry\u2163@x>".encode(), "<a\u0085b@x>".encode()):
        with pytest.raises(AddressSyntax) as caught:
            parse_path(text, allow_null=False, utf8=True)
        assert not caught.value.needs_utf8


def test_mailboxes_of_configuration() -> None:
    assert parse_mailbox("Alice@Example.test") == Address("Alice", "example.test")
    assert parse_mailbox("a@Bücher.test") == Address("a", "xn--bcher-kva.test")
    for text in ("alice", "<a@b>", "a@b c@d", "a@b\n", "", "a@\ud800"):
        with pytest.raises(AddressSyntax):
            parse_mailbox(text)


local_parts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
domains = st.from_regex(
    r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z]{2,8}){0,3}\.[a-z]+", fullmatch=True
)


@given(local_parts, domains)
def test_every_address_reads_back_as_itself(local_part: str, domain: str) -> None:
    address = Address(local_part, domain)
    assert parse_path(path(address).encode(), allow_null=True) == (address, b"")


@given(st.binary(max_size=80), st.booleans(), st.booleans())
def test_any_octets_are_an_address_or_refused(text: bytes, allow_null: bool, utf8: bool) -> None:
    try:
        address, rest = parse_path(b"<" + text, allow_null=allow_null, utf8=utf8)
    except AddressSyntax:
        return
    assert (b"<" + text).endswith(rest)
    if address is not None:
        assert "\r" not in str(address) and "\n" not in str(address) and "\0" not in str(address)
