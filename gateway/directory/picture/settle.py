"""Who seems to be gone is asked about once more, by id, and only then leaves the picture.

Owns that question, and the finding of those whom a list of ids does not name. Absence alone deletes
nobody: a listing may have skipped somebody who was moved or changed while it ran. Whoever is found
is taken as they are now. An error removes nobody (SECURITY L15, L19).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gateway.core.ports.clock import Timers
from gateway.core.ports.picture import EntryKind, PicturedEntry, ReadsPicture
from gateway.directory.ldap.asking import LdapFailed, Listening
from gateway.directory.picture.differ import Differ
from gateway.directory.picture.questions import (
    NO_SUCH_OBJECT,
    SUCCESS,
    ask,
    breathe,
    refused,
    with_all_values,
)
from gateway.directory.picture.source import BATCH, Source

PAGE = 500


async def settle(
    listening: Listening, source: Source, differ: Differ, entry_ids: Sequence[str]
) -> None:
    """Make the picture right about these. Raises: LdapFailed, GatewayError."""
    ids = [each for each in entry_ids if "=" not in each]
    for start in range(0, len(ids), BATCH):
        asked = ids[start : start + BATCH]
        found = (await ask(listening, source.named(asked))).entries
        there = {source.id_of(each) for each in found}
        if not there <= set(asked):
            # Somebody matches whose id cannot be read: who that is, nobody knows.
            raise LdapFailed("asked by id, the server gave entries with other ids or several")
        members = source.schema.members
        whole = [await with_all_values(listening, each, members) for each in found]
        await differ.take(whole, confirmed=True)
        await differ.remove([each for each in asked if each not in there])
    for name in entry_ids:
        if "=" in name:  # of a group, where the directory gives it no id
            answer = await listening.search(source.at(name))
            if answer.result.code not in (SUCCESS, NO_SUCH_OBJECT):
                raise refused(answer)
            await differ.take(answer.entries, confirmed=True)
            if not answer.entries:
                await differ.remove([name])


async def missing(
    picture: ReadsPicture, source: Source, there: Collection[str], timers: Timers
) -> list[PicturedEntry]:
    """Those in the picture whom these ids do not name, without ``whole``."""
    left: list[PicturedEntry] = []
    for kind in EntryKind:
        after = ""
        while page := picture.page(source.name, kind, after, PAGE):
            left += [each for each in page if each.entry_id not in there]
            after = page[-1].entry_id
            await breathe(timers)
    return left
