"""Networks by name and as they are, and who is in them."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.networks import MAX_ANSWERS, NO_NETWORKS, Networks, UnknownNetworkName, named

OFFICE = Networks(("10.0.0.0/8", "192.0.2.7", "2001:db8:1::/48", "fe80::1"))


@pytest.mark.parametrize(
    "ip",
    ["10.0.0.0", "10.255.255.255", "192.0.2.7", "2001:db8:1::", "2001:DB8:1:ffff::1", "fe80::1"],
)
def test_who_is_inside(ip: str) -> None:
    assert OFFICE.contains(ip)
    assert OFFICE.contains(ip)


@pytest.mark.parametrize(
    "ip",
    ["11.0.0.0", "9.255.255.255", "192.0.2.8", "2001:db8:2::", "::1", "a00::", "", "x", "10.1"],
)
def test_who_is_outside(ip: str) -> None:
    assert not OFFICE.contains(ip)


def test_mapped_addresses_are_what_they_map() -> None:
    assert OFFICE.contains("::ffff:10.1.2.3")
    assert not OFFICE.contains("::ffff:11.1.2.3")
    mapped = Networks(("::ffff:10.0.0.0/104",))
    assert mapped.contains("10.1.2.3")
    assert mapped.contains("::ffff:10.1.2.3")
    assert not mapped.contains("::10.1.2.3")


def test_everybody_and_nobody() -> None:
    assert not NO_NETWORKS
    assert not NO_NETWORKS.contains("127.0.0.1")
    everybody = Networks(("0.0.0.0/0",))
    assert everybody
    assert everybody.contains("203.0.113.1")
    assert everybody.contains("::ffff:203.0.113.1")
    assert not everybody.contains("2001:db8::1")
    assert Networks(("::/0",)).contains("2001:db8::1")


def test_names_stand_for_networks() -> None:
    names = {"office": ("10.0.0.0/8",), "vpn": ("192.0.2.0/24", "2001:db8::/32")}
    found = named(("vpn", "203.0.113.5"), names)
    assert found.contains("192.0.2.9")
    assert found.contains("203.0.113.5")
    assert not found.contains("10.0.0.1")
    with pytest.raises(UnknownNetworkName, match="home"):
        named(("home",), names)


def test_answers_that_are_kept_are_bounded() -> None:
    networks = Networks(("10.0.0.0/8",))
    for number in range(MAX_ANSWERS + 10):
        assert not networks.contains(str(ipaddress.ip_address(0xC0000000 + number)))
    assert len(networks._answers) <= MAX_ANSWERS


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), max_size=6),
    st.integers(0, 2**32 - 1),
)
def test_the_answer_is_that_of_ipaddress(parts: list[tuple[int, int]], number: int) -> None:
    networks = [ipaddress.ip_network((value, length), strict=False) for value, length in parts]
    ip = ipaddress.ip_address(number)
    expected = any(ip in network for network in networks)
    assert Networks([str(each) for each in networks]).contains(str(ip)) == expected
