"""What a command works on: who is logged in, which mailbox is selected, what the client is told.

Owns the session's state (RFC 3501 section 3), the watch on the selected mailbox and the one way
in which its changes reach the client (``tell``); and, of a shared mailbox, that whoever may not be
in it any more is not. Never reads from the connection; it writes through the ``Peer``. Handlers of
the command groups get a Session and their command, and nothing else.

Invariants: a view exists if and only if the state is SELECTED; each watch is stopped once, each
login is logged out once.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.auth.login import LoggedIn
from gateway.core.account import Account
from gateway.core.errors import GatewayError, NoSuchMailbox
from gateway.core.ids import AccountId
from gateway.core.log_text import escaped
from gateway.core.mailboxes import MailboxEvent, Selection
from gateway.core.ports.body import IncomingBody
from gateway.core.ports.store import MailboxStore
from gateway.core.shared_mailboxes import Rights
from gateway.edge.connection import Door
from gateway.edge.imap.access import AccessGuard
from gateway.edge.imap.news import render_news
from gateway.edge.imap.places import Place, Places, writes_nothing
from gateway.edge.imap.services import ImapLimits, ImapServices
from gateway.edge.imap.view import MailboxView
from gateway.wire.imap.replies import bye, untagged_status


class State(Enum):
    """RFC 3501 section 3; the logout state is the connection's ``closing``."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"


class Peer(Protocol):
    """What a command may do with its connection."""

    connection_id: str
    peer_ip: str
    is_tls: bool
    door: Door
    transport: Any

    def send(self, data: bytes) -> None: ...

    async def writable(self) -> None:
        """Wait until the peer took most of what was sent."""
        ...

    def next_line(self, max_octets: int) -> Deferred[bytes]:
        """The next line of the client, for AUTHENTICATE and IDLE. Fails with LineRefused."""
        ...

    @property
    def buffered_octets(self) -> int:
        """Octets of the client that nobody has looked at yet."""
        ...

    @property
    def busy(self) -> bool:
        """A command is under way."""
        ...

    @property
    def login_allowed(self) -> bool:
        """Passwords may be taken now: over TLS, or in the demo from the machine itself."""
        ...

    @property
    def passwords_allowed(self) -> bool:
        """LOGIN may be used now."""
        ...

    def capabilities(self) -> str:
        """What is advertised in the present state."""
        ...

    def logged_in(self) -> None:
        """The session knows who it is: people may send more than strangers."""
        ...

    def start_tls(self) -> None: ...

    def close(self, farewell: bytes = b"") -> None: ...

    def drain(self) -> None: ...

    def dismiss(self) -> None: ...

    def abort(self) -> None: ...


class LineRefused(Exception):
    """The line that was waited for is too long or badly ended; the text is ours."""


class MailboxDeleted(Exception):
    """Somebody deleted the selected mailbox: there is nothing left to talk about."""

    text = "The selected mailbox was deleted"


class AccessLost(MailboxDeleted):
    """As good as deleted, for somebody who does not share it any more."""

    text = "You do not share the selected mailbox any more"


class Upload:
    """A message on its way in, with the time it may take (SECURITY N1)."""

    def __init__(
        self, body: IncomingBody, size_octets: int, limits: ImapLimits, now_s: float
    ) -> None:
        self.body = body
        self._stall_s = limits.upload_stall_s
        self._ends_at_s = now_s + limits.upload_stall_s + size_octets / limits.upload_octets_per_s

    def seconds_left(self, now_s: float) -> float:
        """How long the client may now be silent, within the time that the whole may take."""
        return max(0.0, min(self._stall_s, self._ends_at_s - now_s))


