"""The form of trace records in the table ``traces``, and how records are found in a row.

Owns encoding, the bound on a record, and the hashes of keys. A row's records are lines, as they are
or compressed::

    record  = LF id US time US kind US fields US *( key US )     ; fields in JSON
    records = 1*record / ( "z" zlib-of-records )
    keys    = *hash                                              ; ascending, 4 octets each

JSON has escaped every control character, and keys hold none, so nothing that a stranger chose ends
a record or a part of it (SECURITY A9). A row without hashes is a fresh one: its records are looked
at themselves, which spares every delivery the hashing.

Limits: MAX_FIELDS octets of fields; what does not fit is cut, longest lists first, and says so.
"""

from __future__ import annotations

import json
import sys
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import to_json

from gateway.core.trace import MAX_KEYS, FieldValue, TraceRecord, looked_for, search_key

MAX_FIELDS = 4096
MAX_UNPACKED = 256 * 1024 * 1024
_CUTS = ((500, 40), (200, 10), (60, 4))
"""Characters to a text and entries to a list, tried until the fields are short enough."""
_PACKED = b"z"
_LEVEL = 6
_US = "\x1f"

_dump_by_escapes = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def encode(record: TraceRecord) -> bytes:
    """One line. Raises: TypeError, ValueError (a field holds what is no text, number or list)."""
    fields = _dump(record.fields)
    if len(fields) > MAX_FIELDS:
        fields = _cut(record.fields)
    keys = record.keys
    if not record.trace_id.islower():
        keys = (*keys, search_key(record.trace_id))
    joined = _US.join(keys)
    if len(keys) > MAX_KEYS or "\n" in joined or joined.count(_US) != max(0, len(keys) - 1):
        joined = _US.join(search_key(key) for key in keys[:MAX_KEYS])
    begin = f"\n{record.trace_id}{_US}{record.at:.3f}{_US}{record.kind}{_US}"
    end = f"{_US}{joined}{_US}" if joined else _US
    return begin.encode("utf-8", "replace") + fields + end.encode("utf-8", "replace")


def decode(line: bytes) -> TraceRecord:
    """What ``encode`` made; the line feed may be missing. Raises: ValueError."""
    trace_id, at, kind, fields, *keys = line.decode("utf-8").lstrip("\n").split(_US)
    shown = json.loads(fields)
    if not isinstance(shown, dict):
        raise ValueError("not a record")
    return TraceRecord(trace_id, float(at), kind, tuple(keys[:-1]), shown)


def _dump(fields: Mapping[str, FieldValue]) -> bytes:
    """JSON. Pydantic's writer takes a quarter of the time of the standard library's, and there is
    one record to a message."""
    try:
        return to_json(fields)
    except ValueError:  # half a surrogate pair, which UTF-8 cannot say and an escape can
        return _dump_by_escapes(fields).encode("ascii")


def _cut(fields: Mapping[str, FieldValue]) -> bytes:
    for characters, entries in _CUTS:
        text = _dump({name: _shorter(value, characters, entries) for name, value in fields.items()})
        if len(text) <= MAX_FIELDS:
            return text
    short = {name: value for name, value in fields.items() if not isinstance(value, list)}
    names = list(short)[:20]
    text = _dump({name[:40]: _shorter(short[name], 60, 4) for name in names} | {"cut": True})
    return text if len(text) <= MAX_FIELDS else b'{"cut":true}'


def _shorter(value: FieldValue, characters: int, entries: int) -> FieldValue:
    if isinstance(value, str):
        return _shorter_text(value, characters)
    if not isinstance(value, list):
        return value
    more = len(value) - entries
    texts: list[str] = []
    tables: list[dict[str, str]] = []
    for one in value[:entries]:
        if isinstance(one, str):
            texts.append(_shorter_text(one, characters))
        else:
            tables.append(
                {name: _shorter_text(text, characters) for name, text in list(one.items())[:20]}
            )
    if more > 0 and tables:
        tables.append({"more": str(more)})
    elif more > 0:
        texts.append(f"... and {more} more")
    return tables or texts


def _shorter_text(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 3]}..."


# -- rows


def lines_in(records: bytes) -> Iterator[bytes]:
    """The lines of a row's records. Raises: ValueError."""
    yield from unpack(records).split(b"\n")[1:]


