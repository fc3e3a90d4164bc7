"""How much the directory says a person may keep, in all the ways it is written."""

from __future__ import annotations

import pytest

from gateway.core.quota import Allowance, Quota
from gateway.directory.allowances import MOST, allowance_from
from gateway.directory.entries import Entry, account_from
from gateway.directory.presets.openldap import OPENLDAP


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], Allowance()),
        ([b"5368709120"], Allowance(octets=5368709120)),
        ([b" 5G "], Allowance(octets=5 << 30)),
        ([b"10mb"], Allowance(octets=10 << 20)),
        ([b"7KiB"], Allowance(octets=7 << 10)),
        ([b"1T"], Allowance(octets=1 << 40)),
        ([b"1000000S,1000C"], Allowance(1_000_000, 1000)),
        ([b"1000C, 1000000s"], Allowance(1_000_000, 1000)),
        ([b"1000C", b"1000000S"], Allowance(1_000_000, 1000)),
        ([b"1000C"], Allowance(messages=1000)),
        ([b"0"], Allowance(octets=0)),
        ([b"NOQUOTA"], Allowance(0, 0)),
        ([b"999999999999999999T"], Allowance(octets=MOST)),
    ],
)
def test_ways_to_write_it(values: list[bytes], expected: Allowance) -> None:
    assert allowance_from(values) == expected


@pytest.mark.parametrize(
    "value",
    [b"", b"-1", b"5 G", b"1.5G", b"lots", b"1G,2G", b"5P", b"1" * 19, b"\xff\r\n1", b"5GC", b"1,"],
)
def test_L25_garbage_is_the_default_and_fit_for_the_log(value: bytes) -> None:
    allowance = allowance_from([value])
    assert (allowance.octets, allowance.messages) == (None, None)
    assert allowance.unreadable.isprintable() and len(allowance.unreadable) < 300


def test_two_values_that_disagree_mean_nothing_whatever_their_order() -> None:
    one, other = allowance_from([b"1G", b"2G"]), allowance_from([b"2G", b"1G"])
    assert one == other and one.octets is None and one.unreadable


def test_what_is_not_said_is_the_default() -> None:
    default = Quota(100, 10)
    assert Allowance().or_else(default) == default
    assert Allowance(octets=5).or_else(default) == Quota(5, 10)
    assert Allowance(0, 0).or_else(default) == Quota()


def test_it_stands_in_the_entry() -> None:
    attributes = {
        "entryuuid": [b"5C2F4D1E-7A36-4F0B-9A58-0D8C9E1B6A01"],
        "uid": [b"x"],
        "mailquota": [b"5G"],
    }
    assert "mailQuota" in OPENLDAP.requested
    assert account_from(Entry("uid=x,dc=test", attributes), OPENLDAP).allowance == Allowance(
        5 << 30
    )
