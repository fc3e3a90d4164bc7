"""Holding a store: the lock that keeps a second gateway out, and putting the store in order.

Owns the order of a start: lock, directories, schema, what a crash left. Whoever holds a store need
not have it open: the parent of several processes holds it, and each of them joins it
(``Store.join``). Never reads or writes mail.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from gateway.core.ports.clock import WallClock
from gateway.store.files import Files, OsFiles
from gateway.store.layout import Layout
from gateway.store.opening import open_index, recover, usable
from gateway.store.presence import Roll
from gateway.store.reserve import Reserve
from gateway.store.turn import Turn


class Holding:
    """A store that is in order and locked, until closed."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        """The locked descriptor. A child process that is given it (``pass_fds``) keeps the store
        locked too: the lock ends when the last of them has closed it or ended. Closed on exec
        otherwise."""

    @classmethod
    def take(cls, state_dir: Path, *, wall_clock: WallClock, files: Files | None = None) -> Holding:
        """Lock the store below ``state_dir``, made if it is not there, and put it in order. Blocks.

        Raises:
            StoreUnavailable: in use by another gateway, wrong owner, a lost index, a command holds
                up a change of the tables, or the disk refuses; the text says what to do.
            SchemaTooNew: written by a newer gateway.
        """
        files = files or OsFiles()
        layout = Layout(state_dir)
        with usable(layout):
            layout.refuse_lost_index()
        layout.prepare(files)
        holding = cls(layout.take_lock())
        try:
            Reserve(layout).make_room()
            _put_in_order(files, layout, int(wall_clock()))
        except BaseException:
            holding.close()
            raise
        return holding

    def close(self) -> None:
        """Give the store up. May be called twice."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)


def _put_in_order(files: Files, layout: Layout, now: int) -> None:
    with contextlib.ExitStack() as stack:
        roll = Roll(layout)
        stack.callback(roll.close)
        turn = Turn(layout)
        stack.callback(turn.close)
        with usable(layout):
            connection = open_index(files, layout, roll)
            stack.callback(connection.close)
            recover(connection, files, layout, turn, roll, now)
