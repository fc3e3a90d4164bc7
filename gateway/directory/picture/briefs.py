"""What the picture keeps of people and groups, as octets: made at the border, read in microseconds.

Owns both forms. ``brief`` is a person's Account, finished; groups and contacts have none. ``whole``
is the entry as it came, without secrets. Each begins with the number of its form, so that octets of
another version are as good as none: a person is made of the entry again, or the servers are asked,
until the next listing writes them anew. Never judges an entry; ``entries`` does that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from gateway.core.account import Account, Elsewhere
from gateway.core.address import Address
from gateway.core.errors import DirectoryMistake
from gateway.core.ids import AccountId
from gateway.core.ports.picture import EntryKind, KeyKind, PicturedEntry
from gateway.core.quota import NOTHING_SAID, Allowance
from gateway.directory.dn import dn_key
from gateway.directory.entries import (
    Entry,
    account_from,
    account_id_from,
    addresses_from,
)
from gateway.directory.groups.asking import is_contact, is_group
from gateway.directory.picture.keys import keys_of_group, keys_of_person
from gateway.directory.schema import Schema

FORM = "2"
WHOLE_FORM = "1"
_PASSWORDS = frozenset(("userpassword", "unicodepwd", "authpassword", "sambantpassword"))

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_decode = json.JSONDecoder().raw_decode


def brief_of(account: Account) -> bytes:
    """Of a person."""
    allowance, elsewhere = account.allowance, account.elsewhere
    primary = account.primary_address
    said = (
        account.account_id,
        account.login,
        None if account.addresses[:1] == (primary,) else primary,
        account.addresses,
        account.display_name,
        account.enabled,
        account.locked,
        account.condition,
        None
        if allowance == NOTHING_SAID
        else (allowance.octets, allowance.messages, allowance.unreadable),
        None if elsewhere is None else _elsewhere_said(elsewhere),
        account.state_until,
    )
    return f"{FORM}{_encode(said)}".encode()


def account_in(brief: bytes) -> Account | None:
    """None: of another form."""
    text = brief.decode()
    if not text.startswith(FORM):
        return None
    said = _decode(text, len(FORM))[0]
    account_id, login, primary, addresses, name, enabled, locked, condition = said[:8]
    bounds, away, state_until = said[8:]
    return Account(
        account_id,
        login,
        addresses[0] if primary is None else primary,
        tuple(addresses),
        name,
        enabled,
        locked,
        condition,
        NOTHING_SAID if bounds is None else Allowance(*bounds),
        None if away is None else _elsewhere_in(away),
        state_until,
    )


def whole_of(entry: Entry, schema: Schema) -> bytes:
    """Octets become characters one by one, as JSON has none."""
    secret = {*_PASSWORDS, schema.secret_attribute.lower()}
    said = {
        name: [value.decode("latin-1") for value in values]
        for name, values in entry.attributes.items()
        if name not in secret
    }
    return f"{WHOLE_FORM}{_encode((entry.dn, said))}".encode()


def entry_in(whole: bytes) -> Entry | None:
    """None: of another form."""
    text = whole.decode()
    if not text.startswith(WHOLE_FORM):
        return None
    dn, said = _decode(text, len(WHOLE_FORM))[0]
    attributes = {
        name: tuple([value.encode("latin-1") for value in values]) for name, values in said.items()
    }
    return Entry(dn, attributes)


class Depiction:
    """Makes of entries what the picture keeps of them, and accounts of that.

    Args:
        source: the name of the directory.
    """

    def __init__(self, source: str, schema: Schema) -> None:
        self._source = source
        self._schema = schema

    def pictured(self, entry: Entry) -> PicturedEntry:
        """An entry that a listing has brought.

        Raises:
            DirectoryMistake: it cannot be used; ``reason`` says why.
        """
        schema = self._schema
        if is_contact(entry, schema):
            contact_id = account_id_from(entry, schema) or dn_key(entry.dn)
            keys = ((KeyKind.DN, dn_key(entry.dn)),)
            whole = whole_of(entry, schema)
            return PicturedEntry(self._source, contact_id, EntryKind.CONTACT, b"", whole, keys)
        if schema.group is not None and is_group(entry, schema):
            addresses = addresses_from(entry, schema)
            group_id = account_id_from(entry, schema) or dn_key(entry.dn)
            return PicturedEntry(
                self._source,
                group_id,
                EntryKind.GROUP,
                b"",
                whole_of(entry, schema),
                keys_of_group(entry, addresses, schema),
            )
        account = account_from(entry, schema)
        return PicturedEntry(
            self._source,
            account.account_id,
            EntryKind.PERSON,
            brief_of(account),
            whole_of(entry, schema),
            keys_of_person(entry, account, schema),
        )

    def account(self, kept: PicturedEntry) -> Account:
        """Of a person; of one whose octets are another version's nothing but the id is known.

        Raises:
            DirectoryMistake: it is none.
        """
        if kept.kind is not EntryKind.PERSON:
            raise DirectoryMistake(
                reason=f"a {kept.kind.name.lower()} where a person is expected", id=kept.entry_id
            )
        account = account_in(kept.brief)
        if account is None:
            return Account(AccountId(kept.entry_id), "", "", ())
        return account


def _elsewhere_said(elsewhere: Elsewhere) -> tuple[object, ...]:
    return (
        elsewhere.host,
        elsewhere.next_hop,
        None if elsewhere.address is None else _parts(elsewhere.address),
        elsewhere.trouble,
        tuple(map(_parts, elsewhere.forwards)),
        elsewhere.keeps_copy,
    )


def _parts(address: Address) -> tuple[str, str]:
    return (address.local_part, address.domain)


def _elsewhere_in(said: Sequence[Any]) -> Elsewhere:
    host, next_hop, parts, trouble, forwards, keeps_copy = said
    address = None if parts is None else Address(*parts)
    copies = tuple(Address(*each) for each in forwards)
    return Elsewhere(host, next_hop, address, trouble, copies, keeps_copy)
