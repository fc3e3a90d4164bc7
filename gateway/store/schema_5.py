"""The fifth step of the index: a queue by destinations, and what sending keeps.

Owns data definitions, as ``schema`` does.
"""

from __future__ import annotations

_KNOWN = (
    # What a process has to remember of the configuration and of what it did, by name.
    """CREATE TABLE known (
        name TEXT NOT NULL PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID""",
)

VERSION_5: tuple[str, ...] = (*_KNOWN,)
