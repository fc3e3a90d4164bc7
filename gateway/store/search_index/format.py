"""What a search file holds, and how it is opened.

Owns the tables, the versions, and the packing of posting lists.

- ``runs``: up to 65,536 messages of one mailbox, ascending by UID; a message's number in its run is
  its place among them. Runs of a mailbox do not overlap.
- ``postings``: for each run and word, the numbers of the messages that hold the word. The key is
  ``word_id * COLUMNS + column``. Word 0 stands for messages of which not all words are kept.
- ``words`` and ``grams``: the words of the account, and which of them hold three given characters.
- ``mailboxes``: all messages of a mailbox up to the watermark are in its runs, or are gone. Under
  one UIDVALIDITY, UIDs are given in ascending order, so nothing appears below it later.

A posting list is a bit per message where that is shorter than two octets per number. Behind it, and
behind a run's UIDs, is a CRC-32 with what they belong to, so that octets which changed on the disk
are noticed before they answer anything. A file of
another version, byte order or Unicode version (which tells letters from others) is never read.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import unicodedata
import zlib
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import compress
from pathlib import Path

from gateway.core.ids import AccountId
from gateway.store.files import PRIVATE

SUBJECT, FROM, TO, CC, HEADER, BODY = range(6)
COLUMNS = 8
"""Keys per word; room for two more columns."""

INCOMPLETE = 0
"""The word of messages that hold more words than are kept."""

MOST_DOCUMENTS = 65_536
"""Of one run: numbers take two octets."""

_APPLICATION = 0x47577378
_VERSION = 2
_CHECKPOINT_PAGES = 4_000
_LOG_OCTETS = 16 * 1024 * 1024
_BUSY_TIMEOUT_S = 10.0
WRITER_CACHE_KIB = 16 * 1024
READER_CACHE_KIB = 8 * 1024

_TABLES = (
    """CREATE TABLE about (
        account_id TEXT NOT NULL,
        unicode TEXT NOT NULL,
        dropped INTEGER NOT NULL
    )""",
    """CREATE TABLE mailboxes (
        mailbox_id INTEGER NOT NULL PRIMARY KEY,
        uid_validity INTEGER NOT NULL,
        watermark INTEGER NOT NULL
    )""",
    """CREATE TABLE runs (
        run_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        mailbox_id INTEGER NOT NULL,
        first_uid INTEGER NOT NULL,
        documents INTEGER NOT NULL,
        uids BLOB NOT NULL
    )""",
    "CREATE INDEX runs_by_mailbox ON runs (mailbox_id, first_uid, documents)",
    """CREATE TABLE postings (
        run_id INTEGER NOT NULL,
        key INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (run_id, key)
    ) WITHOUT ROWID""",
    "CREATE TABLE words (word_id INTEGER NOT NULL PRIMARY KEY, word TEXT NOT NULL UNIQUE)",
    """CREATE VIRTUAL TABLE grams USING fts5 (
        word, content = 'words', content_rowid = 'word_id',
        tokenize = 'trigram case_sensitive 1', detail = none, columnsize = 0
    )""",
)


class NotOurs(Exception):
    """The file is damaged, foreign, or of another version."""


def _user_version() -> int:
    return _VERSION * 2 + (sys.byteorder == "big")


def open_writer(path: Path, account_id: AccountId) -> sqlite3.Connection:
    """The writing connection to an account's file, made if it is missing.

    Raises:
        NotOurs: remove the file, and open it again.
        sqlite3.Error, OSError
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE))
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
    with _closed_on_error(connection):
        connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise NotOurs
        # A power cut may undo the last transactions, which are then done again; it damages nothing.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_OCTETS}")
        connection.execute("PRAGMA temp_store = MEMORY")
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
            _make(connection, account_id)
        if _account_of(connection) != account_id:
            raise NotOurs
    return connection


