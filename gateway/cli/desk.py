"""Where a command works on the store, beside a running gateway or without one.

Owns the order of things: open or join the store, make the directory, run the command's work in one
thread while the main thread plays the reactor's part, close everything. ``work`` is plain blocking
code (files, sockets, progress bars) and reaches the store by ``Desk.call`` alone.

Ctrl-C ends the work at its next call, or cuts the call short that it waits for; what was committed
stays. The second one kills. A work thread that hangs in a call of its own for LEAVE_S is left
behind and ends with the process; the lock and the store's threads never are.

Limits: one desk at a time, in the main thread, as signals arrive there.
"""

from __future__ import annotations

import os
import pwd
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from gateway.auth.group_mailboxes import GroupMailboxes
from gateway.cli.control_client import ControlClient
from gateway.cli.hints import Hints
from gateway.cli.loop import Loop
from gateway.core.account import Account
from gateway.core.errors import GatewayError, StoreInUse
from gateway.core.ids import AccountId
from gateway.core.log_text import shown
from gateway.core.ports.clock import CallFromThread
from gateway.core.ports.directory import Directory
from gateway.core.settings.groups import shares_in
from gateway.core.settings.model import Settings
from gateway.core.settings.paths import control_socket, directory_picture
from gateway.delivery.destinations import Destinations
from gateway.delivery.dns.services import ServicesByDns, make_resolver
from gateway.directory.from_settings import all_directories
from gateway.store.layout import Layout
from gateway.store.opening import check_schema
from gateway.store.picture.file import PictureFile
from gateway.store.picture.reading import PictureReader
from gateway.store.store import Store

T = TypeVar("T")

BY_ID = "id:"
LEAVE_S = 2.0
HINT_TIMEOUT_S = 5.0


class PersonUnknown(GatewayError):
    """Nobody is called what the administrator typed."""

    temporary = False


class NoStore(GatewayError):
    """There is no store to work on, or this user may not; the text says what to do."""

    temporary = False


