"""Processes and their children, as the kernel knows them."""

from __future__ import annotations

from pathlib import Path


def tree_of(pid: int) -> list[int]:
    """A process and all below it, parents first."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # gone meanwhile
        children.setdefault(int(after_name[1]), []).append(int(path.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, ())
    return found
