"""Names of people taken out of what is passed on: the same name always becomes the same word.

Owns what counts as a name: mail addresses, DNs, and what is told beforehand to be one (logins,
names of people and groups, domains, addresses of clients). ``alice@example.com`` becomes
``person-1@domain-1`` wherever it stands, ``uid=alice,ou=people,dc=example,dc=com``
``uid=person-1,ou=name-1,dc=domain-1``. Host names within a known domain keep their first labels.
What is left is structure: attributes, filters, words, times, addresses of hosts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from gateway.core.log_text import escaped
from gateway.directory.dn import dn_key
from gateway.wire.ldap.filters import escape

_ADDRESS = re.compile(r"([^\s@<>()\[\]{}\"',;:=|&/\\]+)@((?:[\w-]+\.)*[\w-]+)")
_TYPE = r"[A-Za-z][A-Za-z0-9.-]*"
_VALUE = r"(?:\\[0-9A-Fa-f]{2}|\\.|[^\\,+=<>;\"'()\n\t])*[^\\,+=<>;\"'()\s]"
# A DN in a sentence: at least two RDNs, or values would be taken out of every "a = b".
# The last value has no blanks, as the sentence goes on behind it.
_LAST = r"(?:\\[0-9A-Fa-f]{2}|\\.|[^\\,+=<>;\"'()\s:])+"
_DN = re.compile(rf"(?:{_TYPE}={_VALUE}\s?[,+]\s?)+{_TYPE}={_LAST}")
_RDN = re.compile(rf"({_TYPE})=({_VALUE})")
_DC = re.compile(r"(?:,\s?)?dc=[^,+]*(?:,\s?dc=[^,+]*)*\Z", re.IGNORECASE)
_TAKEN_OUT = re.compile(r"(?:\A|\.)domain-\d+\Z")
SHORTEST = 2


class Redaction:
    """Remembers which word stands for which name."""

    def __init__(self) -> None:
        self._words: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self._literals: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None

    # -- what is known to be a name

    def domains(self, names: Iterable[str]) -> None:
        for name in names:
            self._domain(name)

    def person(self, *names: str) -> None:
        """All names of one person."""
        wanted = [each for each in names if len(each) >= SHORTEST]
        word = ""
        for name in wanted:
            local, at, domain = name.partition("@")
            word = word or self._word("person", local)
            self._words.setdefault(("person", local.casefold()), word)
            if at:
                self._domain(domain)
            self._literal(local if at else name, word)

    def other(self, kind: str, *names: str) -> None:
        """Such as a group, or an address of a client."""
        for name in names:
            if len(name) >= SHORTEST and "@" not in name:
                self._literal(name, self._word(kind, name))

    # -- taking them out

    def text(self, text: str) -> str:
        text = _DN.sub(lambda found: self._dn(found[0]), text)
        text = _ADDRESS.sub(lambda found: self._address(found[1], found[2]), text)
        if self._pattern is None:
            longest_first = sorted(self._literals, key=len, reverse=True)
            each = "|".join(map(re.escape, longest_first)) or r"(?!)"
            self._pattern = re.compile(rf"(?<![\w@-])(?:{each})(?![\w@-])", re.IGNORECASE)
        return self._pattern.sub(lambda found: self._literals[found[0].casefold()], text)

    def value(self, value: Any) -> Any:
        """JSON data, keys of objects included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each) for each in value]
        return value

    # -- words

    def _word(self, kind: str, name: str) -> str:
        key = (kind, name.casefold())
        if key not in self._words:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._words[key] = f"{kind}-{self._counts[kind]}"
        return self._words[key]

    def _literal(self, name: str, word: str) -> None:
        for form in (name, escaped(name), escape(name)):
            self._literals.setdefault(form.casefold(), word)
        self._pattern = None

    def _domain(self, name: str) -> str:
        name = name.lower().rstrip(".")
        if _TAKEN_OUT.search(name):
            return name
        known = ("domain", name) in self._words
        # A name within a known domain stays within it.
        _, dot, above = name.partition(".")
        while dot and not known:
            if ("domain", above) in self._words:
                return name.removesuffix(above) + self._words["domain", above]
            _, dot, above = above.partition(".")
        word = self._word("domain", name)
        if not known and "." in name:
            self._literal(name, word)
            self._pattern = None
        return word

    def _address(self, local: str, domain: str) -> str:
        name, plus, tag = local.partition("+")
        person = self._words.get(("person", name.casefold())) or self._word("person", name)
        if re.fullmatch(r"person-\d+", name):
            person = name
        return f"{person}{'+tag' if plus and tag else plus}@{self._domain(domain)}"

    def _dn(self, dn: str) -> str:
        end = _DC.search(dn)
        tail = ""
        if end is not None:
            labels = [value for _, value in _RDN.findall(end[0])]
            tail = f"dc={self._domain('.'.join(labels))}" if labels else ""
            dn = dn[: end.start()]
        front = _RDN.sub(lambda rdn: f"{rdn[1]}={self._rdn(rdn[2])}", dn)
        return ",".join(filter(None, (front.rstrip(", "), tail)))

    def _rdn(self, value: str) -> str:
        plain = dn_key(f"x={value}").partition("=")[2]
        if re.fullmatch(r"(?:person|name|domain|group|id)-\d+", plain):
            return plain
        for kind in ("person", "group"):
            if (kind, plain) in self._words:
                return self._words[kind, plain]
        return self._literals.get(plain) or self._word("name", plain)
