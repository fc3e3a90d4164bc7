"""No envelope value can end its command or open another one (SECURITY S8)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.address import Address
from gateway.wire.smtp_client_envelope import EnvelopeRefused, Login, hello_octets, path_octets


@pytest.mark.parametrize(
    "address",
    [
        Address("a\r\nRCPT TO:<x@y>", "d.example"),
        Address("a\nb", "d.example"),
        Address("a\0b", "d.example"),
        Address("a>b", "d.example"),
        Address("a<b", "d.example"),
        Address("a\x7f", "d.example"),
        Address("a", "d.example> SIZE=1"),
        Address("a", "d example"),
        Address("a", "d\r\nDATA"),
        Address("a", "[127.0.0.1\r\n]"),
        Address("", ""),
        Address("somebody", ""),
        Address("a" * 600, "d.example"),
    ],
)
def test_S8_addresses_that_could_inject_are_refused(address: Address) -> None:
    with pytest.raises(EnvelopeRefused) as refused:
        path_octets(address)
    assert refused.value.status == "5.1.3"


@pytest.mark.parametrize(
    "address, octets",
    [
        (None, b"<>"),
        (Address("bob", "d.example"), b"<bob@d.example>"),
        (Address("a b", "d.example"), b'<"a b"@d.example>'),
        (Address('a"b\\c', "d.example"), b'<"a\\"b\\\\c"@d.example>'),
        (Address("a@b", "d.example"), b'<"a@b"@d.example>'),
        (Address("", "d.example"), b'<""@d.example>'),
        (Address("o'brien+x=y", "d.example"), b"<o'brien+x=y@d.example>"),
        (Address("a", "[IPv6:2001:db8::1]"), b"<a@[IPv6:2001:db8::1]>"),
        (Address("Postmaster", ""), b"<Postmaster>"),
    ],
)
def test_good_addresses_are_written_as_rfc_5321_wants(
    address: Address | None, octets: bytes
) -> None:
    assert path_octets(address) == octets


def test_S31_an_address_outside_ascii_is_utf8_without_controls() -> None:
    assert path_octets(Address("bücher", "d.example")) == "<bücher@d.example>".encode()
    for text in ("a\x85b", "a\u2028b", "a\ud800b"):
        with pytest.raises(EnvelopeRefused) as refused:
            path_octets(Address(text, "d.example"))
        assert refused.value.status == "5.1.3"


@given(st.text(max_size=20), st.text(max_size=20))
def test_S8_what_is_written_has_one_pair_of_brackets_and_no_controls(
    local: str, domain: str
) -> None:
    try:
        octets = path_octets(Address(local, domain))
    except EnvelopeRefused:
        return
    assert octets.startswith(b"<") and octets.endswith(b">")
    assert b"<" not in octets[1:] and b">" not in octets[:-1]
    assert all(0x20 <= octet != 0x7F for octet in octets)


@pytest.mark.parametrize("name", ["", "a b", "a\r\nMAIL", "a\0", "a>", "ä.example", "x" * 256])
def test_S8_bad_host_names_are_refused(name: str) -> None:
    with pytest.raises(EnvelopeRefused):
        hello_octets(name)


def test_host_names_and_literals_pass() -> None:
    assert hello_octets("mail.example.test") == b"mail.example.test"
    assert hello_octets("[192.0.2.1]") == b"[192.0.2.1]"


def test_a_login_with_a_nul_is_refused_and_no_password_is_shown() -> None:
    with pytest.raises(EnvelopeRefused):
        Login("user", b"se\0cret")
    with pytest.raises(EnvelopeRefused):
        Login("us\0er", b"secret")
    assert "secret" not in repr(Login("user", b"secret"))
