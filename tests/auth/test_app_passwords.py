"""App passwords at a login: whose, where, how long; and that no directory ever sees one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gateway.auth import app_passwords, slow_hash
from gateway.auth.app_passwords_making import AppPasswordRefused, Wanted
from gateway.auth.checkers import AppPasswordChecker
from gateway.auth.credentials import PasswordLogin
from gateway.core.account import Account
from gateway.core.app_passwords import Place, new_text
from gateway.core.errors import DirectoryUnavailable, WrongCredentials
from gateway.core.ids import AccountId
from gateway.core.login_reasons import LoginReason
from gateway.core.login_secret import LoginSecret, scram_verifier
from gateway.core.ports.kept_passwords import Refusal
from tests.auth.app_password_world import IMAP, NOW, World
from tests.support.pop3_fakes import ALICE


class Directory:
    """Takes everything; counts what it is shown."""

    def __init__(self) -> None:
        self.shown: list[bytes] = []

    def requestAvatarId(self, credentials: PasswordLogin) -> Deferred[Account]:
        self.shown.append(credentials.password)
        done: Deferred[Account] = Deferred()
        done.callback(ALICE)
        return done


def offer(password: bytes, peer_ip: str = IMAP.peer_ip) -> PasswordLogin:
    return PasswordLogin(
        login="alice", password=password, protocol="imap", peer_ip=peer_ip, over_tls=True
    )


def enter(world: World, directory: Directory, credentials: PasswordLogin) -> str:
    checker = AppPasswordChecker(world.apps, directory)
    try:
        world.pump.wait_for(checker.requestAvatarId(credentials))
    except WrongCredentials as error:
        return error.reason.name
    return "in"


def test_A8_L22_no_directory_sees_one_right_or_wrong_of_anybody() -> None:
    for enabled in (True, False):
        world, directory = World(enabled=enabled), Directory()
        made = world.make()
        right = offer(made.text.encode())
        assert enter(world, directory, right) == ("in" if enabled else "NO_APP_PASSWORDS")
        assert right.trail.app_password == (1 if enabled else 0)
        for text in (new_text(lambda _: 3), made.text.upper()):
            enter(world, directory, replace(offer(text.encode()), login="nobody"))
            enter(world, directory, offer(text.encode()))
        assert directory.shown == []
        assert enter(world, directory, offer(b"wonderland")) == "in"
        assert directory.shown == [b"wonderland"]


def test_where_only_app_passwords_are_taken_the_directory_is_not_asked() -> None:
    world, directory = World(only=True, exempt=("10.0.0.0/8",)), Directory()
    made = world.make()
    assert enter(world, directory, offer(b"wonderland")) == "APP_PASSWORD_WANTED"
    assert directory.shown == []
    assert enter(world, directory, offer(made.text.encode())) == "in"
    assert enter(world, directory, offer(b"wonderland", "10.1.1.1")) == "in", "webmail"


def test_each_is_good_where_it_was_made_for() -> None:
    world = World()
    imap = world.make(protocols=("imap", "submission")).text
    office = world.make(networks=("office", "2001:db8::/32")).text
    assert world.say(imap) == "in" and world.say(imap, Place("submission", "::1")) == "in"
    assert world.say(imap, Place("pop3", "192.0.2.1")) == "NOT_THIS_PROTOCOL"
    assert world.say(office) == "NOT_THIS_NETWORK"
    for address in ("198.51.100.7", "2001:db8::7"):
        assert world.say(office, Place("imap", address)) == "in"
    assert world.say(office, Place("imap", "local")) == "NOT_THIS_NETWORK"


def test_a_network_whose_name_is_gone_is_good_nowhere() -> None:
    world = World()
    text = world.make(networks=("office",)).text
    (row,) = world.store.rows
    world.store.rows = [replace(row, networks=("gone", "192.0.2.1"))]
    assert world.say(text) == "NOT_THIS_NETWORK"


def test_L16_people_who_are_disabled_or_locked_have_no_way_round() -> None:
    world = World()
    text = world.make().text
    for state, reason in (
        (replace(ALICE, enabled=False), "DISABLED"),
        (replace(ALICE, locked=True), "LOCKED"),
        (None, "UNKNOWN"),
        (replace(ALICE, account_id=AccountId("a2")), "NO_APP_PASSWORD"),
    ):
        assert world.say(text) == "in"  # also remembered as right
        world.directory.alice = state
        assert world.say(text) == reason, "the last one: a new owner of the old name"
        world.directory.alice = ALICE


def test_a_directory_that_cannot_say_is_not_a_wrong_password() -> None:
    world = World()
    text = world.make().text
    world.directory.away = True
    with pytest.raises(DirectoryUnavailable):
        world.say(text)


def test_L21_it_is_checked_once_a_minute_and_revoked_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checks = []
    fits = slow_hash.fits

    def counted(hashed: str, password: bytes) -> bool:
        checks.append(hashed)
        return fits(hashed, password)

    monkeypatch.setattr(app_passwords, "fits", counted)
    world = World()
    text = world.make().text
    assert [world.say(text) for _ in range(3)] == ["in"] * 3
    assert len(checks) == 1
    other = text[:2] + new_text(lambda _: 4)[2:]  # the same beginning, another password
    assert world.say(other) == "NO_APP_PASSWORD" and len(checks) == 2
    assert world.say(new_text(lambda _: 9)) == "NO_APP_PASSWORD" and len(checks) == 2, "unknown"
    world.monotonic += app_passwords.CHECKED_S + 1
    assert world.say(text) == "in" and len(checks) == 3
    world.pump.wait(world.store.remove(ALICE.account_id, [1]))
    assert world.say(text) == "NO_APP_PASSWORD" and len(checks) == 3


def test_its_end_comes_at_the_second() -> None:
    world = World()
    text = world.make(days=2).text
    world.store.now = NOW + 2 * 86_400 - 1
    assert world.say(text) == "in"
    world.store.now += 1
    assert world.say(text) == "APP_PASSWORD_EXPIRED"


def test_use_is_noted_now_and_then() -> None:
    world = World()
    text = world.make().text
    elsewhere = Place("submission", "192.0.2.2")
    for _ in range(3):
        world.say(text)
    assert world.store.uses == [(1, int(NOW), IMAP)]
    world.store.now += 61
    world.say(text)
    world.say(text, elsewhere)
    assert world.store.uses[1:] == [(1, int(NOW) + 61, elsewhere)]
    world.store.now += 301
    world.say(text, elsewhere)
    assert len(world.store.uses) == 3


def test_what_is_kept_does_not_hold_the_password() -> None:
    world = World()
    made = world.make()
    (row,) = world.store.rows
    assert made.text not in f"{row} {made}" and row.hash not in f"{row} {made}"
    assert row.hash.startswith("$argon2id$") and row.handle == made.text[:2]
    assert row.verifier.stored_key not in made.text.encode()
    assert repr(row.verifier).count("key") == 0


def test_no_more_than_allowed_and_no_longer() -> None:
    world = World()
    world.maker = world.make_maker(most=2, expire_days=30)
    assert world.make().kept.expires_at == int(NOW) + 30 * 86_400
    assert world.make(days=3).kept.expires_at == int(NOW) + 3 * 86_400
    for days, text in ((0, "as many as"), (31, "30 at most")):
        with pytest.raises(AppPasswordRefused, match=text):
            world.make(days=days)
    world.store.now += 4 * 86_400
    world.store.rows = [each for each in world.store.rows if not each.has_expired(world.store.now)]
    world.make()


def test_all_of_a_person_have_one_salt_and_it_is_that_of_their_own_verifier() -> None:
    own = scram_verifier(b"wonderland", b"the-directorys-one", 5000)
    world = World()
    world.directory.own = LoginSecret(ALICE, verifier=own)
    first = world.make().kept.verifier
    world.directory.own = None
    second = world.make().kept.verifier
    assert (first.salt, first.iterations) == (own.salt, 5000) == (second.salt, second.iterations)
    alone = World()
    alone.directory.away = True  # nobody can say: that is no obstacle
    assert len(alone.make().kept.verifier.salt) == 16


def test_who_comes_second_goes_beside_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two are made at once: the one that does not fit is made anew."""
    world = World()
    add = world.store.add
    late: list[Any] = []

    async def beaten(new: Any, *, most: int) -> Any:
        if not late:
            late.append(new)
            return None
        return await add(new, most=most)

    monkeypatch.setattr(world.store, "add", beaten)
    made = world.pump.wait(world.maker.make(ALICE, Wanted("phone"), "root"))
    assert made.kept.number == 1 and made.kept.hash != late[0].hash


def test_what_was_refused_can_be_told_to_who_asks() -> None:
    noted: list[tuple[AccountId, Refusal]] = []

    class Refusals:
        async def note(self, account_id: AccountId, refusal: Refusal) -> None:
            noted.append((account_id, refusal))

        async def recent(self, account_id: AccountId) -> list[Refusal]:
            raise NotImplementedError

    world = World(refusals=Refusals())
    text = world.make(protocols=("pop3",)).text
    assert world.say(text) == "NOT_THIS_PROTOCOL" and world.say(text, login="bob") == "UNKNOWN"
    refusal = Refusal(int(NOW), LoginReason.NOT_THIS_PROTOCOL, "imap", IMAP.peer_ip)
    assert noted == [(ALICE.account_id, refusal)]
    world, directory = World(refusals=Refusals(), only=True), Directory()
    for login in ("alice", "nobody"):
        enter(world, directory, replace(offer(b"wonderland"), login=login))
    world.directory.away = True
    assert enter(world, directory, offer(b"wonderland")) == "APP_PASSWORD_WANTED"
    assert [(whose, each.reason) for whose, each in noted[1:]] == [
        (ALICE.account_id, LoginReason.APP_PASSWORD_WANTED)
    ]
