"""An account as a Maildir that Dovecot serves with the same UIDs, or any mail program reads.

Owns names of files and folders, and Dovecot's lists: UIDs with UIDVALIDITY and POP3 names, keywords
and subscriptions. Lines end in LF, as is usual in Maildirs; a line feed that stood alone in a
message cannot be told from the others afterwards.

Each message is synced before it gets its name in ``cur``; a folder's list is written last. Once a
server has served the export and written lists of its own, nothing is added to it any more.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.core.ids import AccountId
from gateway.core.mailboxes import SEPARATOR, Mailbox
from gateway.transfer import dovecot_uidlist
from gateway.transfer.dovecot_uidlist import BadUidList, unique_part
from gateway.transfer.exporting import INBOX, OutgoingMessage, TargetFailed
from gateway.transfer.octets import with_lf
from gateway.transfer.own_directory import (
    DIRECTORY_MODE,
    FILE_MODE,
    OwnDirectory,
    fitted_part,
    replace_file,
    sync_directory,
)
from gateway.wire.imap import mutf7

_LETTERS = {
    "\\draft": "D",
    "\\flagged": "F",
    "$forwarded": "P",
    "\\answered": "R",
    "\\seen": "S",
    "\\deleted": "T",
}
_OWN_NAME = re.compile(r"\d+\.V(\d+)U(\d+)\.mail-gateway\Z")
_LONE_LF = re.compile(rb"(?<!\r)\n")
SYNCED_AT_ONCE = 16
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_PARTS = ("cur", "new", "tmp")


class MaildirTarget:
    """Keeps the port Target."""

    def __init__(self, path: Path, layout: Literal["maildir++", "fs"]) -> None:
        self._own = OwnDirectory(path, f"maildir {layout}")
        self._layout = layout

    def begin(self, account_id: AccountId) -> None:
        self._own.begin(account_id)

    def open(self, mailbox: Mailbox) -> MaildirFolder:
        place = self._place(mailbox)
        path = self._own.path / place
        for directory in reversed([path, *path.parents]):
            if directory.is_relative_to(self._own.path) and not directory.exists():
                directory.mkdir(DIRECTORY_MODE)
                sync_directory(directory.parent)
        for part in _PARTS:
            (path / part).mkdir(DIRECTORY_MODE, exist_ok=True)
        if self._layout == "maildir++" and mailbox.name != INBOX:
            replace_file(path / "maildirfolder", b"")
        sync_directory(path)
        return MaildirFolder(path, place, mailbox)

    def finish(self, subscribed: Sequence[str]) -> None:
        separator = "." if self._layout == "maildir++" else SEPARATOR
        lines = [
            separator.join(_encoded(part) for part in name.split(SEPARATOR)) + "\n"
            for name in subscribed
        ]
        replace_file(self._own.path / "subscriptions", "".join(lines).encode())

    def _place(self, mailbox: Mailbox) -> str:
        """The folder's path below the root; two mailboxes never share one."""
        if mailbox.name == INBOX:
            return "."
        parts = [_encoded(part) for part in mailbox.name.split(SEPARATOR)]
        if self._layout == "maildir++":
            place = fitted_part("." + ".".join(part.replace(".", "_") for part in parts))
        else:
            place = "/".join(fitted_part(_not_special(part)) for part in parts)
        return self._own.place_of(mailbox, place)


@dataclass(frozen=True, slots=True)
class _Unsynced:
    """A message that is written, but would not survive a power cut yet."""

    uid: int
    fd: int
    temporary: Path
    final: Path
    name: str


