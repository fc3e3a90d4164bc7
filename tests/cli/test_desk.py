"""The desk: a command's work on the store when no gateway runs, its errors, and Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from gateway.cli import desk as desks
from gateway.cli.desk import Desk, NoStore, PersonUnknown, at_desk
from gateway.cli.loop import Loop
from gateway.core.errors import NoSuchMailbox, SettingsError
from gateway.core.ids import AccountId
from gateway.core.settings.model import Settings
from tests.cli.test_commands import call
from tests.support.waiting import eventually

PEOPLE = """\
dn: uid=alice,ou=people,dc=example,dc=test
objectClass: inetOrgPerson
entryUUID: 11111111-2222-3333-4444-000000000001
uid: alice
cn: Alice
sn: Alice
mail: alice@example.test
"""
ALICES_ID = AccountId("11111111-2222-3333-4444-000000000001")


def settings_for(folder: Path) -> Settings:
    people = folder / "people.ldif"
    if not people.exists():
        people.write_text(PEOPLE)
    return Settings.model_validate(
        {
            "hostname": "mail.example.test",
            "state_dir": str(folder / "state"),
            "domains": {"example.test": {}},
            "directory": {"kind": "ldif", "path": str(people)},
        }
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


def lock_is_free(settings: Settings) -> bool:
    fd = os.open(Path(settings.state_dir) / "store.lock", os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def threads() -> set[threading.Thread]:
    return set(threading.enumerate())


def test_work_reaches_the_store_and_leaves_nothing_behind(settings: Settings) -> None:
    before = threads()

    def work(desk: Desk) -> list[str]:
        desk.call(desk.store.ensure_account(ALICES_ID))
        desk.call(desk.store.create_mailbox(ALICES_ID, "Work"))
        assert not lock_is_free(settings)
        assert threading.current_thread() is not threading.main_thread()
        return [box.name for box in desk.call(desk.store.list_mailboxes(ALICES_ID))]

    assert "Work" in at_desk(settings, work)
    assert lock_is_free(settings)
    # The one that closes the store says so as its last act; those of tests before this one end too.
    eventually(lambda: threads() <= before)
    # The store is as durable as ever, and the desk may be set up again in the same process.
    assert "Work" in at_desk(settings, work_again)


def work_again(desk: Desk) -> list[str]:
    return [box.name for box in desk.call(desk.store.list_mailboxes(ALICES_ID))]


def test_errors_come_through_as_they_are(settings: Settings) -> None:
    def work(desk: Desk) -> None:
        desk.call(desk.store.find_mailbox(ALICES_ID, "nothing"))

    with pytest.raises(NoSuchMailbox):
        at_desk(settings, work)

    def leave(desk: Desk) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit, match="3"):
        at_desk(settings, leave)
    assert lock_is_free(settings)


def test_people_are_named_by_login_address_or_id(settings: Settings) -> None:
    def work(desk: Desk) -> None:
        for name in ("alice", "Alice@example.test"):
            assert desk.account(name).account_id == ALICES_ID
        with pytest.raises(PersonUnknown, match="nobody in the directory has the login or addr"):
            desk.account("bob")
        with pytest.raises(PersonUnknown, match="the store has no mailboxes of 'id:gone'"):
            desk.account("id:gone")
        desk.call(desk.store.ensure_account(AccountId("gone")))
        assert desk.account("id:gone").account_id == "gone"

    at_desk(settings, work)


def test_a_directory_that_cannot_be_used_stops_only_who_needs_it(settings: Settings) -> None:
    Path(settings.directory.path).write_text("nonsense")
    with pytest.raises(SettingsError, match=r"people\.ldif"):
        at_desk(settings, lambda desk: None)
    assert lock_is_free(settings)
    assert at_desk(settings, lambda desk: "done", needs_directory=False) == "done"


def test_commands_that_need_a_store_do_not_make_one(settings: Settings) -> None:
    with pytest.raises(NoStore, match=r"there is no mail store in .* by --config"):
        at_desk(settings, lambda desk: None, may_create=False)
    assert not Path(settings.state_dir).exists()


def test_a_store_of_somebody_else_is_left_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_desk(settings, lambda desk: None)
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    with pytest.raises(NoStore, match=r"belongs to user .*; run the command as that user"):
        at_desk(settings, lambda desk: None)


def test_ctrl_c_ends_the_work_and_keeps_what_was_committed(settings: Settings) -> None:
    reached: list[str] = []

    def work(desk: Desk) -> None:
        try:
            desk.call(desk.store.create_mailbox(ALICES_ID, "Before"))
            os.kill(os.getpid(), signal.SIGINT)
            while True:
                desk.call(desk.store.list_mailboxes(ALICES_ID))
        finally:
            reached.append("end")

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        at_desk(settings, work)
    assert reached == ["end"]
    assert signal.getsignal(signal.SIGINT) is handler
    assert lock_is_free(settings)
    assert "Before" in at_desk(settings, work_again)


def test_a_work_thread_that_hangs_does_not_keep_the_store(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desks, "LEAVE_S", 0.05)
    hung = threading.Event()

    def work(desk: Desk) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        hung.wait()

    with pytest.raises(KeyboardInterrupt):
        at_desk(settings, work)
    assert lock_is_free(settings)
    hung.set()


def test_ctrl_c_is_status_130(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gateway.cli.mailbox.load_settings", interrupt)
    assert call(monkeypatch, "mailbox", "list", "alice") == 130


def test_timers_of_the_directory_run_while_nothing_else_happens() -> None:
    loop = Loop()
    fired: list[str] = []

    def begin() -> None:
        loop.reactor.callLater(0.1, fired.append, "second")
        loop.reactor.callLater(0.01, fired.append, "first")

    loop.call_from_thread(begin)
    loop.run_until(lambda: len(fired) == 2, 30)
    assert fired == ["first", "second"]
    loop.run_until(lambda: False, 0.01)  # a limit ends it, whatever is awaited
    loop.close()


def test_the_loop_ends_only_when_nobody_is_waking_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread hands over may be done before the thread has said so to the reactor's pipe."""
    loop = Loop()
    appended, go_on = threading.Event(), threading.Event()
    done: list[str] = []
    failed: list[OSError] = []
    wake = loop.reactor.waker.wakeUp

    def wake_late() -> None:
        appended.set()
        assert go_on.wait(30)
        wake()

    def hand_over() -> None:
        try:
            loop.call_from_thread(lambda: done.append("it"))
        except OSError as error:
            failed.append(error)

    monkeypatch.setattr(loop.reactor.waker, "wakeUp", wake_late)
    thread = threading.Thread(target=hand_over)
    thread.start()
    assert appended.wait(30)
    loop.run_until(lambda: bool(done), 30)
    threading.Timer(0.1, go_on.set).start()
    loop.close()
    thread.join(30)
    assert done == ["it"] and not failed


def test_ctrl_c_cuts_a_call_short_that_waits_for_somebody(settings: Settings) -> None:
    async def wait_for_ever() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await Deferred[None]()

    with pytest.raises(KeyboardInterrupt):
        at_desk(settings, lambda desk: desk.call(wait_for_ever()))
    assert lock_is_free(settings)
