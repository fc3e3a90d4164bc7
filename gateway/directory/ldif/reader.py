"""Reads LDIF content records (RFC 2849) into entries; every mistake with its line number.

Owns the syntax: folded lines, comments, base64, repeated attributes. Never reads change records
or values from URLs (``attr:< file:…``): a people file holds content. Knows no schema.

Limits: MAX_FILE_OCTETS; the first MAX_PROBLEMS mistakes are reported.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.core.errors import SettingsError, SettingsProblem
from gateway.core.log_text import shown
from gateway.directory.entries import Entry

MAX_FILE_OCTETS = 64 * 1024 * 1024
MAX_PROBLEMS = 20

# RFC 2849: AttributeDescription = AttributeType [";" options]
_ATTRIBUTE = re.compile(rb"[A-Za-z0-9][A-Za-z0-9.-]*(?:;[A-Za-z0-9-]+)*\Z")


@dataclass(frozen=True, slots=True)
class Record:
    """An entry and the number of its first line, 1-based."""

    entry: Entry
    line: int


class _Mistake(Exception):
    def __init__(self, line: int, found: str, expected: str) -> None:
        super().__init__(found)
        self.line = line
        self.found = found
        self.expected = expected


def read_ldif(data: bytes, source: str) -> list[Record]:
    """All records of a file.

    Args:
        source: name of the file for messages.

    Raises:
        SettingsError: with all mistakes found.
    """
    records: list[Record] = []
    problems: list[SettingsProblem] = []
    for number, block in enumerate(_blocks(data)):
        try:
            record = _record(block, first=number == 0)
        except _Mistake as mistake:
            problems.append(problem(source, mistake.line, mistake.found, mistake.expected))
            if len(problems) >= MAX_PROBLEMS:
                break
        else:
            if record is not None:
                records.append(record)
    if problems:
        raise SettingsError(problems)
    return records


def problem(source: str, line: int, found: str, expected: str) -> SettingsProblem:
    return SettingsProblem(source=source, key=f"line {line}", found=found, expected=expected)


Line = tuple[int, bytes]


def _blocks(data: bytes) -> Iterator[list[Line]]:
    """Records as lists of unfolded lines without comments, with their numbers."""
    block: list[Line] = []
    in_comment = False
    if data.startswith(b"\xef\xbb\xbf"):  # editors on Windows put it there
        data = data[3:]
    for number, raw in enumerate(data.split(b"\n"), 1):
        line = raw[:-1] if raw.endswith(b"\r") else raw
        if line.startswith(b" "):
            # RFC 2849 note 2: a line that begins with one space continues the line before it.
            if in_comment:
                continue
            if block:
                start, text = block[-1]
                block[-1] = (start, text + line[1:])
                continue
        in_comment = line.startswith(b"#")
        if in_comment:
            continue
        if line.strip(b" \t"):
            block.append((number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _record(block: list[Line], first: bool) -> Record | None:
    if first and block[0][1].lower().startswith(b"version:"):
        number, line = block.pop(0)
        if line.partition(b":")[2].strip() != b"1":
            raise _Mistake(number, shown(line), "version: 1")
        if not block:
            return None
    start, line = block[0]
    name, value = _attribute(start, line)
    if name != "dn":
        # Never the whole line: after a stray empty line it may be a password.
        raise _Mistake(start, f"{name}:", "a record that begins with dn:")
    try:
        dn = value.decode("utf-8")
    except UnicodeDecodeError:
        raise _Mistake(start, shown(value), "a DN in UTF-8") from None
    attributes: dict[str, list[bytes]] = {}
    for number, line in block[1:]:
        name, value = _attribute(number, line)
        if name == "dn":
            raise _Mistake(number, "a second dn:", "an empty line between two records")
        if name == "changetype":
            raise _Mistake(number, "changetype:", "content records; changes are not read here")
        attributes.setdefault(name, []).append(value)
    if not attributes:
        raise _Mistake(start, "a dn without attributes", "at least one attribute")
    return Record(Entry(dn, attributes), start)


def _attribute(number: int, line: bytes) -> tuple[str, bytes]:
    """Name in lower case and value of ``name: value`` or ``name:: base64``."""
    name, colon, rest = line.partition(b":")
    if not colon or not _ATTRIBUTE.match(name):
        # Never the line itself: it may be a piece of a password.
        raise _Mistake(number, "a line without an attribute name", "attribute: value")
    text = name.decode("ascii")
    if rest.startswith(b"<"):
        raise _Mistake(number, f"{text}:< (a value from a URL)", "the value itself")
    if not rest.startswith(b":"):
        # RFC 2849: value-spec = ":" FILL SAFE-STRING; blanks at the end belong to the value.
        return text.lower(), rest.lstrip(b" ")
    try:
        return text.lower(), base64.b64decode(rest[1:].strip(b" "), validate=True)
    except binascii.Error:
        raise _Mistake(number, f"{text}:: without valid base64", "base64") from None
