"""A file layer that counts its calls, fails one of them, or keeps the disk as a crash leaves it.

``KilledAt`` copies the state directory just before call k: what ``kill -9`` leaves. With
``power_cut`` the copy also loses what was not synced: octets behind the last fdatasync, and names
whose directory was not synced (SECURITY F7). SQLite's own files are copied as they are.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

from gateway.store.files import OsFiles


class Counting(OsFiles):
    """Counts calls by name and in all; ``before`` sees each of them first."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.counting = False
        self.count = 0

    def step(self, name: str) -> None:
        self.calls[name] += 1
        if self.counting:
            self.count += 1
            self.before(name, self.count)

    def before(self, name: str, number: int) -> None:
        """Called before call ``number`` (from 1) since ``counting`` was set."""

    def create(self, path: Path) -> int:
        self.step("create")
        return super().create(path)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self.step("write")
        return super().write(fd, data)

    def fdatasync(self, fd: int) -> None:
        self.step("fdatasync")
        super().fdatasync(fd)

    def close(self, fd: int) -> None:
        self.step("close")
        super().close(fd)

    def truncate(self, file: int | Path, length: int) -> None:
        self.step("truncate")
        super().truncate(file, length)

    def rename(self, source: Path, target: Path) -> None:
        self.step("rename")
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        self.step("unlink")
        super().unlink(path)

    def sync_directory(self, path: Path) -> None:
        self.step("sync_directory")
        super().sync_directory(path)


class FailingAt(Counting):
    """Raises OSError at call ``fail_at`` since ``counting`` was set, once or from then on."""

    def __init__(self, fail_at: int, code: int, *, forever: bool = False) -> None:
        super().__init__()
        self.fail_at = fail_at
        self.code = code
        self.forever = forever
        self.failed: list[str] = []

    def before(self, name: str, number: int) -> None:
        if number == self.fail_at or (self.forever and number > self.fail_at):
            self.failed.append(name)
            raise OSError(self.code, os.strerror(self.code))


class ShortWrites(Counting):
    """Takes at most 100 octets per call."""

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self.step("write")
        return os.write(fd, data[:100])


class KilledAt(Counting):
    """Copies the state directory before call ``stop_at``."""

    def __init__(self, state_dir: Path, copy: Path, stop_at: int, *, power_cut: bool) -> None:
        super().__init__()
        self.state_dir = state_dir
        self.copy = copy
        self.stop_at = stop_at
        self.power_cut = power_cut
        self.reached = ""
        self._paths: dict[int, Path] = {}
        self._synced_octets: dict[Path, int] = {}
        self._unsynced_names: set[Path] = set()

    def create(self, path: Path) -> int:
        fd = super().create(path)
        self._paths[fd] = path
        self._synced_octets[path] = 0
        self._unsynced_names.add(path)
        return fd

    def fdatasync(self, fd: int) -> None:
        super().fdatasync(fd)
        self._synced_octets[self._paths[fd]] = os.fstat(fd).st_size

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self._synced_octets[target] = self._synced_octets.pop(source, 0)
        self._unsynced_names.discard(source)
        self._unsynced_names.add(target)
        self._paths = {fd: target if p == source else p for fd, p in self._paths.items()}

    def sync_directory(self, path: Path) -> None:
        super().sync_directory(path)
        self._unsynced_names = {name for name in self._unsynced_names if name.parent != path}

    def before(self, name: str, number: int) -> None:
        if number == self.stop_at:
            self.reached = name
            self.take_copy()

    def take_copy(self) -> None:
        shutil.copytree(self.state_dir, self.copy)
        if not self.power_cut:
            return
        for path, octets in self._synced_octets.items():
            there = self.copy / path.relative_to(self.state_dir)
            if not there.exists():
                continue
            if path in self._unsynced_names:
                there.unlink()
            else:
                os.truncate(there, octets)
