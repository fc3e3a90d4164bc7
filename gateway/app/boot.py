"""How a child process learns what it is to do, and that its parent is gone.

A child is ``python -m MODULE FD``. Descriptor FD is an unnamed file with one JSON object, which may
hold secrets: they are in no argument, no environment and no directory. Descriptor 0 is a Unix
socket to the parent, which ends when the parent does; what is said there, if anything, is between
the two. Descriptors 1 and 2 lead into the parent's log (``log.begin_child_log``).
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

PARENT = 0
"""The descriptor of the line to the parent."""


def boot_file(boot: Mapping[str, Any]) -> int:
    """A descriptor from which one child reads ``boot``; the caller closes it."""
    content = json.dumps(boot).encode("ascii")
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("gateway-boot", os.MFD_CLOEXEC)
    else:  # no Linux: a file without a name
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    try:
        with os.fdopen(os.dup(fd), "wb") as writing:
            writing.write(content)
        os.lseek(fd, 0, os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_boot() -> dict[str, Any]:
    """In the child: what the parent gave. Once only, as the descriptor is closed."""
    with os.fdopen(int(sys.argv[1]), "rb") as file:
        boot: dict[str, Any] = json.load(file)
    return boot


def parent_line() -> socket.socket:
    """In the child: the socket to the parent; descriptor 0 becomes /dev/null."""
    line = socket.socket(fileno=os.dup(PARENT))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, PARENT)
    os.close(nothing)
    os.set_inheritable(line.fileno(), False)
    return line


def parent_gone(timeout_s: float) -> bool:
    """In a child that is told nothing on the line: wait up to ``timeout_s`` for the parent's end.

    Use either this or ``parent_line``.
    """
    readable, _, _ = select.select([PARENT], [], [], timeout_s)
    return bool(readable) and not os.read(PARENT, 1)
