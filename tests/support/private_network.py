"""A network of the test's own, where addresses and port 25 of other hosts can be had at will.

Programs and threads started inside live there; nothing of it is visible outside, nor the other way
round. Needs the right to make network namespaces (root); the test is skipped by name otherwise.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.programs import need, run

_CLONE_NEWNET = 0x40000000  # unshare(2)


@contextmanager
def private_network(*addresses: str) -> Iterator[None]:
    """This thread, inside the block, in a network with loopback and these addresses alone.

    With a prefix (``192.0.2.1/24``) all addresses of that network are had.
    """
    ip = need("ip")
    libc = ctypes.CDLL(None, use_errno=True)
    # /proc/thread-self: a namespace belongs to the thread, and only this one changes.
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(_CLONE_NEWNET) != 0:
            pytest.skip(f"no network namespace: {os.strerror(ctypes.get_errno())}")
        try:
            run([ip, "link", "set", "lo", "up"])
            for address in addresses:
                had = address if "/" in address else f"{address}/32"
                run([ip, "address", "add", had, "dev", "lo"])
            yield
        finally:
            if libc.setns(outside, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "cannot leave the private network")
    finally:
        os.close(outside)
