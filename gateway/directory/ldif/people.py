"""The people of one version of an LDIF file, in memory and indexed.

Owns a snapshot: it never changes, so it is read from the reactor while a thread makes the next
one. Searches take the same filters as a server and answer with all that match, in file order.

An entry without the id attribute gets an id derived from its first login (or, without one, its
DN): the same as long as that stays the same. Renaming such a person makes a new mailbox; give them
an entryUUID to avoid that. A file without people is a mistake, as it is what a copy that has only
begun looks like. Limits: see ``ldif_reader``.
"""

from __future__ import annotations

import os
import uuid
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.core.account import Account
from gateway.core.errors import DirectoryUnavailable, SettingsError, SettingsProblem
from gateway.core.ids import AccountId
from gateway.core.log_text import shown
from gateway.core.login_secret import LoginSecret, SecretKind
from gateway.directory.dn import dn_key
from gateway.directory.entries import Entry, account_from, account_id_from
from gateway.directory.ldif.reader import MAX_FILE_OCTETS, Record, problem, read_ldif
from gateway.directory.passwords import (
    BadPasswordValue,
    Clear,
    Scram,
    StoredPassword,
    Verifier,
    stored_password,
)
from gateway.directory.schema import Schema
from gateway.directory.scram_values import verifier_in
from gateway.wire.ldap.filters import (
    And,
    Equal,
    Filter,
    FilterSyntax,
    Or,
    matches,
    normalised,
    values,
)

Signature = tuple[int, int, int, int]
"""Modification and change time in ns, size and inode: differs when the file was changed, replaced,
or made readable again (which only the change time tells)."""


@dataclass(frozen=True, slots=True)
class Person:
    """Args:
    read: the account as it was when the file was read.
    others: all entries of the file, by ``dn_key``.
    """

    entry: Entry
    read: Account
    passwords: tuple[StoredPassword, ...] = field(repr=False)
    schema: Schema = field(repr=False)
    others: Mapping[str, Entry] = field(default_factory=dict, repr=False)

    @property
    def account(self) -> Account:
        """As it is by now: time ends accounts and locks though the file is the same."""
        until = self.read.state_until
        if not until or self.schema.wall_clock() < until:
            return self.read
        return account_from(self.entry, self.schema, self.others)

    def secret(self) -> LoginSecret:
        """What of the person's passwords tells more than right or wrong."""
        clear = next((each.password for each in self.passwords if isinstance(each, Clear)), None)
        scram = next((each.verifier for each in self.passwords if isinstance(each, Scram)), None)
        return LoginSecret(self.account, clear, scram)


def _kinds(persons: Sequence[Person]) -> frozenset[SecretKind]:
    values = [value for person in persons for value in person.passwords]
    if any(isinstance(value, Clear) for value in values):
        return frozenset((SecretKind.PASSWORD, SecretKind.SCRAM))
    scram = any(isinstance(value, Scram) for value in values)
    return frozenset((SecretKind.SCRAM,)) if scram else frozenset()


def _common(persons: Sequence[Person], kinds: frozenset[SecretKind]) -> frozenset[SecretKind]:
    secrets = [person.secret() for person in persons if person.passwords]
    return frozenset(kind for kind in kinds if all(secret.has(kind) for secret in secrets))


class People:
    """One version of the file."""

    def __init__(self, persons: Sequence[Person], schema: Schema, signature: Signature) -> None:
        self.signature = signature
        self.verifier = Verifier([value for person in persons for value in person.passwords])
        self._persons = tuple(persons)
        self._in_order: list[Person] | None = None
        self._by_id = {person.read.account_id: person for person in persons}
        self._index: dict[tuple[str, str], list[Person]] = {}
        self._indexed = {
            name.lower()
            for name in (
                *schema.login_attributes,
                *schema.address_attributes,
                *schema.prefixed_address_attributes,
                *filter(None, (schema.certificate_attribute,)),
            )
        }
        for person in persons:
            for name in self._indexed:
                for value in dict.fromkeys(values(person.entry.attributes, name)):
                    self._index.setdefault((name, value), []).append(person)

        self.secret_kinds = _kinds(self._persons)
        self.common_secret_kinds = _common(self._persons, self.secret_kinds)

    def __len__(self) -> int:
        return len(self._persons)

    def with_id(self, account_id: AccountId) -> Account | None:
        person = self._by_id.get(account_id)
        return person.account if person is not None else None

    def shared_addresses(self) -> list[str]:
        """Addresses that more than one person has, and that therefore reach nobody (L5)."""
        owners = Counter(
            address for person in self._persons for address in set(person.account.addresses)
        )
        return sorted(address for address, count in owners.items() if count > 1)

    def __iter__(self) -> Iterator[Person]:
        return iter(self._persons)

    def page(self, after: str, limit: int) -> list[Account]:
        """In the order of their ids, beginning behind ``after``."""
        if self._in_order is None:
            self._in_order = sorted(self._persons, key=_id)
        begin = bisect_right(self._in_order, after, key=_id)
        return [person.account for person in self._in_order[begin : begin + limit]]

    def find(self, wanted: Filter) -> list[Person]:
        """Everybody who matches, each once."""
        candidates = self._candidates(wanted)
        if candidates is None:
            candidates = self._persons
        unique = {id(person): person for person in candidates}
        return [person for person in unique.values() if matches(wanted, person.entry.attributes)]

    def _candidates(self, wanted: Filter) -> Sequence[Person] | None:
        """A superset of the matches from the index; None when only a scan can tell."""
        match wanted:
            case Equal(attribute, value) if attribute.lower() in self._indexed:
                return self._index.get((attribute.lower(), normalised(value)), ())
            case Or(operands):
                found: list[Person] = []
                for operand in operands:
                    part = self._candidates(operand)
                    if part is None:
                        return None
                    found += part
                return found
            case And(operands):
                for operand in operands:
                    part = self._candidates(operand)
                    if part is not None:
                        return part
        return None