def unpack(records: bytes) -> bytes:
    """Raises: ValueError."""
    if not records.startswith(_PACKED):
        return records
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(memoryview(records)[1:], MAX_UNPACKED)
    except zlib.error as error:
        raise ValueError(f"records cannot be unpacked: {error}") from None
    if not unpacking.eof:
        raise ValueError("records cannot be unpacked: they do not end")
    return text


@dataclass(frozen=True, slots=True)
class PackedRow:
    """Many records in the form in which they are kept for long."""

    keys: bytes
    records: bytes


def pack(records: Sequence[bytes]) -> PackedRow:
    """Join rows that are fresh ones, in their order."""
    text = b"".join(records)
    return PackedRow(key_hashes(text), _PACKED + zlib.compress(text, _LEVEL))


def key_hashes(text: bytes) -> bytes:
    """The hashes of all that these records, unpacked, are found by."""
    hashes: set[int] = set()
    for line in text.split(b"\n")[1:]:
        trace_id, *parts = line.split(b"\x1f")
        hashes.add(zlib.crc32(_family(trace_id)))
        hashes.update(map(zlib.crc32, parts[3:-1]))
    found = array("I", sorted(hashes))
    if sys.byteorder == "big":
        found.byteswap()
    return found.tobytes()


def hashes_in(keys: bytes) -> array[int]:
    """Raises: ValueError."""
    found = array("I")
    found.frombytes(keys)
    if sys.byteorder == "big":
        found.byteswap()
    return found


def _any_in(looked_for: Collection[int], keys: bytes) -> bool:
    """Whether one of them is among a row's hashes. Raises: ValueError."""
    hashes = hashes_in(keys)
    for one in looked_for:
        at = bisect_left(hashes, one)
        if at < len(hashes) and hashes[at] == one:
            return True
    return False


def _family(trace_id: bytes) -> bytes:
    """What a message's id and its connection's have in common."""
    return trace_id.rpartition(b"-")[0] or trace_id


class Term:
    """What somebody looks for: an id, or a key of any kind."""

    def __init__(self, text: str) -> None:
        self.key = looked_for(text)
        octets = self.key.encode("utf-8", "replace")
        self._hashes = {zlib.crc32(octets), zlib.crc32(_family(octets))}
        self._needles = (
            b"\n%b\x1f" % octets,
            b"\n%b-" % octets,
            b"\x1f%b\x1f" % octets,
        )

    def may_be_in(self, keys: bytes) -> bool:
        """Whether a row with these hashes has to be looked into. Raises: ValueError, TypeError
        (they are none)."""
        if not keys:
            return True
        return _any_in(self._hashes, keys)

    def records_in(self, records: bytes) -> Iterator[TraceRecord]:
        """Those that it finds, in their order. Raises: ValueError."""
        text = unpack(records)
        begins: set[int] = set()
        for needle in self._needles:
            at = text.find(needle)
            while at >= 0:
                begins.add(text.rfind(b"\n", 0, at + 1))
                at = text.find(needle, at + 1)
        for begin in sorted(begins):
            end = text.find(b"\n", begin + 1)
            record = decode(text[begin + 1 :] if end < 0 else text[begin + 1 : end])
            if self._finds(record):
                yield record

    def is_id_of(self, trace_id: str) -> bool:
        return trace_id == self.key or trace_id.startswith(f"{self.key}-")

    def _finds(self, record: TraceRecord) -> bool:
        return self.key in record.keys or self.is_id_of(record.trace_id)


class Ids:
    """Whole ids of messages, to find all that is told of them."""

    def __init__(self, ids: Collection[str]) -> None:
        self._ids = frozenset(one.encode("utf-8", "replace") for one in ids)
        self._hashes = {zlib.crc32(_family(one)) for one in self._ids}

    def may_be_in(self, keys: bytes) -> bool:
        """As ``Term``'s."""
        return not keys or _any_in(self._hashes, keys)

    def records_in(self, records: bytes) -> Iterator[TraceRecord]:
        """In their order. Raises: ValueError."""
        for line in lines_in(records):
            if line.partition(b"\x1f")[0] in self._ids:
                yield decode(line)
