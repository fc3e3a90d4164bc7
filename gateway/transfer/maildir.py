"""A Maildir, with folders in Maildir++ style (``.Work.2003``) or as a tree of directories (fs).

Owns which directories are folders, and where Dovecot's and Courier's lists of UIDs, keywords and
subscriptions are. Only reads, and may do so while a server works on the Maildir. What belongs to
people may be made by them to mislead; how it is opened is the business of ``untrusted``.

Files that are no messages (Courier's databases, Dovecot's indexes) lie beside ``new`` and ``cur``,
and ``tmp`` holds what is not there yet: none of it is looked at.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Literal

from gateway.transfer import dovecot_uidlist
from gateway.transfer.dovecot_uidlist import BadUidList, UidList
from gateway.transfer.maildir_folder import DateFrom, FolderReader, files_in
from gateway.transfer.names import decoded, fitted
from gateway.transfer.untrusted import (
    DIRECTORY,
    lines_of,
    names_in,
    open_below,
    printable,
    refusal,
)
from gateway.transfer.values import (
    MessageFailed,
    Opened,
    Rename,
    SourceFailed,
    SourceFolder,
    Trouble,
)

Layout = Literal["auto", "maildir++", "fs"]

MAX_DEPTH = 30
MAX_SUBSCRIPTIONS = 100_000
MAX_KEYWORD_LINES = 1_000
_DOVECOTS_UIDL = "%08Xu%08Xv"
_MAILDIR_PARTS = frozenset({"cur", "new", "tmp"})


@dataclass(frozen=True, slots=True)
class MaildirOptions:
    """What an administrator knows of the old server.

    Args:
        separator: between levels in the names of Maildir++ folders.
        uidl_format: Dovecot's ``pop3_uidl_format``, for INBOX; empty: its default, if the list is
            Dovecot's.
        control: where Dovecot's lists are, if not in the Maildir (CONTROL= of mail_location).
        origin: names the source instead of its path, for a Maildir that has moved.
    """

    layout: Layout = "auto"
    separator: str = "."
    uidl_format: str = ""
    date_from: DateFrom = "mtime"
    control: Path | None = None
    origin: str = ""


class MaildirSource:
    """One person's Maildir. Keeps the port Source."""

    def __init__(self, root: Path, options: MaildirOptions, rename: Rename) -> None:
        self.origin = printable(options.origin or f"maildir:{root.resolve()}")
        self._root = root
        self._options = options
        self._rename = rename
        self._paths: dict[str, str] = {}
        self._fd = _open_root(root)
        self._control_fd = self._fd if options.control is None else _open_root(options.control)

    def close(self) -> None:
        for fd in {self._fd, self._control_fd}:
            os.close(fd)

    # -- folders

    def folders(self) -> Sequence[SourceFolder | Trouble]:
        found: list[SourceFolder | Trouble] = []
        subscribed = self._subscriptions()
        if _is_maildir(self._fd):
            self._paths["."] = "."
            found.append(SourceFolder(".", self._rename("INBOX"), "INBOX" in subscribed))
        names = names_in(self._fd)
        layout = self._options.layout
        if layout == "auto":
            layout = "maildir++" if any(map(self._is_dotted_folder, names)) else "fs"
        if layout == "maildir++":
            paths: Iterator[str | Trouble] = iter(name for name in names if _is_dotted(name))
        else:
            paths = self._tree("", self._fd, MAX_DEPTH)
        for path in paths:
            folder = path if isinstance(path, Trouble) else self._folder(path, layout, subscribed)
            if folder is not None:
                found.append(folder)
        if not found:
            raise SourceFailed(
                f"{self._root} is no Maildir: neither it nor a directory in it has cur or new"
            )
        return found

    def _folder(
        self, path: str, layout: str, subscribed: frozenset[str]
    ) -> SourceFolder | Trouble | None:
        try:
            fd = open_below(self._fd, path, DIRECTORY)
        except OSError as error:
            return Trouble(printable(path), refusal(error))
        try:
            if not _is_maildir(fd):
                return None
        finally:
            os.close(fd)
        parts = path[1:].split(self._options.separator) if layout != "fs" else path.split("/")
        name = fitted([decoded(part) for part in parts])
        self._paths[printable(path)] = path
        return SourceFolder(printable(path), self._rename(name), name in subscribed)

    def _is_dotted_folder(self, name: str) -> bool:
        if not _is_dotted(name):
            return False
        return stat.S_ISLNK(_kind(self._fd, name)) or _has(self._fd, f"{name}/cur")

    def _tree(self, above: str, fd: int, depth: int) -> Iterator[str | Trouble]:
        try:
            names = names_in(fd)
        except OSError as error:
            yield Trouble(printable(above.rstrip("/") or "."), refusal(error))
            return
        for name in names:
            if name.startswith(".") or (name in _MAILDIR_PARTS and _is_maildir(fd)):
                continue
            kind = _kind(fd, name)
            path = f"{above}{name}"
            if stat.S_ISLNK(kind):
                yield Trouble(printable(path), "a symbolic link, which is not followed")
            if not stat.S_ISDIR(kind):
                continue
            if not depth:
                yield Trouble(printable(path), "too many levels")
                continue
            yield path
            try:
                below = os.open(name, DIRECTORY, dir_fd=fd)
            except OSError:
                continue  # whoever opens the folder says why
            try:
                yield from self._tree(f"{path}/", below, depth - 1)
            finally:
                os.close(below)

    def _subscriptions(self) -> frozenset[str]:
        try:
            lines = list(islice(lines_of(self._control_fd, "subscriptions"), MAX_SUBSCRIPTIONS))
        except MessageFailed:
            return frozenset()  # no mail server's
        if lines[:1] == ["V\t2"]:
            # Since Dovecot 2.3: levels parted by tabs.
            return frozenset(
                fitted([decoded(part) for part in line.split("\t")]) for line in lines[2:] if line
            )
        separator = "/" if self._options.layout == "fs" else self._options.separator
        return frozenset(
            fitted([decoded(part) for part in re.split(f"[/{re.escape(separator)}]", line)])
            for line in lines
            if line
        )

    # -- messages

    def open(
        self, folder: SourceFolder, known: frozenset[str], *, bodies: bool, flags: bool
    ) -> Opened:
        path = self._paths[folder.folder]
        try:
            fd = open_below(self._fd, path, DIRECTORY)
        except OSError as error:
            raise MessageFailed(refusal(error)) from error
        try:
            files = files_in(fd)
        except OSError as error:
            os.close(fd)
            raise MessageFailed(refusal(error)) from error
        uids, uidl_format, troubles = self._uid_list(path, files)
        try:
            lines = islice(self._control_lines(path, "dovecot-keywords"), MAX_KEYWORD_LINES)
            keywords = dovecot_uidlist.parse_keywords(lines)
        except MessageFailed as error:
            troubles.append(Trouble(printable(path), f"{error}; keywords are lost", share=0))
            keywords = {}
        reader = FolderReader(fd, files, uids, keywords, self._options.date_from, uidl_format)
        items = reader.items(troubles, known, bodies)
        if uids is None:
            return Opened(items, len(files))
        return Opened(items, len(files), uid_validity=uids.uid_validity, uid_next=uids.uid_next)

    def _uid_list(
        self, path: str, files: Container[str]
    ) -> tuple[UidList | None, str, list[Trouble]]:
        """The list if there is a good one, how POP3 names INBOX's messages, and what is wrong."""
        # Courier's has the form of Dovecot's first.
        for name, usual in (("dovecot-uidlist", _DOVECOTS_UIDL), ("courierimapuiddb", "")):
            uidl_format = (self._options.uidl_format or usual) if path == "." else ""
            try:
                lines = self._control_lines(path, name)
                first = next(lines, None)
                if first is None:
                    continue
                uids = dovecot_uidlist.parse(chain((first,), lines), files)
            except (BadUidList, MessageFailed) as error:
                trouble = Trouble(
                    f"{printable(path)}/{name}", f"{error}; messages get new UIDs", share=0
                )
                return None, "", [trouble]
            return uids, uidl_format, []
        return None, "", []

    def _control_lines(self, path: str, name: str) -> Iterator[str]:
        fd = self._control_fd
        if fd != self._fd and path == ".":
            # Dovecot's CONTROL= has a directory for INBOX as for every other folder.
            for place in (".INBOX", "INBOX", "."):
                if stat.S_ISREG(_kind(fd, f"{place}/{name}")):
                    return lines_of(fd, f"{place}/{name}")
        return lines_of(fd, f"{path}/{name}")


def _open_root(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SourceFailed(f"{path}: {error.strerror}") from error


def _kind(fd: int, path: str) -> int:
    """Its mode; 0 if it is gone or nobody may look at it."""
    try:
        return os.stat(path, dir_fd=fd, follow_symlinks=False).st_mode
    except OSError:
        return 0


def _has(fd: int, path: str) -> bool:
    """Also as a symbolic link: who opens it says that it is not followed."""
    kind = _kind(fd, path)
    return stat.S_ISDIR(kind) or stat.S_ISLNK(kind)


def _is_maildir(fd: int) -> bool:
    return _has(fd, "cur") or _has(fd, "new")


def _is_dotted(name: str) -> bool:
    return name.startswith(".") and len(name) > 1 and name != ".."