def _id(person: Person) -> str:
    return person.read.account_id


def signature_of(status: os.stat_result) -> Signature:
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


def load_people(path: Path, schema: Schema) -> tuple[People, list[Entry]]:
    """Read the file: its people, and the entries that are none. Blocking.

    Raises:
        SettingsError: the file cannot be read or used; with all mistakes found.
    """
    source = str(path)
    try:
        with path.open("rb") as file:
            signature = signature_of(os.fstat(file.fileno()))
            data = file.read(MAX_FILE_OCTETS + 1)
            changed = signature_of(os.fstat(file.fileno())) != signature
    except OSError as error:
        raise SettingsError(
            [SettingsProblem(source, "file", error.strerror or str(error), "a readable LDIF file")]
        ) from error
    if len(data) > MAX_FILE_OCTETS:
        limit = f"at most {MAX_FILE_OCTETS} octets"
        raise SettingsError([SettingsProblem(source, "file", f"{len(data)} or more", limit)])
    if changed:
        found = "it was written to while it was read"
        raise SettingsError([SettingsProblem(source, "file", found, "a complete file, moved here")])
    problems: list[SettingsProblem] = []
    persons: list[Person] = []
    others: list[Entry] = []
    lines: dict[str, int] = {}
    records = list(read_ldif(data, source))
    everything = {dn_key(record.entry.dn): record.entry for record in records}
    for record in records:
        try:
            if not matches(schema.person, record.entry.attributes):
                others.append(record.entry)
                continue
        except FilterSyntax as error:
            expected = "a filter of =, =*, substrings, &, | and !"
            raise SettingsError(
                [SettingsProblem(source, "person filter", str(error), expected)]
            ) from error
        persons += _person(record, schema, source, everything, problems)
        if len(persons) > len(lines):
            account_id = persons[-1].account.account_id
            first = lines.setdefault(account_id, record.line)
            if first != record.line:
                found = f"{schema.id_attribute} {account_id} of line {first} again"
                problems.append(problem(source, record.line, found, "an id of its own"))
                persons.pop()
    if not persons and not problems:
        # Never an empty directory by accident: a truncated file, or a filter for another schema.
        expected = f"at least one entry that matches {schema.person}"
        problems.append(SettingsProblem(source, "file", "no people", expected))
    if problems:
        raise SettingsError(problems)
    return People(persons, schema, signature), others


def _person(
    record: Record,
    schema: Schema,
    source: str,
    everything: Mapping[str, Entry],
    problems: list[SettingsProblem],
) -> Iterator[Person]:
    """The person in a record, or nothing and an addition to ``problems``."""
    entry = record.entry
    passwords: list[StoredPassword] = []
    for value in entry.attributes.get("userpassword", ()):
        try:
            passwords.append(stored_password(value))
        except BadPasswordValue as error:
            found = f"userPassword of {shown(entry.dn)}: {error}"
            problems.append(problem(source, record.line, found, "a password or its hash"))
            return
    # RFC 5803: values of other schemes may stand there as well, which are no use here.
    name = schema.secret_attribute or "authPassword"
    verifier = verifier_in(entry.attributes.get(name.lower(), ()))
    if verifier is not None:
        passwords.append(Scram(verifier))
    entry = _with_id(entry, schema)
    try:
        account = account_from(entry, schema, everything)
    except DirectoryUnavailable as error:
        found = f"{shown(entry.dn)}: {error.fields['reason']}"
        expected = f"one {schema.id_attribute} (or none) and a login"
        problems.append(problem(source, record.line, found, expected))
        return
    yield Person(entry, account, tuple(passwords), schema, everything)


def _with_id(entry: Entry, schema: Schema) -> Entry:
    name = schema.id_attribute.lower()
    if entry.attributes.get(name) or account_id_from(entry, schema) is not None:
        return entry
    logins = values(entry.attributes, schema.login_attributes[0])
    seed = f"{schema.login_attributes[0]}={logins[0]}" if logins else normalised(entry.dn)
    derived = str(uuid.uuid5(uuid.NAMESPACE_X500, seed))
    return Entry(entry.dn, {**entry.attributes, name: (derived.encode("ascii"),)})
