"""The POP3 lock on an account's maildrop (RFC 1939 section 8), held over all processes.

In memory first, for sessions of this process, then as a record lock on one file, for those of
others. Both are gone with the process, and hinder nothing but another POP3 session (SECURITY P5).
Reactor thread only; never waits.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from gateway.core.errors import MaildropInUse, StoreUnavailable
from gateway.core.ids import AccountId
from gateway.store import record_locks
from gateway.store.files import PRIVATE
from gateway.store.layout import Layout


class Maildrops:
    """The maildrops that this process has locked."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.maildrops
        self._fd = -1
        self._held: set[AccountId] = set()

    def lock(self, account_id: AccountId) -> Callable[[], None]:
        """Returns what releases it, once.

        Raises:
            MaildropInUse: another session has it.
            StoreUnavailable: the lock file cannot be used.
        """
        if account_id in self._held:
            raise MaildropInUse()
        try:
            if self._fd < 0:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
            if not record_locks.try_lock(self._fd, account_id):
                raise MaildropInUse()
        except OSError as error:
            raise StoreUnavailable(maildrop_lock=error.strerror) from error
        self._held.add(account_id)
        held = [True]

        def release() -> None:
            if held:
                held.clear()
                self._release(account_id)

        return release

    def close(self) -> None:
        """Releases what is still locked."""
        self._held.clear()
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _release(self, account_id: AccountId) -> None:
        if account_id in self._held:
            self._held.discard(account_id)
            with contextlib.suppress(OSError):
                record_locks.unlock(self._fd, account_id)
