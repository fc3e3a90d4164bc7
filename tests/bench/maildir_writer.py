"""A Maildir writer with the store's promises, as a measure: write, fsync, rename, directory fsync.

Nothing else: no index, no flags, no UIDs, no queue. Threads share the people's folders, as
deliveries do.
"""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path


class MaildirWriter:
    """Delivers into ``new/`` of so many people's folders in turn."""

    def __init__(self, folder: Path, people: int) -> None:
        self._folders = [f"{folder}/{number}" for number in range(people)]
        for one in self._folders:
            for name in ("tmp", "new", "cur"):
                os.makedirs(f"{one}/{name}")
        self._serial = itertools.count()

    def deliver(self, octets: bytes) -> None:
        """Durable when it returns."""
        number = next(self._serial)
        folder = self._folders[number % len(self._folders)]
        arrived, final = f"{folder}/tmp/{number}.host", f"{folder}/new/{number}.host"
        fd = os.open(arrived, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            written = os.write(fd, octets)
            assert written == len(octets)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(arrived, final)
        directory = os.open(f"{folder}/new", os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def deliver_all(self, count: int, octets: bytes, threads: int) -> None:
        """So many messages by so many threads at once."""
        left = itertools.count()

        def work() -> None:
            while next(left) < count:
                self.deliver(octets)

        running = [threading.Thread(target=work) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