class MaildirFolder:
    """Keeps the port TargetFolder."""

    def __init__(self, path: Path, place: str, mailbox: Mailbox) -> None:
        self.place = place
        self._path = path
        self._mailbox = mailbox
        self._files: dict[int, str] = {}
        for part in ("cur", "new"):
            for name in os.listdir(path / part):  # noqa: PTH208 - names alone are wanted
                found = _OWN_NAME.match(unique_part(name))
                if found and int(found[1]) == mailbox.uid_validity:
                    self._files[int(found[2])] = re.split(":2,", name)[0]
        self._letters = {
            keyword.casefold(): letter
            for letter, keyword in dovecot_uidlist.parse_keywords(
                _lines(path / "dovecot-keywords")
            ).items()
        }
        self._keywords = {letter: keyword for keyword, letter in self._letters.items()}
        self._left_out: Counter[str] = Counter()
        self._uidls = self._earlier_uidls()
        self._unsynced: list[_Unsynced] = []
        self._syncing = ThreadPoolExecutor(SYNCED_AT_ONCE, "maildir-sync")

    def _earlier_uidls(self) -> dict[int, str]:
        """POP3 names in the list of the export before. Raises: TargetFailed."""
        lines = _lines(self._path / "dovecot-uidlist")
        if not lines:
            return {}
        try:
            earlier = dovecot_uidlist.parse(lines)
        except BadUidList as error:
            raise TargetFailed(f"{self._path}/dovecot-uidlist is damaged: {error}") from error
        own = {unique_part(name): uid for uid, name in self._files.items()}
        if earlier.uid_validity != self._mailbox.uid_validity or any(
            own.get(name, listed.uid) != listed.uid or not _OWN_NAME.match(name)
            for name, listed in earlier.messages.items()
        ):
            raise TargetFailed(
                f"{self._path} has been used by a mail server since, or was another mailbox then;"
                " export to a new directory"
            )
        return {listed.uid: listed.uidl for listed in earlier.messages.values()}

    def present(self) -> Collection[int]:
        return frozenset(self._files)

    def add(self, message: OutgoingMessage, chunks: Iterable[bytes]) -> None:
        unique = (
            f"{max(message.internal_date, 0)}.V{self._mailbox.uid_validity}U{message.uid}"
            ".mail-gateway"
        )
        temporary = self._path / "tmp" / unique
        fd = os.open(temporary, NEW_FILE, FILE_MODE)
        try:
            size = lone = 0
            with os.fdopen(fd, "wb", closefd=False) as file:
                ends_in_cr = False
                for chunk in with_lf(chunks):
                    file.write(chunk)
                    size += len(chunk)
                    lone += len(_LONE_LF.findall(chunk)) - (ends_in_cr and chunk[:1] == b"\n")
                    ends_in_cr = chunk.endswith(b"\r") if chunk else ends_in_cr
            os.utime(fd, (message.internal_date, message.internal_date))
        except BaseException:
            os.close(fd)
            with suppress(OSError):
                temporary.unlink()
            raise
        # Dovecot trusts both sizes: as stored, and with CRLF.
        name = f"{unique},S={size},W={size + lone}"
        final = self._path / "cur" / f"{name}:2,{self._info(message)}"
        self._unsynced.append(_Unsynced(message.uid, fd, temporary, final, name))
        self._uidls[message.uid] = message.uidl
        if len(self._unsynced) >= 4 * SYNCED_AT_ONCE:
            self._settle()

    def _settle(self) -> None:
        """Give the messages their names, each after its sync; many syncs at once share a disk's.

        Raises: OSError.
        """
        for _ in self._syncing.map(os.fsync, [one.fd for one in self._unsynced]):
            pass
        for one in self._unsynced:
            one.temporary.rename(one.final)
            self._files[one.uid] = one.name
        self._drop()

    def _drop(self) -> None:
        waiting, self._unsynced = self._unsynced, []
        for one in waiting:
            os.close(one.fd)
            if one.uid not in self._files:
                with suppress(OSError):
                    one.temporary.unlink()

    def _info(self, message: OutgoingMessage) -> str:
        letters = set()
        for flag in message.flags:
            folded = flag.casefold()
            if folded in _LETTERS:
                letters.add(_LETTERS[folded])
            if not flag.startswith("\\"):
                letters.add(self._letter(flag))
        return "".join(sorted(letters))

    def _letter(self, keyword: str) -> str:
        """A Maildir knows 26 keywords a folder; the rest cannot be told in it."""
        folded = keyword.casefold()
        if folded not in self._letters:
            if len(self._letters) >= dovecot_uidlist.MAX_KEYWORDS:
                self._left_out[keyword] += 1
                return ""
            letter = chr(ord("a") + len(self._letters))
            self._letters[folded] = letter
            self._keywords[letter] = keyword
        return self._letters[folded]

    def finish(self) -> None:
        self._settle()
        sync_directory(self._path / "cur")
        if self._keywords:
            text = dovecot_uidlist.render_keywords(self._keywords)
            replace_file(self._path / "dovecot-keywords", text.encode())
        validity = self._mailbox.uid_validity
        guid = hashlib.sha256(f"{self._mailbox.mailbox_id}.{validity}".encode()).hexdigest()[:32]
        rows = [(uid, self._uidls.get(uid, ""), name) for uid, name in sorted(self._files.items())]
        # A message may have come since the mailbox was looked at.
        uid_next = max(self._mailbox.uid_next, max(self._files, default=0) + 1)
        text = dovecot_uidlist.render(validity, uid_next, guid, rows)
        replace_file(self._path / "dovecot-uidlist", text.encode())

    def left_out(self) -> str:
        if not self._left_out:
            return ""
        shown = ", ".join(f"{name} ({count:,})" for name, count in self._left_out.most_common(20))
        more = len(self._left_out) - 20
        return (
            f"a Maildir has room for {dovecot_uidlist.MAX_KEYWORDS} keywords; left out (messages):"
            f" {shown}" + (f" and {more} more keywords" if more > 0 else "")
        )

    def close(self) -> None:
        self._drop()
        self._syncing.shutdown()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []


def _encoded(part: str) -> str:
    return mutf7.encode(part).decode("ascii")


def _not_special(part: str) -> str:
    """In a tree of directories, names with a dot in front and a Maildir's own mean other things."""
    return "_" + part if part.startswith(".") or part in _PARTS else part
