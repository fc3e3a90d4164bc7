"""Dovecot's list of a Maildir's UIDs and POP3 names, and its list of keyword letters.

Owns the text forms of ``dovecot-uidlist`` and ``dovecot-keywords``, read and written, and of the
POP3 names that ``pop3_uidl_format`` makes. Version 3 of the list has extension fields, of which P
(the POP3 name) matters here; version 1 has none.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

# 3 V1275660208 N25 G3085f01b7f11094c501100008c4a11c1      1 1275660208 25
_FIELD = re.compile(r"[!-~]+")
_MAX_NUMBER = 2**32 - 1
_MAX_DIGITS = 20
MAX_KEYWORDS = 26


class BadUidList(ValueError):
    """The list contradicts itself; the text says where."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One message of the list."""

    uid: int
    uidl: str = ""
    guid: str = ""


@dataclass(slots=True)
class UidList:
    """A folder's list; ``messages`` by ``unique_part`` of their file names."""

    uid_validity: int
    uid_next: int
    messages: dict[str, Listed] = field(default_factory=dict)


def unique_part(file_name: str) -> str:
    """What names a message's file for ever: without flags and without sizes (``,S=``, ``,W=``)."""
    return re.split(r"[:;!]2,|:1,|,", file_name, maxsplit=1)[0]


def parse(lines: Iterable[str], wanted: Container[str] | None = None) -> UidList:
    """The list, or what it says of the messages that are ``wanted``.

    Raises: BadUidList.
    """
    numbered = enumerate(lines, start=1)
    _, head = next(numbered, (0, ""))
    version, *fields = head.split()[:8] or [""]
    if version == "1" and len(fields) >= 2:
        uid_validity, uid_next = _number(fields[0], 1), _number(fields[1], 1)
    elif version == "3":
        values = {one[0]: one[1:] for one in fields}
        uid_validity, uid_next = _number(values.get("V", ""), 1), _number(values.get("N", ""), 1)
    else:
        raise BadUidList(f"line 1 begins with {head[:20]!r}; versions 1 and 3 are known")
    found = UidList(uid_validity, uid_next)
    last = 0
    for number, line in numbered:
        text = line.rstrip("\n")
        if version == "3":
            known, separator, file_name = text.partition(":")
        else:
            known, separator, file_name = text.partition(" ")
        if not separator:
            continue  # a line that was being written
        first, *rest = known.split() or [""]
        uid = _number(first, number)
        if uid <= last:
            raise BadUidList(f"line {number}: UID {uid} does not ascend")
        last = uid
        key = unique_part(file_name)
        if wanted is None or key in wanted:
            values = {one[0]: one[1:] for one in rest}
            found.messages[key] = Listed(uid, values.get("P", ""), values.get("G", ""))
    found.uid_next = max(found.uid_next, last + 1)
    return found


def _number(text: str, line: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else 0
    if not 0 < number <= _MAX_NUMBER:
        raise BadUidList(f"line {line}: {text[:20]!r} is no UID")
    return number


def render(
    uid_validity: int, uid_next: int, guid: str, rows: Iterable[tuple[int, str, str]]
) -> str:
    """The list of version 3 for rows of UID, POP3 name (may be empty) and file name."""
    lines = [f"3 V{uid_validity} N{uid_next} G{guid}"]
    for uid, uidl, file_name in rows:
        name = f"P{uidl} " if _FIELD.fullmatch(uidl) else ""
        lines.append(f"{uid} {name}:{file_name}")
    return "\n".join(lines) + "\n"


def parse_keywords(lines: Iterable[str]) -> dict[str, str]:
    """Keywords by their letter in file names, from ``dovecot-keywords``."""
    letters: dict[str, str] = {}
    for line in lines:
        number, _, keyword = line.rstrip("\n").partition(" ")
        if re.fullmatch("[0-9]{1,3}", number) and int(number) < MAX_KEYWORDS and keyword:
            letters[chr(ord("a") + int(number))] = keyword
    return letters


def render_keywords(letters: Mapping[str, str]) -> str:
    """The file's text for keywords by letter."""
    return "".join(
        f"{ord(letter) - ord('a')} {keyword}\n" for letter, keyword in sorted(letters.items())
    )


_UIDL_FIELD = re.compile(r"%(0?\d*)([a-zA-Z]*?)([uvfgmM])")


def check_uidl_format(template: str) -> None:
    """Raises: ValueError, for variables that cannot be known here."""
    left = _UIDL_FIELD.sub(lambda found: "" if found[3] in "uvfg" else found[0], template)
    bad = re.search(r"%.{0,6}", left)
    if bad or not re.search(r"%0?\d*X?[ufg]", template):
        raise ValueError(
            f"{template!r}: expected Dovecot's pop3_uidl_format of %u, %v, %f and %g, such as"
            " %08Xu%08Xv"
        )


def uidl_by(template: str, listed: Listed, uid_validity: int, file_name: str) -> str:
    """What Dovecot's POP3 calls a message under ``pop3_uidl_format``."""
    base = re.split(r"[:;!]2,", file_name, maxsplit=1)[0]
    values = {"f": base, "g": listed.guid or base}
    numbers = {"u": listed.uid, "v": uid_validity}

    def shown(found: re.Match[str]) -> str:
        width, style, which = found[1], found[2], found[3]
        if which in values:
            return values[which]
        text = f"{numbers[which]:x}" if style.upper() == "X" else str(numbers[which])
        fill = "0" if width.startswith("0") else " "
        return text.rjust(int(width or 0), fill)

    return _UIDL_FIELD.sub(shown, template)
