"""What of an entry reaches the gateway (SECURITY L4, L25)."""

from __future__ import annotations

import pytest

from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable
from gateway.core.log_text import shown
from gateway.directory.entries import MAX_ADDRESSES, Entry, account_from, has_address
from gateway.directory.presets.openldap import OPENLDAP

UUID = b"5C2F4D1E-7A36-4F0B-9A58-0D8C9E1B6A01"


def entry(**attributes: list[bytes]) -> Entry:
    return Entry("uid=x,dc=test", {"entryuuid": [UUID], "uid": [b"x"], **attributes})


def test_the_primary_address_comes_first() -> None:
    account = account_from(
        entry(
            mail=[b"b@x.test", b"C@x.test"],
            maillocaladdress=[b"d@x.test", b"b@x.test"],
            proxyaddresses=[b"smtp:e@x.test", b"SMTP:A@x.test", b"sip:f@x.test", b"g@x.test"],
        ),
        OPENLDAP,
    )
    assert account.primary_address == "a@x.test"
    assert account.addresses == ("a@x.test", "b@x.test", "c@x.test", "d@x.test", "e@x.test")


def test_L25_values_that_are_no_addresses_are_left_out() -> None:
    bad = [b"", b"x", b"@x.test", b"a@", b"a b@x.test", b"a@x.test\r\n", b"\0@x.test", b"a@b@c"]
    bad += [b"<a@x.test>", b"\xff@x.test", b"a" * 1_000_000 + b"@x.test", b"../../x", b"a@x.test "]
    account = account_from(entry(mail=[*bad, b'"a b"@x.test']), OPENLDAP)
    assert account.addresses == ('"a b"@x.test',)
    assert has_address(account.addresses, Address("A b", "x.test"))
    assert not has_address(account.addresses, Address("a", "x.test"))


def test_L25_addresses_are_cut_off_loudly(logged: list[str]) -> None:
    many = [b"a%d@x.test" % n for n in range(MAX_ADDRESSES + 1)]
    assert len(account_from(entry(mail=many[1:]), OPENLDAP).addresses) == MAX_ADDRESSES
    assert not logged
    assert len(account_from(entry(mail=many), OPENLDAP).addresses) == MAX_ADDRESSES
    assert "is refused" in logged[0]


def test_L25_unusable_addresses_are_told_once_for_an_entry(logged: list[str]) -> None:
    bad = [b"x%d\r\n" % n for n in range(2000)]
    account_from(entry(mail=[*bad, b"a@x.test"], proxyaddresses=[b"smtp:y"]), OPENLDAP)
    (line,) = logged
    assert "'count': 2001" in line and "x2" in line
    assert "x3" not in line


def test_an_account_may_have_no_address() -> None:
    account = account_from(entry(), OPENLDAP)
    assert (account.primary_address, account.addresses, account.login) == ("", (), "x")


def test_L4_the_login_is_the_same_whatever_the_order_of_values() -> None:
    one = account_from(entry(uid=[b"Zoe", b"anna"]), OPENLDAP)
    other = account_from(entry(uid=[b"anna", b"Zoe"]), OPENLDAP)
    assert one.login == other.login == "anna"
    assert account_from(entry(uid=[], mail=[b"Z@x.test"]), OPENLDAP).login == "z@x.test"


@pytest.mark.parametrize("uid", [b"a\nb", b" a", b"\xff", b"", b"x" * 300])
def test_L25_an_unusable_login_is_trouble_not_a_person(uid: bytes) -> None:
    with pytest.raises(DirectoryUnavailable):
        account_from(entry(uid=[uid]), OPENLDAP)


def test_the_id_is_written_in_one_way() -> None:
    account = account_from(entry(), OPENLDAP)
    assert account.account_id == UUID.decode().lower()


def test_L25_names_lose_control_characters_and_length() -> None:
    account = account_from(entry(cn=[b"A\r\nB\0\x1b[1m\xff" + b"x" * 5_000]), OPENLDAP)
    assert account.display_name.startswith("A B [1m\N{REPLACEMENT CHARACTER}xxx")
    assert len(account.display_name) == 200
    assert account_from(entry(cn=[b"cn"], displayname=[b"\0"]), OPENLDAP).display_name == "cn"


def test_a_locked_account_is_disabled_and_a_failed_login_does_not_lock() -> None:
    locked = entry(pwdaccountlockedtime=[b"000001010000Z"])
    assert not account_from(locked, OPENLDAP).enabled
    tried = entry(pwdaccountlockedtime=[b"20260101120000Z"])
    assert account_from(tried, OPENLDAP).enabled


def test_A9_foreign_text_is_escaped_and_cut() -> None:
    assert shown("a\r\n\x1b\u2028é") == "'a\\r\\n\\x1b\\u2028\\xe9'"
    assert shown(b"\xff\x00") == "'\\\\xff\\x00'"
    assert len(shown("x" * 10_000)) < 120
