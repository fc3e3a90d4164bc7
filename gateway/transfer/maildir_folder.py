"""One folder of a Maildir: its files as messages, with what their names say.

Owns flags and keywords in file names, and the finding again of files that a server renames
meanwhile. Closes the folder's descriptor when its items end.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Literal

from gateway.core.messages import Flags
from gateway.transfer.dovecot_uidlist import Listed, UidList, uidl_by, unique_part
from gateway.transfer.octets import MAX_HEADER_OCTETS, header_date, unpacked, with_crlf
from gateway.transfer.untrusted import DIRECTORY, names_in, open_plain, printable, refusal
from gateway.transfer.values import Item, Known, Message, MessageFailed, Trouble

DateFrom = Literal["mtime", "name", "header"]

_INFO = re.compile(r"[:;!]2,([^,/]*)\Z")  # a colon is impossible on some file systems
_FLAGS = {
    "D": "\\Draft",
    "F": "\\Flagged",
    "P": "$Forwarded",  # "passed": resent, forwarded or bounced
    "R": "\\Answered",
    "S": "\\Seen",
    "T": "\\Deleted",
}


class FolderReader:
    """One folder's messages; owns the descriptor of its directory."""

    def __init__(
        self,
        fd: int,
        files: dict[str, str],
        uids: UidList | None,
        keywords: dict[str, str],
        date_from: DateFrom,
        uidl_format: str,
    ) -> None:
        self._fd = fd
        self._files = files
        self._uids = uids
        self._keywords = keywords
        self._date_from = date_from
        self._uidl_format = uidl_format
        self._uidls: set[str] = set()
        self._gone: set[str] = set()

    def items(
        self, troubles: Sequence[Trouble], known: frozenset[str], bodies: bool
    ) -> Iterator[Item]:
        yield from troubles
        listed = self._uids.messages if self._uids is not None else {}
        nothing = Listed(2**32)  # behind all others
        order = sorted(self._files, key=lambda key: (listed.get(key, nothing).uid, key))
        try:
            for key in order:
                entry = listed.get(key, Listed(0))
                if printable(key) in known:
                    self._uidl(key, entry)  # it is taken
                    yield Known(entry.uid, self._flags(self._files[key]))
                else:
                    yield from self._message(key, entry, bodies)
        finally:
            os.close(self._fd)

    def _message(self, key: str, entry: Listed, bodies: bool) -> Iterator[Item]:
        try:
            fd = self._open(key)
        except FileNotFoundError:
            yield Trouble(self._shown(key), "it went away while the folder was read")
            return
        except (OSError, MessageFailed) as error:
            yield Trouble(self._shown(key), refusal(error))
            return
        found = os.fstat(fd)
        with os.fdopen(fd, "rb") as file:
            try:
                date = self._date(key, found.st_mtime)
                if self._date_from == "header":
                    date = header_date(_start(fd)) or date
                chunks = with_crlf(unpacked(file)) if bodies else iter(())
            except (OSError, MessageFailed) as error:
                yield Trouble(self._shown(key), refusal(error))
                return
            yield Message(
                printable(key),
                self._flags(self._files[key]),
                date,
                chunks,
                found.st_size,
                entry.uid,
                self._uidl(key, entry),
            )

    def _open(self, key: str) -> int:
        try:
            return open_plain(self._fd, self._files[key])
        except FileNotFoundError:
            # A client has seen it or changed its flags: it has another name now. What is gone is
            # looked for once only, as the folder may be large.
            if key in self._gone:
                raise
            now = files_in(self._fd)
            self._gone = self._files.keys() - now.keys()
            self._files |= now
            return open_plain(self._fd, self._files[key])

    def _flags(self, path: str) -> Flags:
        info = _INFO.search(path)
        if info is None:
            return frozenset()
        flags = (_FLAGS.get(letter) or self._keywords.get(letter) for letter in info[1])
        return frozenset(flag for flag in flags if flag)

    def _date(self, key: str, mtime: float) -> int:
        named = re.match(r"\d{9,11}(?=\.)", key)
        if self._date_from == "name" and named:
            return int(named[0])
        return int(mtime)

    def _uidl(self, key: str, entry: Listed) -> str:
        """Two messages never have one name (RFC 1939 section 7)."""
        uidl = entry.uidl
        if not uidl and entry.uid and self._uids is not None and self._uidl_format:
            name = self._files[key].partition("/")[2]
            uidl = uidl_by(self._uidl_format, entry, self._uids.uid_validity, name)
        if uidl in self._uidls:
            return ""
        self._uidls.add(uidl)
        return uidl

    def _shown(self, key: str) -> str:
        return printable(self._files[key])


def files_in(fd: int) -> dict[str, str]:
    """Messages by the unique part of their names; what is in both is on its way to ``cur``.

    Names that differ in their sizes alone are different messages, each known by more of its name.
    Raises: OSError.
    """
    files: dict[str, str] = {}
    alike: list[str] = []
    for part in ("new", "cur"):
        try:
            directory = os.open(part, DIRECTORY, dir_fd=fd)
        except FileNotFoundError:
            continue
        try:
            for name in names_in(directory):
                if name.startswith("."):
                    continue
                key = unique_part(name)
                if key in files and _base(files[key]) != _base(name):
                    alike.append(f"{part}/{name}")
                else:
                    files[key] = f"{part}/{name}"
        finally:
            os.close(directory)
    for path in alike:
        other = files.pop(unique_part(path.partition("/")[2]), path)
        files |= {_base(other): other, _base(path): path}
    return files


def _base(path: str) -> str:
    return re.split(r"[:;!]2,", path.partition("/")[2] or path, maxsplit=1)[0]


def _start(fd: int) -> bytes:
    with os.fdopen(os.dup(fd), "rb") as file:
        header = next(unpacked(file), b"")[:MAX_HEADER_OCTETS]
    os.lseek(fd, 0, os.SEEK_SET)
    return header