def _make(connection: sqlite3.Connection, account_id: AccountId) -> None:
    with transaction(connection):
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO about (account_id, unicode, dropped) VALUES (?, ?, 0)",
            (account_id, unicodedata.unidata_version),
        )
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {_user_version()}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk may have ended it
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads, in a transaction: it sees the file as it is now.

    Raises:
        FileNotFoundError: nothing is indexed yet.
        NotOurs
        sqlite3.Error
    """
    if not path.exists():
        raise FileNotFoundError(path)
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro",
        uri=True,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
    )
    with _closed_on_error(connection):
        connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("BEGIN")
        _account_of(connection)
    return connection


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.Error) and is_damage(error):
            raise NotOurs from error
        raise


_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT", "SQLITE_ERROR")


BROKEN = (sqlite3.Error, NotOurs, ValueError, TypeError, IndexError, OverflowError)
"""What working with a file may raise; ``is_damage`` tells."""


def is_damage(error: Exception) -> bool:
    """Whether the file is to blame, not the disk's space or the like.

    Our statements have no mistakes, so a general error (a table is missing) comes from the file,
    and so do posting lists that do not fit their runs.
    """
    if not isinstance(error, sqlite3.Error):
        return isinstance(error, BROKEN)
    name = getattr(error, "sqlite_errorname", "")
    if not name:  # the sqlite3 module's own, for text that is not UTF-8
        return isinstance(error, sqlite3.OperationalError)
    return name.startswith(_DAMAGE) and name != "SQLITE_ERROR_SNAPSHOT"


def _account_of(connection: sqlite3.Connection) -> AccountId:
    """Whose file it is. Raises: NotOurs, sqlite3.Error."""
    found = (
        connection.execute("PRAGMA application_id").fetchone()[0],
        connection.execute("PRAGMA user_version").fetchone()[0],
    )
    if found != (_APPLICATION, _user_version()):
        raise NotOurs
    row = connection.execute("SELECT account_id, unicode FROM about").fetchone()
    if row is None or row[1] != unicodedata.unidata_version:
        raise NotOurs
    return AccountId(row[0])


def account_of(path: Path) -> AccountId:
    """Whose file it is. Raises: NotOurs, FileNotFoundError, sqlite3.Error."""
    connection = open_reader(path)
    try:
        return _account_of(connection)
    finally:
        connection.close()


# -- posting lists

_SEAL_OCTETS = 4


def sealed(data: bytes, belongs_to: int) -> bytes:
    """Octets with their checksum, which holds for one key or run only."""
    return data + _seal(data, belongs_to)


def unsealed(data: bytes, belongs_to: int) -> bytes:
    """The octets without it. Raises: NotOurs."""
    content = data[:-_SEAL_OCTETS]
    if data[-_SEAL_OCTETS:] != _seal(content, belongs_to):
        raise NotOurs("checksum")
    return content


def _seal(content: bytes, belongs_to: int) -> bytes:
    return zlib.crc32(content, belongs_to & 0xFFFFFFFF).to_bytes(_SEAL_OCTETS, "little")


def pack(numbers: list[int], documents: int) -> bytes:
    """Ascending numbers below ``documents`` as octets."""
    bitmap_octets = (documents + 7) // 8
    if 2 * len(numbers) < bitmap_octets:
        return array("H", numbers).tobytes()
    return to_bits(numbers, documents).to_bytes(bitmap_octets, "little")


def unpack(data: bytes, documents: int) -> Iterable[int]:
    """The numbers, ascending."""
    if len(data) < (documents + 7) // 8:
        return array("H", data)
    return positions(int.from_bytes(data, "little"), documents)


_TO_DIGITS = bytes([48, 49]) + bytes(254)
_FROM_DIGITS = bytes(49) + b"\1" + bytes(206)


def to_bits(numbers: Iterable[int], size: int) -> int:
    """An integer with these bits set, all below ``size``."""
    marked = bytearray(size)
    for number in numbers:
        marked[number] = 1
    marked.reverse()
    return int(bytes(marked).translate(_TO_DIGITS), 2) if size else 0


def marks(bits: int, size: int) -> bytes:
    """An octet per bit, the lowest first: 1 where it is set."""
    return f"{bits:0{size}b}".encode("ascii")[::-1].translate(_FROM_DIGITS) if size else b""


def positions(bits: int, size: int) -> Iterable[int]:
    """Which bits are set, ascending."""
    return compress(range(size), marks(bits, size))
