"""An mbox file, or a tree of them (``mail/``, Thunderbird's ``Name`` beside ``Name.sbd/``).

Owns which files are mailboxes, and the header lines in which mbox programs keep their state (flags,
UIDs, what is deleted but not compacted yet): they become flags and are left out of the message.
Only reads, under a shared lock that mail programs and delivery agents respect.

A message is known by a digest of its octets without that state, and by how many equal ones came
before it in the file; so a second run finds only what is new, whatever was flagged or removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gateway.core.messages import Flags
from gateway.transfer.mbox_split import Dialect, RawMessage, separator_date, split
from gateway.transfer.names import decoded, fitted
from gateway.transfer.octets import header_date, with_crlf
from gateway.transfer.untrusted import (
    DIRECTORY,
    names_in,
    open_below,
    open_plain,
    printable,
    refusal,
)
from gateway.transfer.values import (
    PIECE_OCTETS,
    Item,
    Known,
    Message,
    MessageFailed,
    Opened,
    Rename,
    SourceFailed,
    SourceFolder,
    Trouble,
)

MAX_DEPTH = 30
STATE = re.compile(
    rb"(status|x-status|x-keywords|x-uid|x-imap|x-imapbase|content-length|x-mozilla-status2?"
    rb"|x-mozilla-keys)[ \t]*:[ \t]*",
    re.IGNORECASE,
)
_LETTERS = {"R": "\\Seen", "A": "\\Answered", "F": "\\Flagged", "D": "\\Deleted", "T": "\\Draft"}
_MOZILLA = {0x1: "\\Seen", 0x2: "\\Answered", 0x4: "\\Flagged", 0x1000: "$Forwarded"}
_MOZILLA_EXPUNGED = 0x8
_MAX_UID = 2**32 - 1


@dataclass(frozen=True, slots=True)
class MboxOptions:
    """What an administrator knows of the files.

    Args:
        into: the mailbox of a single file.
        origin: names the source instead of its path, for files that have moved.
    """

    dialect: Dialect = "auto"
    into: str = "INBOX"
    origin: str = ""


@dataclass(slots=True)
class _State:
    """What the state lines of one message say."""

    flags: set[str]
    uid: int = 0
    uid_validity: int = 0
    is_deleted: bool = False
    is_internal: bool = False  # "DON'T DELETE THIS MESSAGE", which holds the folder's state only


class MboxSource:
    """Keeps the port Source."""

    def __init__(self, path: Path, options: MboxOptions, rename: Rename) -> None:
        self.origin = printable(options.origin or f"mbox:{path.resolve()}")
        self._path = path
        self._options = options
        self._rename = rename
        self._paths: dict[str, str] = {}

    def close(self) -> None:
        return

    def folders(self) -> Sequence[SourceFolder | Trouble]:
        try:
            if not self._path.is_dir():
                folder = decoded(self._path.name)
                self._paths[folder] = ""
                return [SourceFolder(folder, self._rename(self._options.into))]
            root_fd = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SourceFailed(f"{self._path}: {error.strerror}") from error
        try:
            found = list(self._tree(root_fd, (), MAX_DEPTH))
        finally:
            os.close(root_fd)
        if not found:
            raise SourceFailed(f"{self._path}: no file in it begins as an mbox does")
        return found

    def _tree(
        self, root_fd: int, above: tuple[str, ...], depth: int
    ) -> Iterator[SourceFolder | Trouble]:
        """Below the directory whose path has the parts ``above``."""
        try:
            fd = open_below(root_fd, "/".join((".", *above)), DIRECTORY)
        except OSError as error:
            yield Trouble(printable("/".join(above)), refusal(error))
            return
        try:
            names = names_in(fd)
        finally:
            os.close(fd)
        for name in names:
            path = "/".join((*above, name))
            try:
                kind = os.stat(path, dir_fd=root_fd, follow_symlinks=False).st_mode
                is_mbox = stat.S_ISREG(kind) and _begins_as_mbox(root_fd, path)
            except (OSError, MessageFailed) as error:
                if not name.startswith("."):
                    yield Trouble(printable(path), refusal(error))
                continue
            if stat.S_ISLNK(kind):
                yield Trouble(printable(path), "a symbolic link, which is not followed")
            elif name.startswith("."):
                continue
            elif stat.S_ISDIR(kind):
                if depth:
                    yield from self._tree(root_fd, (*above, name), depth - 1)
                else:
                    yield Trouble(printable(path), "too many levels")
            elif is_mbox:
                shown = printable(path)
                self._paths[shown] = path
                levels = [*(one.removesuffix(".sbd") for one in above), name]
                yield SourceFolder(shown, self._rename(fitted([decoded(one) for one in levels])))

    def open(
        self, folder: SourceFolder, known: frozenset[str], *, bodies: bool, flags: bool
    ) -> Opened:
        path = printable(str(self._path / self._paths[folder.folder]))
        try:
            fd = self._open(self._paths[folder.folder])
        except OSError as error:
            raise MessageFailed(f"{path}: {refusal(error)}") from error
        file = os.fdopen(fd, "rb", PIECE_OCTETS)
        try:
            # Both kinds, as programs use one or the other; the end of the file is the end of both.
            fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            reader = _FileReader(file, self._options.dialect)
            uid_validity = reader.uid_validity()
        except BlockingIOError:
            file.close()
            raise MessageFailed(f"{path}: another program is writing to it; try again") from None
        except OSError as error:
            file.close()
            raise MessageFailed(f"{path}: {error.strerror}") from error
        return Opened(reader.items(known), reader.size_octets, "octets", uid_validity=uid_validity)

    def _open(self, path: str) -> int:
        """Raises: OSError, MessageFailed."""
        if not path:  # the administrator's own word, so it may be a link
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            if stat.S_ISREG(os.fstat(fd).st_mode):
                return fd
            os.close(fd)
            raise MessageFailed("it is no plain file")
        root_fd = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return open_plain(root_fd, path)
        finally:
            os.close(root_fd)


class _FileReader:
    """One file's messages; owns the file."""

    def __init__(self, file: IO[bytes], dialect: Dialect) -> None:
        self._file = file
        found = os.fstat(file.fileno())
        self.size_octets = found.st_size
        self._mtime = int(found.st_mtime)
        self._dialect = dialect

    def uid_validity(self) -> int:
        """From the first message, where programs that give UIDs keep it; 0 if there is none."""
        for raw in split(self._file, self.size_octets, self._dialect):
            raw.content.close()
            state, _ = _parted(raw.header)
            self._file.seek(0)
            return state.uid_validity
        self._file.seek(0)
        return 0

    def items(self, known: frozenset[str]) -> Iterator[Item]:
        before = 0
        last_uid = 0
        occurrences: dict[bytes, int] = {}
        with self._file:
            for raw in split(self._file, self.size_octets, self._dialect):
                share, before = raw.end - before, raw.end
                with raw.content:
                    state, header = _parted(raw.header)
                    if state.is_deleted or state.is_internal:
                        continue
                    if state.uid <= last_uid:
                        state.uid = 0  # not ascending: it means nothing
                    last_uid = max(last_uid, state.uid)
                    yield self._item(raw, state, header, occurrences, known, share)
            if before < self.size_octets:
                yield from self._rest(before)

    def _item(
        self,
        raw: RawMessage,
        state: _State,
        header: bytes,
        occurrences: dict[bytes, int],
        known: frozenset[str],
        share: int,
    ) -> Item:
        digest = hashlib.sha256()
        size = 0
        for piece in _octets(header, raw.content):
            digest.update(piece)
            size += len(piece)
        name = digest.digest()[:16]
        occurrences[name] = occurrences.get(name, 0) + 1
        key = f"{name.hex()}.{occurrences[name]}"
        flags = Flags(state.flags)
        if key in known:
            return Known(state.uid, flags, share)
        date = separator_date(raw.from_line)
        if date is None:
            date = header_date(header)
        return Message(
            key,
            flags,
            self._mtime if date is None else date,
            _octets(header, raw.content),
            size,
            state.uid,
            share=share,
        )

    def _rest(self, offset: int) -> Iterator[Item]:
        """What the splitter stopped at: nothing but blank lines, or this is no mbox."""
        self._file.seek(offset)
        if self._file.read(PIECE_OCTETS).strip():
            what = f"octet {offset:,} and what follows"
            yield Trouble(what, "no line there begins a message as mbox files do")


