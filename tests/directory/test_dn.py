"""Distinguished names as keys (RFC 4514)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.directory.dn import dn_key, without_uid


@pytest.mark.parametrize(
    "other",
    [
        "UID=Alice,OU=people,DC=example,DC=test",
        "uid = alice , ou = people,dc=example, dc=test",
        "uid=\\61lice,ou=people,dc=example,dc=test",
        "uid=alice;ou=people;dc=example;dc=test",
        "uid=al\\ice,ou=people,dc=example,dc=test",
    ],
)
def test_spellings_of_one_name_are_one_key(other: str) -> None:
    assert dn_key(other) == dn_key("uid=alice,ou=people,dc=example,dc=test")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cn=a\\,ou=b,dc=test", "cn=a,ou=b,dc=test"),
        ("cn=a\\2cou=b,dc=test", "cn=a,ou=b,dc=test"),
        ("cn=a\\+sn=b,dc=test", "cn=a+sn=b,dc=test"),
        ("cn=a\\\\,dc=test", "cn=a,dc=test"),
        ("cn=a,dc=test", "cn=a,dc=test,dc=test"),
        ("cn=a", "cn=a,"),
    ],
)
def test_different_names_stay_different(one: str, other: str) -> None:
    assert dn_key(one) != dn_key(other)


def test_escaped_separators_are_the_same_however_they_are_escaped() -> None:
    assert dn_key("cn=Doe\\, Jane,dc=test") == dn_key("cn=doe\\2C jane,dc=test")
    assert dn_key("cn=M\\C3\\BCller,dc=test") == dn_key("cn=Müller,dc=test")
    assert dn_key("cn=a\\=b,dc=test") == dn_key("cn=a=b,dc=test")


def test_a_bit_string_behind_a_unique_member_is_no_part_of_the_name() -> None:
    assert without_uid("cn=a,dc=test#'0101'B") == "cn=a,dc=test"
    assert without_uid("cn=a#b,dc=test") == "cn=a#b,dc=test"


@given(st.text(max_size=60))
def test_any_text_gives_a_key_and_always_the_same(text: str) -> None:
    assert dn_key(text) == dn_key(text)


def test_a_long_text_takes_no_long_time() -> None:
    for character in ("\\", ",", "=", "a", "\\,", "+="):
        assert isinstance(dn_key(character * 20_000), str)
