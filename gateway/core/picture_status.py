"""How the picture of a directory is, for the administrator: what ``gateway status`` shows.

Owns the shapes and their form in JSON. Texts are escaped and bounded by whoever makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Shared:
    """Something that should be one person's and is several ones'.

    Args:
        what: ``address`` or ``login``.
        owners: some of them.
    """

    what: str
    key: str
    owners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PictureStatus:
    """One directory.

    Args:
        name: in the settings; empty: the only one.
        listed_at: Unix time of the last complete listing; 0: there has been none.
        refreshed_at: Unix time up to which changes are known.
        way: how changes are learnt: syncrepl, usn, csn, timestamps, listing; empty: not known yet.
        server: that was asked last; empty: none.
        listing: one runs.
        seen: entries of the listing that runs, or ran last in this process.
        listing_took_s: how long that has taken.
        stopped: why nobody is removed until an administrator accepts it; empty: it is not so.
        error: why the last refresh failed; empty: it did not.
        unusable: entries that cannot be used.
        shared: some of what several entries have.
    """

    name: str
    people: int
    groups: int
    listed_at: int
    refreshed_at: int
    way: str
    server: str
    listing: bool
    seen: int
    per_second: float
    listing_took_s: float
    stopped: str
    error: str
    unusable: int
    unusable_examples: tuple[str, ...]
    shared: tuple[Shared, ...]

    def as_json(self) -> Mapping[str, object]:
        return asdict(self)
