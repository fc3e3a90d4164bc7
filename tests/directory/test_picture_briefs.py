"""What the picture keeps comes back as it went in, and of other forms nothing does."""

from __future__ import annotations

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.account import Account, Elsewhere
from gateway.core.address import Address
from gateway.core.ids import AccountId
from gateway.core.quota import Allowance
from gateway.directory.entries import Entry
from gateway.directory.picture.briefs import (
    account_in,
    brief_of,
    entry_in,
    whole_of,
)
from gateway.directory.presets.openldap import OPENLDAP

FULL = Account(
    AccountId("id"),
    "login",
    "a@example.test",
    ("a@example.test", '"ö b"@example.test'),
    "Näme \u2713",
    enabled=False,
    locked=True,
    condition="expired on Monday",
    allowance=Allowance(5, None, "odd"),
    elsewhere=Elsewhere(
        "host",
        "smtp://host:25",
        Address("x", "y.test"),
        "trouble",
        (Address("f", "z.test"),),
        False,
    ),
    state_until=12.5,
)


def test_every_field_of_an_account_comes_back() -> None:
    plain = Account(AccountId("id"), "login", "", ())
    # A field that is new and not kept would have its default here, as in the plain one.
    different = [f.name for f in fields(Account) if getattr(FULL, f.name) == getattr(plain, f.name)]
    assert different == ["account_id", "login"]
    for account in (FULL, plain):
        assert account_in(brief_of(account)) == account
    assert account_in(b"0" + brief_of(FULL)[1:]) is None


@given(st.text(), st.dictionaries(st.text("abcdefgh;-=", min_size=1), st.lists(st.binary())))
def test_L25_an_entry_comes_back_whatever_octets_are_in_it(
    dn: str, attributes: dict[str, list[bytes]]
) -> None:
    entry = Entry(dn, {name: tuple(values) for name, values in attributes.items()})
    assert entry_in(whole_of(entry, OPENLDAP)) == entry


def test_no_secret_is_kept() -> None:
    names = ("userpassword", "unicodepwd", "authpassword", "sambantpassword")
    entry = Entry("dn", {"uid": (b"a",), **dict.fromkeys(names, (b"secret",))})
    kept = entry_in(whole_of(entry, OPENLDAP))
    assert kept == Entry("dn", {"uid": (b"a",)})
