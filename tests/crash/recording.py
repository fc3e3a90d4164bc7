"""What a process did to its files, call by call, as strace saw it.

``record`` runs a program under strace and keeps every call that changed a file below one folder,
with its octets, in the order in which the calls ended; and, between them, each line the program
wrote to its standard output. ``disk`` plays it back. Nothing of the program under test is changed,
so SQLite's own calls are seen like ours. Memory that is mapped and written to is not: SQLite does
that to its ``-shm`` file only, which it makes anew after a crash.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.programs import need

CALLS = (
    "openat,write,pwrite64,writev,pwritev,ftruncate,truncate,fallocate,rename,renameat,renameat2,"
    "unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,fsync,fdatasync,sync_file_range,lseek"
)
_LINE = re.compile(rb"^(\d+) +(\w+)\((.*)\) += (-?\d+|\?)(?:<.*>)?(?: .*)?$", re.DOTALL)
_UNFINISHED = re.compile(rb"^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$", re.DOTALL)
_RESUMED = re.compile(rb"^(\d+) +<\.\.\. (\w+) resumed>(.*)$", re.DOTALL)
_ARGUMENT = re.compile(
    rb'"((?:[^"\\]|\\.)*)"(\.\.\.)?|(-?\w+)<((?:[^>\\]|\\.)*)>|([^,\s"<>][^,"<>]*)'
)
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


def say(line: object) -> None:
    """What a program tells between its calls: a line of its standard output, as JSON."""
    os.write(1, json.dumps(line).encode() + b"\n")


@dataclass(frozen=True, slots=True)
class Event:
    """One call that succeeded.

    Args:
        kind: ``create``, ``write``, ``truncate``, ``rename``, ``unlink``, ``mkdir``, ``sync`` (of
            a file or a folder), or ``said`` (a line of standard output).
        path: relative to the folder; of a rename the old name.
        offset: of a write; the new length of a truncation.
        data: written octets, or the line.
        target: new name of a rename.
    """

    kind: str
    path: str = ""
    offset: int = 0
    data: bytes = b""
    target: str = ""


def record(command: Sequence[str], folder: Path, log: Path) -> list[Event]:
    """Run a program to its end, however it ends; the log may take some megabytes."""
    subprocess.run(
        [need("strace"), "-f", "-y", "-xx", "-s", "4000000", "-e", f"trace={CALLS}",
         "-o", str(log), *command],
        stdout=subprocess.PIPE,
        check=False,
        timeout=400,
    )  # fmt: skip
    return list(events_in(log, folder))


def events_in(log: Path, folder: Path) -> Iterator[Event]:
    """The events of a log in the order in which the calls ended."""
    reader = _Reader(os.fspath(folder.resolve()) + "/")
    with log.open("rb") as lines:
        for call, arguments, result in _calls(lines):
            if result >= 0:
                yield from reader.read(call, arguments, result)


def _calls(lines: Iterator[bytes]) -> Iterator[tuple[str, list[bytes], int]]:
    begun: dict[bytes, bytes] = {}
    for raw in lines:
        line = raw.rstrip(b"\n")
        if found := _UNFINISHED.match(line):
            begun[found[1]] = found[3]
            continue
        if found := _RESUMED.match(line):
            line = b"%s %s(%s%s" % (found[1], found[2], begun.pop(found[1], b""), found[3])
        if found := _LINE.match(line):
            if found[4] == b"?":
                continue
            yield found[2].decode(), _arguments(found[3]), int(found[4])


def _arguments(text: bytes) -> list[bytes]:
    """Strings decoded; a descriptor as its number, NUL and the path behind it."""
    found = []
    for match in _ARGUMENT.finditer(text):
        if match[1] is not None:
            assert not match[2], "the log has cut a string"
            found.append(_decode(match[1]))
        elif match[4] is not None:
            found.append(match[3] + b"\0" + _decode(match[4]))
        else:
            found.append(match[5].strip())
    return found


def _decode(text: bytes) -> bytes:
    return _ESCAPE.sub(lambda escape: bytes([int(escape[1], 16)]), text)


class _Reader:
    """Turns calls into events; knows where ``write`` goes on in each open file."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._positions: dict[bytes, int] = {}

    def read(self, call: str, arguments: list[bytes], result: int) -> Iterator[Event]:
        match call:
            case "write" if arguments[0].startswith(b"1\0"):
                yield Event("said", data=arguments[1][:result])
            case "write":
                at = self._positions.get(arguments[0].partition(b"\0")[0], 0)
                self._positions[arguments[0].partition(b"\0")[0]] = at + result
                yield from self._event("write", arguments[0], at, arguments[1][:result])
            case "pwrite64":
                yield from self._event(
                    "write", arguments[0], int(arguments[3]), arguments[1][:result]
                )
            case "openat":
                yield from self._opened(arguments, result)
            case "ftruncate" | "truncate":
                yield from self._event("truncate", arguments[0], int(arguments[1]))
            case "fallocate":
                assert arguments[1] == b"0", arguments
                yield from self._event("grow", arguments[0], int(arguments[2]) + int(arguments[3]))
            case "fsync" | "fdatasync":
                yield from self._event("sync", arguments[0])
            case "rename":
                for event in self._event("rename", arguments[0]):
                    yield Event("rename", event.path, target=self._relative(arguments[1]))
            case "unlink" | "rmdir":
                yield from self._event("unlink", arguments[0])
            case "mkdir":
                yield from self._event("mkdir", arguments[0])
            case "lseek":
                self._positions[arguments[0].partition(b"\0")[0]] = result
            case _:
                below = any(self._relative(one.partition(b"\0")[2]) for one in arguments)
                assert not below, f"{call} is not played back"

    def _opened(self, arguments: list[bytes], result: int) -> Iterator[Event]:
        self._positions[b"%d" % result] = 0
        path, flags = arguments[1], arguments[2]
        if b"O_CREAT" in flags:
            yield from self._event("create", path)
        if b"O_TRUNC" in flags:
            yield from self._event("truncate", path, 0)

    def _event(self, kind: str, name: bytes, offset: int = 0, data: bytes = b"") -> Iterator[Event]:
        path = self._relative(name.partition(b"\0")[2] or name)
        if path and not path.endswith("-shm"):
            yield Event(kind, path, offset, data)

    def _relative(self, name: bytes) -> str:
        """Empty when it lies elsewhere."""
        path = os.fsdecode(name).removesuffix(" (deleted)")
        return path.removeprefix(self._root) if path.startswith(self._root) else ""
