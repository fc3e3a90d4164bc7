"""A disk that can be stopped after any call, by a kill or by a power cut.

Plays back what ``recording`` saw. After a kill everything that was written is there. After a power
cut each file holds what was synced, and of what was written since any part: calls are left out at
random, and torn at sectors. Names follow their folder: what was made, renamed or removed since
the folder's last sync may have happened up to any point, in order (as in a journal). That is what
POSIX promises and less than ext4 does; octets that were synced are never lost.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.recording import Event

SECTOR = 512


@dataclass(eq=False, slots=True)
class _File:
    """Octets now, octets at the last sync, and what happened in between."""

    now: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    since: list[Event] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Name:
    """A change in a folder: what a name means from then on, None for nothing."""

    path: str
    file: _File | None


class Disk:
    """Files below one folder."""

    def __init__(self) -> None:
        self._names: dict[str, _File] = {}
        self._synced_names: dict[str, _File] = {}
        self._renamed: dict[str, list[_Name]] = {}  # by folder, since its last sync
        self.folders: set[str] = set()

    def play(self, event: Event) -> None:
        """One more call has ended."""
        match event.kind:
            case "create":
                if event.path not in self._names:
                    self._set(event.path, _File())
            case "write" | "truncate" | "grow":
                file = self._names.get(event.path)
                if file is not None:  # an unlinked one that is still open
                    _change(file.now, event)
                    file.since.append(event)
            case "rename":
                self._set(event.target, self._names[event.path])
                self._set(event.path, None)
            case "unlink":
                if event.path in self._names:
                    self._set(event.path, None)
                self.folders.discard(event.path)
            case "mkdir":
                self.folders.add(event.path)
            case "sync" if event.path in self._names:
                file = self._names[event.path]
                file.synced = bytes(file.now)
                file.since.clear()
            case "sync":
                for name in self._renamed.pop(event.path, ()):
                    _put(self._synced_names, name)

    def after_a_kill(self) -> dict[str, bytes]:
        return {path: bytes(file.now) for path, file in self._names.items()}

    def after_a_power_cut(self, choose: random.Random) -> dict[str, bytes]:
        names = dict(self._synced_names)
        for changes in self._renamed.values():
            for name in changes[: choose.randint(0, len(changes))]:
                _put(names, name)
        return {path: _torn(file, choose) for path, file in names.items()}

    def _set(self, path: str, file: _File | None) -> None:
        name = _Name(path, file)
        _put(self._names, name)
        self._renamed.setdefault(os.path.dirname(path), []).append(name)


def _put(names: dict[str, _File], name: _Name) -> None:
    if name.file is None:
        names.pop(name.path, None)
    else:
        names[name.path] = name.file


def _change(octets: bytearray, event: Event) -> None:
    if event.kind == "write":
        end = event.offset + len(event.data)
        if len(octets) < end:
            octets.extend(bytes(end - len(octets)))
        octets[event.offset : end] = event.data
    elif event.kind == "truncate" and event.offset < len(octets):
        del octets[event.offset :]
    elif len(octets) < event.offset:
        octets.extend(bytes(event.offset - len(octets)))


def _torn(file: _File, choose: random.Random) -> bytes:
    octets = bytearray(file.synced)
    how_much = choose.choice((0.0, 0.5, 0.9, 1.0))
    for event in file.since:
        if choose.random() >= how_much:
            continue
        if event.kind == "write" and choose.random() < 0.2:
            sectors = choose.randint(0, len(event.data) // SECTOR)
            event = Event("write", event.path, event.offset, event.data[: sectors * SECTOR])
        _change(octets, event)
    return bytes(octets)


def lay_out(folder: Path, files: dict[str, bytes], folders: Iterable[str]) -> None:
    """Write the files into an empty folder."""
    for name in sorted(folders):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, octets in files.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("wb") as out:
            if octets.strip(b"\0"):
                out.write(octets)
            else:
                out.truncate(len(octets))
