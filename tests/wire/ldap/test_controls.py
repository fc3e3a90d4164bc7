"""Controls: octets of the RFCs and drafts, of real servers, and octets that are none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.protocol.rfc2696 import paged_search_control
from ldap3.utils.asn1 import encode

from gateway.wire.ldap.ber import LdapGarbage, boolean, integer, tlv
from gateway.wire.ldap.controls import (
    ASK_FOR_POLICY,
    EXPIRED,
    EXPIRING,
    PAGED_RESULTS,
    POLICY_STATE,
    Page,
    PasswordState,
    page_of,
    paged,
    password_state,
)
from gateway.wire.ldap.messages import Control
from gateway.wire.ldap.sync import (
    SYNC_DONE,
    SYNC_STATE,
    Change,
    SyncDone,
    SyncInfo,
    SyncInfoKind,
    SyncState,
    sync_done,
    sync_info,
    sync_request,
    sync_state,
)
from gateway.wire.ldap.writing import write_control

ID = bytes(range(16))
OTHER = bytes(range(16, 32))


def answer(oid: str, value: bytes | None) -> list[Control]:
    return [Control("1.2.3", False, b"x"), Control(oid, False, value)]


def policy(octets: str) -> PasswordState | None:
    return password_state(answer(POLICY_STATE, bytes.fromhex(octets)))


# --- paging --------------------------------------------------------------------------------------


@given(st.integers(0, 2**31 - 1), st.binary(max_size=300))
def test_pages_are_asked_for_as_ldap3_does(size: int, cookie: bytes) -> None:
    ours = write_control(paged(size, cookie))
    assert ours == encode(paged_search_control(True, size, cookie))


def test_L19_a_page_tells_whether_another_one_follows() -> None:
    value = bytes.fromhex("300d 020100 0408 0200000000000000")
    assert page_of(answer(PAGED_RESULTS, value)) == Page(0, b"\x02" + b"\0" * 7)
    assert page_of(answer(PAGED_RESULTS, bytes.fromhex("3005 020107 0400"))) == Page(7, b"")
    assert page_of(answer("1.9", value)) is None


# --- passwords -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "state"),
    [
        ("3000", PasswordState()),
        ("3006 a004 80020e10", PasswordState(expires_in_s=3600)),
        ("3005 a003 810102", PasswordState(grace_logins=2)),
        ("3003 810100", PasswordState(problem="password expired", error=0)),
        ("3003 810101", PasswordState(problem="account locked", error=1)),
        ("3003 810102", PasswordState(problem="password must be changed first", error=2)),
        ("3003 81010c", PasswordState(problem="password policy error 12", error=12)),
        ("3008 a003 810100 810100", PasswordState(None, 0, "password expired", 0)),
    ],
)
def test_L20_password_policies_say_how_a_password_is(octets: str, state: PasswordState) -> None:
    assert policy(octets) == state


def test_L20_389_says_so_in_controls_of_its_own() -> None:
    must_change = PasswordState(problem="password must be changed first", error=2)
    assert password_state(answer(EXPIRED, b"0")) == must_change
    assert password_state(answer(EXPIRING, b"86400")) == PasswordState(expires_in_s=86400)
    # Where both speak, the one that knows more is heard.
    both = [*answer(EXPIRED, b"0"), *answer(POLICY_STATE, bytes.fromhex("3003 810100"))]
    assert password_state(both) == PasswordState(problem="password expired", error=0)
    assert password_state([]) is None


def test_the_question_for_the_policy_has_no_value() -> None:
    assert Control(POLICY_STATE) == ASK_FOR_POLICY


# --- content synchronisation ---------------------------------------------------------------------


def test_a_refresh_begins_or_goes_on() -> None:
    first = sync_request()
    assert (first.critical, first.value) == (True, bytes.fromhex("3003 0a0101"))
    assert sync_request(b"c").value == bytes.fromhex("3006 0a0101 040163")


def test_each_entry_says_what_has_changed() -> None:
    value = tlv(0x30, integer(3, 0x0A) + tlv(4, ID))
    assert sync_state(answer(SYNC_STATE, value)) == SyncState(Change.DELETE, ID)
    value = tlv(0x30, integer(1, 0x0A) + tlv(4, ID) + tlv(4, b"rid=1"))
    assert sync_state(answer(SYNC_STATE, value)) == SyncState(Change.ADD, ID, b"rid=1")
    assert sync_state([]) is None


def test_the_end_says_whether_others_are_still_there() -> None:
    assert sync_done(answer(SYNC_DONE, b"\x30\x00")) == SyncDone()
    value = tlv(0x30, tlv(4, b"c") + boolean(True))
    assert sync_done(answer(SYNC_DONE, value)) == SyncDone(b"c", deletes=True)
    assert sync_done([]) is None


@pytest.mark.parametrize(
    ("octets", "info"),
    [
        (tlv(0x80, b"c"), SyncInfo(SyncInfoKind.NEW_COOKIE, b"c")),
        (tlv(0xA1, b""), SyncInfo(SyncInfoKind.REFRESH_DELETE, None, True)),
        (tlv(0xA2, tlv(4, b"c")), SyncInfo(SyncInfoKind.REFRESH_PRESENT, b"c", True)),
        (tlv(0xA2, boolean(False)), SyncInfo(SyncInfoKind.REFRESH_PRESENT, None, False)),
        (
            tlv(0xA3, tlv(4, b"c") + boolean(True) + tlv(0x31, tlv(4, ID) + tlv(4, OTHER))),
            SyncInfo(SyncInfoKind.ID_SET, b"c", True, (ID, OTHER)),
        ),
        (tlv(0xA3, tlv(0x31, b"")), SyncInfo(SyncInfoKind.ID_SET)),
    ],
)
def test_what_comes_between_entries(octets: bytes, info: SyncInfo) -> None:
    assert sync_info(octets) == info


# --- garbage -------------------------------------------------------------------------------------


def _sequence(contents: bytes) -> bytes:
    return tlv(0x30, contents)


READERS: list[Callable[[Any], object]] = [
    lambda value: page_of(answer(PAGED_RESULTS, value)),
    lambda value: password_state(answer(POLICY_STATE, value)),
    lambda value: password_state(answer(EXPIRING, value)),
    lambda value: sync_state(answer(SYNC_STATE, value)),
    lambda value: sync_done(answer(SYNC_DONE, value)),
    sync_info,
]


@given(st.sampled_from(READERS), st.binary(max_size=40) | st.binary(max_size=20).map(_sequence))
def test_L23_octets_are_understood_or_garbage(
    reader: Callable[[Any], object], value: bytes
) -> None:
    with suppress(LdapGarbage):
        reader(value)


@pytest.mark.parametrize("reader", READERS[:5])
def test_a_control_without_its_value_is_garbage(reader: Callable[[Any], object]) -> None:
    with pytest.raises(LdapGarbage):
        reader(None)


@pytest.mark.parametrize(
    "value",
    [
        tlv(0x30, integer(4, 0x0A) + tlv(4, ID)),
        tlv(0x30, integer(1, 0x0A) + tlv(4, ID[:15])),
        tlv(0x30, integer(1, 0x0A)),
    ],
)
def test_a_sync_state_must_name_its_entry(value: bytes) -> None:
    with pytest.raises(LdapGarbage):
        sync_state(answer(SYNC_STATE, value))
