"""The doctor at a directory in an LDIF file: the file, then the person in it.

Owns the order of looks. Reads the file anew, as the gateway does when it changes. Blocking: reading
and comparing a password take their time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.core.errors import SettingsError
from gateway.core.log_text import escaped
from gateway.core.settings.directory import DirectorySettings
from gateway.directory.dn import dn_key
from gateway.directory.doctor.entry import MOST, entries_found, filter_sent
from gateway.directory.doctor.mapping import mapped
from gateway.directory.doctor.person import Asked, Learnt
from gateway.directory.doctor.standing import UNTRIED, Tried, groups_told, state_told
from gateway.directory.doctor.step import Look, Step, Tell, skip
from gateway.directory.entries import Entry, links_of
from gateway.directory.ldap.results import Verdict
from gateway.directory.ldif.groups import FileGroups
from gateway.directory.ldif.people import People, Person, load_people
from gateway.directory.logins import login_is_possible, password_is_possible
from gateway.directory.passwords import Argon2, Clear, Digest, Scram, StoredPassword
from gateway.directory.schema import Schema
from gateway.wire.ldap.filters import Filter

_BEHIND = ("filter", "entries", "mapping", "state", "groups")


class InFile:
    """Args:
    name: of the directory in the settings; empty: the first one.
    """

    def __init__(
        self, name: str, section: DirectorySettings, schema: Schema, *, reactor: Any, tell: Tell
    ) -> None:
        self._name = name
        self._path = Path(section.path)
        self._schema = schema
        self._reactor = reactor
        self._tell = tell
        self._looks = 0

    async def ask(self, asked: Asked) -> Learnt:
        look = self._look("file", str(self._path))
        try:
            people, others = load_people(self._path, self._schema)
        except SettingsError as error:
            lines = [escaped(each) for each in error.problems[1:6]]
            first = error.problems[0]
            text = f"{first.source}: {first.key}: found {first.found}"
            self._tell(look.failed(escaped(text), f"expected {escaped(first.expected)}", lines))
            skip(_BEHIND, "", "no usable file", self._tell)
            return Learnt(self._name, answered=False, why_not="the file cannot be used")
        changed = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._path.stat().st_mtime))
        self._tell(look.ok(f"{len(people)} people; changed {changed}"))
        step = filter_sent(asked.login, self._schema, str(self._path), self._look("filter"))
        self._tell(step)
        if not login_is_possible(asked.login):
            return Learnt(self._name, True, why_not="nobody can have such a login")
        finds = _Finds(people, others)
        entry, step = await entries_found(
            asked.login, finds, self._schema, (), self._look("entries")
        )
        self._tell(step)
        if entry is None:
            dns = step.facts.get("dns", ())
            skip(_BEHIND[2:], "", "no entry to look at", self._tell)
            return Learnt(self._name, True, bool(dns), why_not=step.found)
        return await self._known(people, others, entry, asked)

    async def _known(
        self, people: People, others: Sequence[Entry], entry: Entry, asked: Asked
    ) -> Learnt:
        groups = FileGroups(people, others, self._schema)
        person = next(each for each in people if each.entry is entry)
        linked = {
            dn_key(each.dn): each
            for each in (await groups.named(links_of(entry, self._schema))).values()
        }
        look = self._look("mapping")
        account, step = mapped(entry, self._schema, linked, asked.own_domains, look)
        self._tell(step)
        if account is None:
            return Learnt(self._name, True, True, dn=entry.dn, why_not=step.found)
        self._tell(state_told(entry, account, self._schema, self._look("state")))
        look = self._look("groups")
        self._tell(await groups_told(account, entry, self._schema, groups, self._reactor, look))
        self._tell(self._form(person))
        tried = UNTRIED
        if asked.password is not None:
            tried, step = self._compared(person, asked.password)
            self._tell(step)
        elif not person.passwords:
            tried = Tried(Verdict.WRONG, "the entry has no password")
        return Learnt(self._name, True, True, account, entry.dn, tried=tried)

    def _look(self, name: str, about: str = "") -> Look:
        return Look(name, about, self._reactor.seconds)

    def _form(self, person: Person) -> Step:
        look = self._look("password form")
        forms = [_form(each) for each in person.passwords]
        if not forms:
            advice = "put one into userPassword, such as `slappasswd -h {ARGON2}` makes"
            return look.failed("the entry has no password", advice)
        if any(isinstance(each, Clear) for each in person.passwords):
            return look.warning(
                f"kept {', '.join(forms)}", "keep a hash: whoever reads the file has the password"
            )
        return look.ok(f"kept {', '.join(forms)}")

    def _compared(self, person: Person, password: bytes) -> tuple[Tried, Step]:
        look = self._look("password")
        possible = password_is_possible(password)
        if possible and any(each.verify(password) for each in person.passwords):
            if not person.account.enabled or person.account.locked:
                words = f"right, but {person.account.condition}"
                advice = "look at the entry's state above"
                return Tried(Verdict.WRONG, words), look.failed(words, advice)
            return Tried(Verdict.RIGHT), look.ok("right")
        return Tried(Verdict.WRONG, "wrong password"), look.failed(
            "wrong password", "type it again, or change userPassword in the file"
        )


class _Finds:
    """Implements ``entry.Finds``."""

    def __init__(self, people: People, others: Sequence[Entry]) -> None:
        self._people = people

    async def entries(self, wanted: Filter, attributes: Sequence[str]) -> list[Entry]:
        return [each.entry for each in self._people.find(wanted)[:MOST]]


def _form(password: StoredPassword) -> str:
    match password:
        case Clear():
            return "in clear"
        case Digest(algorithm):
            return f"as a salted or plain {algorithm}"
        case Argon2():
            return "as Argon2"
        case Scram():
            return "as a SCRAM verifier"
    return "in some form"