class Session:
    """One client's session, from greeting to farewell."""

    log = Logger()

    def __init__(self, peer: Peer, services: ImapServices) -> None:
        self.peer = peer
        self.services = services
        self.failed_logins = 0
        self.view: MailboxView | None = None
        self.upload: Upload | None = None
        self.changed: Callable[[], None] | None = None
        """Called when the selected mailbox changed; IDLE sets it."""
        self._account: Account | None = None
        self._store: MailboxStore | None = None
        self._logout: Callable[[], None] | None = None
        self._places: Places | None = None
        self._stop_watch: Callable[[], None] | None = None
        self._guard: AccessGuard | None = None
        self._access_lost = False

    # -- state

    @property
    def state(self) -> State:
        if self._account is None:
            return State.NOT_AUTHENTICATED
        return State.AUTHENTICATED if self.view is None else State.SELECTED

    @property
    def account(self) -> Account:
        assert self._account is not None, "the registry lets only the right states pass"
        return self._account

    @property
    def account_id(self) -> AccountId:
        return self.account.account_id

    @property
    def places(self) -> Places:
        assert self._places is not None, "the registry lets only the right states pass"
        return self._places

    @property
    def store(self) -> MailboxStore:
        assert self._store is not None, "the registry lets only the right states pass"
        return self._store

    @property
    def selected(self) -> MailboxView:
        assert self.view is not None, "the registry lets only the right states pass"
        return self.view

    def begin(self, login: LoggedIn) -> None:
        """Somebody has proved who they are."""
        assert self._account is None
        self._account = login.avatar.account
        self._store = login.avatar.store
        self._places = Places(self._account.account_id, login.avatar.shares)
        self._logout = login.logout

    def end(self) -> None:
        """The connection is gone: give back all that is held."""
        self.deselect()
        self.drop_upload()
        logout, self._logout = self._logout, None
        if logout is not None:
            logout()

    def drop_upload(self) -> None:
        upload, self.upload = self.upload, None
        if upload is not None:
            upload.body.discard()

    # -- the selected mailbox

    def show(self, selection: Selection, place: Place, *, read_only: bool) -> MailboxView:
        """Select a mailbox and watch it."""
        assert self.view is None
        view = MailboxView(selection, read_only=read_only)

        def hint(event: MailboxEvent) -> None:
            view.hint(event)
            if view.stale and self.changed is not None:
                self.changed()

        self.view = view
        self._stop_watch = self.store.watch(view.mailbox_id, hint)
        self._access_lost = False
        if place.shared is not None:
            self._guard = AccessGuard(
                self.peer.door.timers, lambda: self.places.rights_at(place), self._rights_are
            )
        return view

    def deselect(self) -> None:
        self.view = None
        stop, self._stop_watch = self._stop_watch, None
        if stop is not None:
            stop()
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.stop()

    def _rights_are(self, rights: Rights) -> None:
        """Of the shared mailbox that is selected, as the directory has it now."""
        view = self.view
        if view is None:
            return
        if "r" not in rights:
            self._access_lost = True
            if self.changed is not None:
                self.changed()
            elif not self.peer.busy:
                self.peer.close(bye(AccessLost.text))
        elif writes_nothing(rights) and not view.read_only:
            # RFC 3501 section 7.1: READ-ONLY may come later. Who may write from now on selects the
            # mailbox again.
            view.read_only = True
            if self.changed is not None or not self.peer.busy:
                self.peer.send(untagged_status("OK", "You may only read here by now", "READ-ONLY"))

    # -- changes

    async def refresh(self, *, now: bool = False) -> None:
        """Ask the store what happened in the selected mailbox, if there is anything to ask.

        Args:
            now: ask even if the change feed did not say so; after the session's own writes.

        Raises:
            MailboxDeleted: the mailbox is gone, for this person or for everybody.
        """
        view = self.view
        if view is not None and self._access_lost:
            raise AccessLost
        if view is None or not (now or view.stale):
            return
        view.asking()
        try:
            changes = await self.store.changes(view.mailbox_id, view.highest_modseq)
        except NoSuchMailbox:
            raise MailboxDeleted from None
        except GatewayError as trouble:
            # The command itself was carried out; its answer must not turn into a failure.
            self.log.warn(
                "{id} changes not read, later: {trouble}",
                id=self.peer.connection_id,
                trouble=escaped(trouble),
            )
            view.doubt()
            return
        view.take(changes)

    async def tell(self, *, may_expunge: bool) -> None:
        """Send what the client is to know of the selected mailbox by now."""
        if self.view is None:
            return
        news = self.view.news(may_expunge=may_expunge)
        for piece in render_news(self.view, news):
            self.peer.send(piece)
            await self.peer.writable()
