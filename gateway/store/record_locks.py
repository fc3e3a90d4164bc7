"""Locks on single octets of a file, each standing for a name; gone with the process.

They belong to the open file, not to the process as the older kind does, so that two users inside
one process exclude each other too, and closing another descriptor of the file frees nothing. The
octet is a 63-bit hash of the name: two names that share one are not met in practice, and would only
exclude each other. Never waits.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import struct

_FLOCK = struct.Struct("hhqqi4x")  # struct flock with 64-bit offsets; the process number must be 0


def try_lock(fd: int, name: str) -> bool:
    """Lock the name; False when another user of the file has. Raises: OSError."""
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _request(fcntl.F_WRLCK, name))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def unlock(fd: int, name: str) -> None:
    """Raises: OSError."""
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _request(fcntl.F_UNLCK, name))


def is_locked(fd: int, name: str) -> bool:
    """Whether another user of the file has locked the name. Raises: OSError."""
    answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _request(fcntl.F_WRLCK, name))
    kind: int = _FLOCK.unpack(answer)[0]
    return kind != fcntl.F_UNLCK


def _request(kind: int, name: str) -> bytes:
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return _FLOCK.pack(kind, os.SEEK_SET, int.from_bytes(digest, "big") >> 1, 1, 0)