def _begins_as_mbox(root_fd: int, path: str) -> bool:
    """Also true of an empty folder of Thunderbird's. Raises: OSError, MessageFailed."""
    with os.fdopen(open_plain(root_fd, path), "rb") as file:
        start = file.read(4096).lstrip()
    if not start:
        try:
            os.stat(f"{path}.msf", dir_fd=root_fd, follow_symlinks=False)
        except OSError:
            return False
        return True
    return start.startswith(b"From ")


def _octets(header: bytes, content: IO[bytes]) -> Iterator[bytes]:
    """The message from its first octet; the header has its line ends already."""
    content.seek(0)
    yield header
    yield from with_crlf(iter(lambda: content.read(PIECE_OCTETS), b""))


def _parted(lines: Sequence[bytes]) -> tuple[_State, bytes]:
    """What the state lines say, and the header without them, with CRLF and the blank line."""
    state = _State(set())
    kept: list[bytes] = []
    is_state = False
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if not is_state:
                kept.append(line)
            continue
        found = STATE.match(line)
        is_state = found is not None
        if found is None:
            kept.append(line)
        else:
            value = line[found.end() :].decode("utf-8", "replace").strip()
            _note(state, found[1].lower().decode("ascii"), value)
    return state, b"".join(with_crlf([b"".join(kept)])) + b"\r\n"


def _note(state: _State, name: str, value: str) -> None:
    match name:
        case "status" | "x-status":
            state.flags |= {_LETTERS[letter] for letter in value if letter in _LETTERS}
        case "x-keywords" | "x-mozilla-keys":
            state.flags |= {word for word in value.split() if not word.startswith("\\")}
        case "x-uid":
            state.uid = _number(value)
        case "x-imap" | "x-imapbase":
            state.uid_validity = _number(value.split(" ", 1)[0])
            state.is_internal = name == "x-imap"
        case "x-mozilla-status":
            bits = int(value, 16) if re.fullmatch("[0-9A-Fa-f]{1,8}", value) else 0
            state.flags |= {flag for bit, flag in _MOZILLA.items() if bits & bit}
            state.is_deleted = bool(bits & _MOZILLA_EXPUNGED)
        case _:
            return


def _number(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
    return number if number <= _MAX_UID else 0
