"""The rows of the registry: which handler carries out which command, and what that advertises.

Owns the table alone: what a row means is ``registry``'s, what a handler does is its file's. Here is
the place to add a command, and nothing is advertised but by a row.
"""

from __future__ import annotations

from gateway.edge.imap import (
    append,
    auth,
    copy,
    expunge,
    fetch,
    idle,
    listing,
    mailboxes,
    search,
    store,
)
from gateway.edge.imap.registry import (
    ANY,
    LOGGED_IN,
    NOT_AUTHENTICATED,
    SELECTED,
    Registry,
    Row,
    When,
)
from gateway.wire.imap import commands as wire


def imap_registry() -> Registry:
    """Every command of ``wire.imap.commands``. Raises ValueError if one has no row."""
    return Registry(_ROWS)


_ROWS = (
    # -- any state
    Row(
        wire.Capability,
        "CAPABILITY",
        auth.capability,
        ANY,
        capabilities=(("IMAP4rev1", When.ALWAYS),),
    ),
    Row(wire.Noop, "NOOP", auth.noop, ANY, looks=True),
    Row(wire.Logout, "LOGOUT", auth.logout, ANY),
    Row(wire.Id, "ID", auth.identify, ANY, capabilities=(("ID", When.ALWAYS),)),
    # -- not authenticated
    Row(
        wire.StartTls,
        "STARTTLS",
        auth.start_tls,
        NOT_AUTHENTICATED,
        capabilities=(("STARTTLS", When.STARTTLS_POSSIBLE),),
    ),
    Row(
        wire.Authenticate,
        "AUTHENTICATE",
        auth.authenticate,
        NOT_AUTHENTICATED,
        # Beside AUTH= and the names of mechanisms, which differ from connection to connection.
        capabilities=(("SASL-IR", When.LOGIN_POSSIBLE),),
    ),
    Row(
        wire.Login,
        "LOGIN",
        auth.login,
        NOT_AUTHENTICATED,
        capabilities=(("LOGINDISABLED", When.LOGIN_REFUSED),),
    ),
    # -- authenticated
    Row(wire.Select, "SELECT", mailboxes.select, LOGGED_IN, numbered=True),
    Row(wire.Examine, "EXAMINE", mailboxes.select, LOGGED_IN, numbered=True),
    Row(wire.Create, "CREATE", mailboxes.create, LOGGED_IN),
    Row(wire.Delete, "DELETE", mailboxes.delete, LOGGED_IN),
    Row(wire.Rename, "RENAME", mailboxes.rename, LOGGED_IN, looks=True),
    Row(wire.Subscribe, "SUBSCRIBE", mailboxes.subscribe, LOGGED_IN),
    Row(wire.Unsubscribe, "UNSUBSCRIBE", mailboxes.unsubscribe, LOGGED_IN),
    Row(
        wire.List,
        "LIST",
        listing.list_mailboxes,
        LOGGED_IN,
        capabilities=(("CHILDREN", When.LOGGED_IN), ("SPECIAL-USE", When.LOGGED_IN)),
    ),
    Row(wire.Status, "STATUS", mailboxes.status, LOGGED_IN),
    Row(
        wire.Append,
        "APPEND",
        append.append,
        LOGGED_IN,
        looks=True,
        capabilities=(("LITERAL-", When.LOGGED_IN),),
    ),
    Row(
        wire.Namespace,
        "NAMESPACE",
        mailboxes.namespace,
        LOGGED_IN,
        capabilities=(("NAMESPACE", When.LOGGED_IN),),
    ),
    Row(wire.Idle, "IDLE", idle.idle, LOGGED_IN, capabilities=(("IDLE", When.LOGGED_IN),)),
    # -- selected
    Row(wire.Check, "CHECK", auth.noop, SELECTED, looks=True),
    Row(wire.Close, "CLOSE", expunge.close, SELECTED),
    Row(
        wire.Unselect,
        "UNSELECT",
        mailboxes.unselect,
        SELECTED,
        capabilities=(("UNSELECT", When.LOGGED_IN),),
    ),
    Row(
        wire.Expunge,
        "EXPUNGE",
        expunge.expunge,
        SELECTED,
        looks=True,
        writes=True,
        capabilities=(("UIDPLUS", When.LOGGED_IN),),
    ),
    Row(wire.Search, "SEARCH", search.search, SELECTED, numbered=True),
    Row(wire.Fetch, "FETCH", fetch.fetch, SELECTED, numbered=True),
    Row(wire.Store, "STORE", store.store_flags, SELECTED, numbered=True, looks=True, writes=True),
    Row(wire.Copy, "COPY", copy.copy, SELECTED, looks=True),
    Row(
        wire.Move,
        "MOVE",
        copy.move,
        SELECTED,
        looks=True,
        writes=True,
        capabilities=(("MOVE", When.LOGGED_IN),),
    ),
)