class Desk:
    """What a command's work gets; its methods are for the work's thread.

    Args:
        store: this command's own view of it; who else works on it makes no difference.
        picture: of directories, as a gateway left it; closed with the desk.
    """

    def __init__(
        self, store: Store, settings: Settings, loop: Loop, picture: PictureReader | None = None
    ) -> None:
        self.store = store
        self.picture = picture
        self.settings = settings
        self.interrupted = False
        self._loop = loop
        self._made: Directory | None = None
        self._pending: set[Deferred[Any]] = set()

    @property
    def directory(self) -> Directory:
        """Made when it is first asked for. Raises: SettingsError."""
        if self._made is None:
            finds = ServicesByDns(make_resolver(self.settings.outbound, self._loop.reactor))
            self._made = all_directories(
                self.settings, reactor=self._loop.reactor, finds=finds, picture=self.picture
            )
        return self._made

    @property
    def call_from_thread(self) -> CallFromThread:
        """For what a command makes itself and has threads."""
        return self._loop.call_from_thread

    def call(self, flow: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of the store or the directory; its result or its exception.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        answer: Future[T] = Future()
        self._loop.call_from_thread(lambda: self._start(flow, answer))
        return answer.result()

    def account(self, person: str) -> Account:
        """Whom the administrator means: a login, an address or, with ``id:`` before it, an id; or
        a group that has a mailbox, by its address.

        Of somebody known by id only, nothing but the id is known.

        Raises:
            PersonUnknown
            DirectoryUnavailable: no answer, or more than one person.
        """
        if person.startswith(BY_ID):
            account_id = AccountId(person.removeprefix(BY_ID))
            if not self.call(self.store.list_mailboxes(account_id)):
                raise PersonUnknown(f"the store has no mailboxes of {shown(person)}")
            return Account(account_id, "", "", ())
        found = self.call(self._find(person))
        if found is None:
            raise PersonUnknown(
                f"nobody in the directory has the login or address {shown(person)}; people who are"
                f" gone from it are named by their immutable id, as {BY_ID}..."
            )
        return found

    async def _find(self, person: str) -> Account | None:
        found = await self.directory.find(person)
        if found is not None:
            return found
        shares = shares_in(self.settings.groups, self.settings.domains)
        mailbox = await GroupMailboxes(self.directory, shares).find(person)
        return mailbox.account if mailbox is not None else None

    # -- the main thread

    def interrupt(self) -> None:
        """End the work at its next call, or in the one it waits for."""
        self.interrupted = True
        for deferred in tuple(self._pending):
            deferred.cancel()

    async def close(self) -> None:
        """What was handed to the store is still committed."""
        # Whatever a thread left behind asks for from now on, it is told to end.
        self.interrupted = True
        try:
            await self.store.close()
        finally:
            if self._made is not None:
                await self._made.close()
            if self.picture is not None:
                self.picture.close()

    def _start(self, flow: Coroutine[Any, Any, T], answer: Future[T]) -> None:
        if self.interrupted:
            flow.close()
            answer.set_exception(KeyboardInterrupt())
            return
        deferred = Deferred.fromCoroutine(flow)
        self._pending.add(deferred)

        def end(outcome: T | Failure) -> None:
            self._pending.discard(deferred)
            if not isinstance(outcome, Failure):
                answer.set_result(outcome)
            elif self.interrupted and outcome.check(CancelledError):
                answer.set_exception(KeyboardInterrupt())
            else:
                answer.set_exception(outcome.value)

        deferred.addBoth(end)


def at_desk(
    settings: Settings,
    work: Callable[[Desk], T],
    *,
    needs_directory: bool = True,
    may_create: bool = True,
    may_migrate: bool = True,
    pictured: bool = False,
) -> T:
    """Run ``work`` at a desk and return what it returns, or raise what it raises.

    Args:
        needs_directory: what is wrong with it is said before the work begins.
        may_create: make the store if there is none; otherwise that is an error, as for commands
            that have nothing to do without one and may have been given the wrong configuration.
        may_migrate: bring a store of an older gateway to this program's schema, after which the
            older one refuses it; otherwise that is an error, as for commands that look.
        pictured: the directory also tells what a stopped gateway had of it last.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
        NoStore, StoreUnavailable, SchemaTooNew, SettingsError
    """
    assert threading.current_thread() is threading.main_thread()
    _check(Path(settings.state_dir), may_create)
    if not may_migrate:
        check_schema(Layout(Path(settings.state_dir)))
    loop = Loop()
    store, hints = _open(settings, loop)
    path = directory_picture(Path(settings.state_dir))
    has_picture = pictured and path.exists()
    desk = Desk(store, settings, loop, PictureFile.open_reading(path) if has_picture else None)
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work(desk))
        except BaseException as error:
            outcome.set_exception(error)
        loop.call_from_thread(lambda: None)

    def on_interrupt(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever asks twice does not want to wait
        loop.call_from_thread(desk.interrupt)

    handler = signal.signal(signal.SIGINT, on_interrupt)
    try:
        if needs_directory:
            _ = desk.directory
        threading.Thread(target=run, name="command", daemon=True).start()
        loop.run_until(lambda: outcome.done() or desk.interrupted)
        loop.run_until(outcome.done, LEAVE_S)
    finally:
        try:
            loop.run(desk.close())
            if hints is not None:
                hints.close()
            loop.close()
        finally:
            signal.signal(signal.SIGINT, handler)
    if not outcome.done():
        raise KeyboardInterrupt
    return outcome.result()


def at_person(settings: Settings, person: str, work: Callable[[Desk, Account], T]) -> T:
    """Run ``work`` about one person whose mail is in a store that is there. Raises: as ``at_desk``.

    The directory is left alone for somebody named by id, who may be gone from it.
    """
    return at_desk(
        settings,
        lambda desk: work(desk, desk.account(person)),
        needs_directory=not person.startswith(BY_ID),
        may_create=False,
    )


def _check(state_dir: Path, may_create: bool) -> None:
    """Refuse what would fail later with less to say. Raises: NoStore."""
    try:
        owner = Layout(state_dir).index.stat().st_uid
    except FileNotFoundError:
        if may_create:
            return
        raise NoStore(
            f"there is no mail store in {state_dir}; start the gateway once, or name its"
            " configuration by --config"
        ) from None
    except PermissionError as error:
        raise NoStore(
            f"{error.filename}: this user may not look into it; run the command as the user that"
            " runs the gateway"
        ) from None
    if owner != os.geteuid():
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"#{owner}"
        raise NoStore(
            f"the mail store in {state_dir} belongs to user {name}; run the command as that user,"
            f" such as by `sudo -u {name} gateway ...`"
        )


def _open(settings: Settings, loop: Loop) -> tuple[Store, Hints | None]:
    """The store, and who tells the gateway that runs beside us, if one does."""
    state_dir = Path(settings.state_dir)
    keep_s = settings.deleted_mail.keep_s
    destinations = Destinations(settings.outbound)
    try:
        store = Store.open(
            state_dir,
            destination_of=destinations,
            configuration=destinations.fingerprint,
            call_from_thread=loop.call_from_thread,
            wall_clock=time.time,
            keep_deleted_s=keep_s,
            keep_traces_s=settings.trace.keep_s,
            trace_octets=settings.trace.max_octets,
        )
    except StoreInUse:
        pass
    else:
        return store, None
    store = Store.join(
        state_dir,
        destination_of=destinations,
        configuration=destinations.fingerprint,
        name=f"command-{os.getpid()}",
        care=False,
        call_from_thread=loop.call_from_thread,
        wall_clock=time.time,
        keep_deleted_s=keep_s,
        keep_traces_s=settings.trace.keep_s,
        trace_octets=settings.trace.max_octets,
    )
    client = ControlClient(control_socket(state_dir), HINT_TIMEOUT_S)
    hints = Hints(lambda body: client.request("POST", "/v1/changes", body=body))
    store.share(hints.tell)
    return store, hints
