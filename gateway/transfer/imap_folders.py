"""Which folders another IMAP server has, and what they are called here.

Owns what LIST, LSUB and NAMESPACE say, special uses, and which folders are left out. Names that
cannot be sent in a quoted string are troubles, as are those that two folders come to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.transfer.imap_connection import MAX_TEXT, ImapConnection
from gateway.transfer.imap_replies import ReplyNotUnderstood, replies_of, values_of, words_of
from gateway.transfer.names import BY_SPECIAL_USE, decoded, fitted
from gateway.transfer.values import Rename, SourceFolder, Trouble

_NO_MAILBOX = frozenset({"\\noselect", "\\nonexistent"})


@dataclass(frozen=True, slots=True)
class ImapOptions:
    """What an administrator wants of the old server.

    Args:
        uidl_format: what its POP3 called messages of INBOX, as Dovecot's ``pop3_uidl_format``.
        skip: folders to leave out, by their names there, with all below them.
        shared: also take what belongs to others or to all.
    """

    uidl_format: str = ""
    skip: tuple[str, ...] = ()
    shared: bool = False


class FolderListing:
    """Asks a server for its folders."""

    def __init__(self, connection: ImapConnection, options: ImapOptions, rename: Rename) -> None:
        self._connection = connection
        self._options = options
        self._rename = rename
        self.wire_names: dict[str, bytes] = {}
        """What the server calls each folder."""

    def read(self) -> list[SourceFolder | Trouble]:
        """All folders; again after a connection was lost.

        Raises: Refused, ReplyNotUnderstood, LOST.
        """
        self.wire_names.clear()  # what a connection that was lost had told
        mine, others = self._namespaces()
        subscribed = {name for name, _, _ in self._listed("LSUB")}
        found: list[SourceFolder | Trouble] = []
        for wire_name, separator, attributes in self._listed("LIST"):
            name = decoded(wire_name.decode("utf-8", "surrogateescape"))
            if not wire_name or re.search(rb"[\0\r\n]", wire_name):
                found.append(Trouble(ascii(name), "no name that can be asked for"))
                continue
            if self.wire_names.setdefault(name, wire_name) != wire_name:
                found.append(Trouble(ascii(wire_name), f"another folder is called {name} too"))
                continue
            levels = name.split(separator) if separator else [name]
            if attributes & _NO_MAILBOX or self._is_unwanted(name, separator, others):
                continue
            special = next((BY_SPECIAL_USE[use] for use in attributes if use in BY_SPECIAL_USE), "")
            below_prefix = _without(levels, mine, separator)
            here = self._rename(special or fitted(below_prefix))
            found.append(SourceFolder(name, here, wire_name in subscribed))
        # INBOX first: it is what people wait for.
        return sorted(found, key=lambda one: isinstance(one, SourceFolder) and one.name != "INBOX")

    def _namespaces(self) -> tuple[list[str], list[str]]:
        """Prefixes of the person's own folders and of all others (RFC 2342)."""
        if not self._connection.has("NAMESPACE"):
            return [], []
        kinds: list[list[str]] = [[], [], []]
        for reply in replies_of(self._connection.namespace()):
            for prefixes, value in zip(kinds, values_of(reply), strict=False):
                prefixes += [
                    decoded(one[0].decode("utf-8", "surrogateescape"))
                    for one in (value if isinstance(value, list) else [])
                    if isinstance(one, list) and one and isinstance(one[0], bytes) and one[0]
                ]
        return kinds[0], kinds[1] + kinds[2]

    def _listed(self, what: str) -> Iterator[tuple[bytes, str, frozenset[str]]]:
        """Name, separator and folded attributes of each line."""
        for reply in replies_of(self._connection.list("LSUB" if what == "LSUB" else "LIST")):
            values = values_of(reply)
            if len(values) < 3:
                raise ReplyNotUnderstood(repr(values)[:MAX_TEXT])
            attributes, separator, *name = values
            words = [word for word in name if isinstance(word, bytes)]
            yield (
                b"".join(words),
                separator.decode("ascii", "replace") if isinstance(separator, bytes) else "",
                frozenset(word.casefold() for word in words_of(attributes)),
            )

    def _is_unwanted(self, name: str, separator: str, others: Sequence[str]) -> bool:
        if not self._options.shared and any(
            name == prefix.rstrip(separator or "/") or name.startswith(prefix) for prefix in others
        ):
            return True
        return any(
            name == skipped or (separator and name.startswith(skipped + separator))
            for skipped in self._options.skip
        )


def _without(levels: list[str], prefixes: Sequence[str], separator: str) -> list[str]:
    """Below the prefix that a server puts before all of a person's folders, such as ``INBOX.``."""
    for prefix in prefixes:
        above = prefix.removesuffix(separator).split(separator) if separator else []
        folded = [level.casefold() for level in levels[: len(above)]]
        if above and len(levels) > len(above) and folded == [one.casefold() for one in above]:
            return levels[len(above) :]
    return levels
