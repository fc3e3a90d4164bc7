"""Connection limits: total, per address, IPv6 by /64."""

from __future__ import annotations

import pytest

from gateway.policy.connections import ConnectionLimits, counting_key


def test_the_total_is_bounded_and_released() -> None:
    limits = ConnectionLimits(total=2, per_address=5)
    assert limits.admit("192.0.2.1") == "" and limits.admit("192.0.2.2") == ""
    assert limits.admit("192.0.2.3") == "too many connections"
    limits.release("192.0.2.1")
    assert limits.admit("192.0.2.3") == ""
    assert limits.open_connections == 2


def test_one_address_is_bounded() -> None:
    limits = ConnectionLimits(total=100, per_address=2)
    assert [limits.admit("192.0.2.1") for _ in range(3)] == [
        "",
        "",
        "too many connections from your address",
    ]
    assert limits.admit("192.0.2.2") == ""
    limits.release("192.0.2.1")
    assert limits.admit("192.0.2.1") == ""


def test_A7_an_ipv6_customer_is_one_address() -> None:
    limits = ConnectionLimits(total=100, per_address=2)
    assert limits.admit("2001:db8:0:1::1") == "" and limits.admit("2001:db8:0:1:ffff::2") == ""
    assert limits.admit("2001:db8:0:1::3") != ""
    assert limits.admit("2001:db8:0:2::1") == ""


def test_a_mapped_address_is_the_ipv4_address() -> None:
    limits = ConnectionLimits(total=100, per_address=1)
    assert limits.admit("192.0.2.1") == ""
    assert limits.admit("::ffff:192.0.2.1") != ""
    assert limits.admit("::ffff:192.0.2.2") == ""


def test_what_is_no_address_is_counted_by_its_text() -> None:
    assert counting_key("local") == "local"
    limits = ConnectionLimits(total=5, per_address=1)
    assert limits.admit("local") == "" and limits.admit("local") != ""


def test_nothing_is_remembered_of_those_who_left() -> None:
    limits = ConnectionLimits(total=5, per_address=1)
    for number in range(1000):
        ip = f"198.51.{number // 250}.{number % 250}"
        assert limits.admit(ip) == ""
        limits.release(ip)
    assert limits.open_connections == 0 and not limits._by_key
    with pytest.raises(AssertionError):
        limits.release("192.0.2.1")
