"""Limits that several processes keep together."""

from __future__ import annotations

from array import array

from gateway.policy.connections import TOO_MANY, TOO_MANY_FROM_ADDRESS
from gateway.policy.shared_connections import ROW, SharedConnectionLimits

KEY = b"0123456789abcdef"


def processes(table: array[int], total: int, per_address: int) -> list[SharedConnectionLimits]:
    return [SharedConnectionLimits(table, own, KEY, total, per_address) for own in range(3)]


def test_all_processes_count_together() -> None:
    first, second, third = processes(array("I", [0] * ROW * 3), 4, 3)
    assert [each.admit("192.0.2.1") for each in (first, second, third)] == ["", "", ""]
    assert first.admit("192.0.2.1") == TOO_MANY_FROM_ADDRESS
    assert second.admit("::ffff:192.0.2.1") == TOO_MANY_FROM_ADDRESS
    assert second.admit("192.0.2.2") == ""
    assert third.admit("192.0.2.3") == TOO_MANY
    first.release("192.0.2.1")
    assert third.admit("192.0.2.1") == ""


def test_what_was_refused_is_not_counted_and_what_left_is_forgotten() -> None:
    table = array("I", [0] * ROW * 3)
    first, second, _ = processes(table, 100, 1)
    for _ in range(5):
        assert first.admit("2001:db8::1") == ""
        assert second.admit("2001:db8::2") == TOO_MANY_FROM_ADDRESS, "one /64 is one customer"
        first.release("2001:db8::1")
    assert not any(table)


def test_a_process_that_died_frees_its_row() -> None:
    table = array("I", [0] * ROW * 3)
    first, second, _ = processes(table, 100, 1)
    assert first.admit("192.0.2.1") == ""
    table[0:ROW] = array("I", [0] * ROW)
    assert second.admit("192.0.2.1") == ""
