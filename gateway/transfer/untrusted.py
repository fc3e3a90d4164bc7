"""Files and directories that people may have made to mislead who reads them with more rights.

Owns how they are opened: below the place that was named no symbolic link is followed, nothing waits
for a pipe's other end, and only plain files are read. And how their names are shown.

Limits: MAX_LIST_OCTETS and MAX_LINE_OCTETS for a mail server's own lists.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from gateway.transfer.values import MessageFailed

PLAIN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_LIST_OCTETS = 1024 * 1024 * 1024
MAX_LINE_OCTETS = 64 * 1024


def open_below(root_fd: int, path: str, flags: int) -> int:
    """A directory or file with no symbolic link on the way to it. Raises: OSError."""
    *above, last = path.split("/")
    fd = os.open(".", DIRECTORY, dir_fd=root_fd)
    for part in above:
        try:
            below = os.open(part, DIRECTORY, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    try:
        return os.open(last, flags, dir_fd=fd)
    finally:
        os.close(fd)


def open_plain(root_fd: int, path: str) -> int:
    """A plain file. Raises: OSError, MessageFailed (it is none)."""
    fd = open_below(root_fd, path, PLAIN_FILE)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise MessageFailed("it is no plain file")


def names_in(fd: int) -> list[str]:
    """The names in a directory, in order. Raises: OSError."""
    with os.scandir(fd) as entries:
        return sorted(entry.name for entry in entries)


def lines_of(fd: int, path: str) -> Iterator[str]:
    """A text file's lines without their ends; none if it is not there or no plain file.

    What is no text goes through as it is. Raises: MessageFailed (it is too large, or no text).
    """
    try:
        file_fd = open_plain(fd, path)
    except (OSError, MessageFailed):
        return
    with os.fdopen(file_fd, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        if os.fstat(file_fd).st_size > MAX_LIST_OCTETS:
            raise MessageFailed(f"{printable(path)} has more than {MAX_LIST_OCTETS:,} octets")
        while line := file.readline(MAX_LINE_OCTETS):
            if len(line) == MAX_LINE_OCTETS:
                raise MessageFailed(f"{printable(path)} has lines without end")
            yield line.removesuffix("\n")


def printable(name: str) -> str:
    """A file's name as text that can be kept and shown; the same name always gives the same."""
    return os.fsencode(name.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")


def refusal(error: Exception) -> str:
    if isinstance(error, OSError):
        if error.errno in (errno.ELOOP, errno.ENOTDIR):  # what O_NOFOLLOW says of links
            return "a symbolic link, which is not followed"
        return error.strerror or str(error)
    return str(error)
