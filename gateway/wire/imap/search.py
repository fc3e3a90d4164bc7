"""Search keys as they stand in a command (RFC 3501 section 6.4.4), and what becomes of them.

Leaves without message numbers are those of ``core.search``. A key here may also hold a sequence set
or ask for \\Recent, which is a session's own; ``resolve`` turns a tree into one of ``core.search``.
Depth is bounded by the parser (SECURITY I6), so resolving may recurse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.core import search as core
from gateway.core.uidset import Ranges
from gateway.wire.imap.sequence import SequenceSet


@dataclass(frozen=True, slots=True)
class InSet:
    """Messages of a sequence set, or of a UID set where ``uid`` says so."""

    numbers: SequenceSet
    uid: bool


@dataclass(frozen=True, slots=True)
class Recent:
    """Messages that are \\Recent in this session. NEW and OLD are made of it while parsing."""


@dataclass(frozen=True, slots=True)
class Not:
    key: WireKey


@dataclass(frozen=True, slots=True)
class And:
    keys: tuple[WireKey, ...]


@dataclass(frozen=True, slots=True)
class Or:
    left: WireKey
    right: WireKey


Leaf = core.All | core.HasFlag | core.SizeIs | core.DateIs | core.HeaderHas | core.TextHas
WireKey = Leaf | InSet | Recent | Not | And | Or


def resolve(
    key: WireKey, to_uids: Callable[[SequenceSet, bool], Ranges], recent: Ranges
) -> core.SearchKey:
    """The key as the store understands it.

    Args:
        key: as parsed.
        to_uids: the UIDs meant by a set; its second argument is True if the set holds UIDs already
            (only ``*`` is open), False for message sequence numbers. May raise; it passes through.
        recent: the UIDs that are \\Recent in this session.
    """
    match key:
        case InSet(numbers, uid):
            return core.UidIn(to_uids(numbers, uid))
        case Recent():
            return core.UidIn(recent)
        case Not(inner):
            return core.Not(resolve(inner, to_uids, recent))
        case And(keys):
            return core.And(tuple(resolve(inner, to_uids, recent) for inner in keys))
        case Or(left, right):
            return core.Or(resolve(left, to_uids, recent), resolve(right, to_uids, recent))
        case _:
            return key
