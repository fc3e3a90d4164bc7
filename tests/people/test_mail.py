"""Where mail goes for people who have left or moved, through the router, with its explanation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.account import Account, Elsewhere
from gateway.core.address import Address
from gateway.core.errors import (
    DirectoryUnavailable,
    MailboxDisabled,
    NobodyThere,
    StoreUnavailable,
    UnknownRecipient,
)
from gateway.core.queue import WaitingRecipient
from gateway.core.route import Expansion, LocalMailbox, Outbound, Route
from gateway.delivery.local import LocalDelivery
from gateway.edge.smtp.errors import reply_for
from gateway.people.mail import LeaverPolicy
from gateway.routing.alias_file import FixedAliases
from gateway.routing.aliases import Aliases, from_settings
from gateway.routing.domains import Domain, DomainRouter
from tests.people.test_following import DISABLED, RENAMED
from tests.people.world import ALICE, BOB, DAY_S, World, at, someone

KEEP_S = 365 * DAY_S
REFUSE = LeaverPolicy("refuse", 30 * DAY_S, keep_s=KEEP_S)
AT_ONCE = LeaverPolicy("refuse", keep_s=KEEP_S)
OFFICE = Address("office", "example.test")


class Told:
    def __init__(self) -> None:
        self.steps: list[str] = []

    def add(self, text: str) -> None:
        self.steps.append(text)

    @property
    def text(self) -> str:
        return "\n".join(self.steps)


def route(world: World, name: str, told: Told | None = None) -> Route:
    return world.wait(world.router.route(at(name), may_relay=False, steps=told))


def members(found: Route) -> list[str]:
    assert isinstance(found, Expansion)
    return [str(each.address) for each in found.members]


def test_a_former_address_leads_to_its_person_until_the_days_are_over(tmp_path: Path) -> None:
    with World(tmp_path, ALICE, keep_days=30) as world:
        world.move_in(ALICE)
        world.tell(ALICE, RENAMED)
        told = Told()
        assert route(world, "alice", told) == LocalMailbox(RENAMED)
        assert (
            "alice@example.test is a former address of alice.smith, since 2023-11-14" in told.text
        )
        assert route(world, "alice+tag") == LocalMailbox(RENAMED), "also with a tag"
        world.later(30)
        with pytest.raises(UnknownRecipient):
            route(world, "alice")


def test_none_where_the_settings_want_none(tmp_path: Path) -> None:
    with World(tmp_path, ALICE, keep_days=0) as world:
        world.tell(ALICE, RENAMED)
        with pytest.raises(UnknownRecipient):
            route(world, "alice")


def test_the_directory_and_aliases_come_first_and_a_catch_all_behind(tmp_path: Path) -> None:
    heir = someone("heir", "alice")
    with World(tmp_path, ALICE, BOB) as world:
        world.tell(ALICE, RENAMED)
        catching = Domain("example.test", catch_all=at("bob"))
        table = from_settings(
            {"alice": ("bob@example.test",)}, ("example.test",), lambda _: ("", "")
        )
        for aliases, owner in ((None, RENAMED), (FixedAliases(Aliases(table)), BOB)):
            router = DomainRouter({"example.test": catching}, world.folk, aliases=aliases)
            router.ask_about_leavers(world.mail)
            found = world.wait(router.route(at("alice"), may_relay=False))
            assert found == LocalMailbox(owner)
        world.folk.put(heir)
        assert route(world, "alice") == LocalMailbox(heir), "whoever has it, though not told of"


def test_a_relayed_domain_is_its_servers_affair(tmp_path: Path) -> None:
    with World(tmp_path, ALICE) as world:
        world.tell(ALICE, RENAMED)
        router = DomainRouter({"example.test": Domain("example.test", "smtp://x:25")}, world.folk)
        router.ask_about_leavers(world.mail)
        with pytest.raises(UnknownRecipient):
            world.wait(router.route(at("alice"), may_relay=False))


def test_L16_mail_for_the_disabled_is_taken_by_default_for_ever(tmp_path: Path) -> None:
    with World(tmp_path, ALICE) as world:
        world.tell(ALICE, DISABLED)
        world.later(5000)
        told = Told()
        assert route(world, "alice", told) == LocalMailbox(DISABLED)
        assert "alice is disabled; such mail is accepted (leavers.mail)" in told.text


def test_L16_refused_after_so_many_days_and_taken_until_then(tmp_path: Path) -> None:
    with World(tmp_path, ALICE, policy=REFUSE) as world:
        world.folk.put(DISABLED)
        assert route(world, "alice") == LocalMailbox(DISABLED), "not noted yet since when"
        world.tell(ALICE, DISABLED)
        world.later(29.9)
        told = Told()
        assert route(world, "alice", told) == LocalMailbox(DISABLED)
        assert "mail is taken until 2023-12-14" in told.text
        world.later(0.1)
        with pytest.raises(MailboxDisabled) as refused:
            route(world, "alice", told)
        assert "disabled since 2023-11-14 22:13 UTC; mail is refused (leavers.mail)" in told.text
        reply = reply_for(refused.value)
        assert (reply.code, reply.status) == (550, "5.2.1") and "alice" not in str(reply)
        world.tell(DISABLED, ALICE)
        assert route(world, "alice") == LocalMailbox(ALICE)


def test_L16_the_locked_get_their_mail(tmp_path: Path) -> None:
    locked = replace(ALICE, locked=True)
    with World(tmp_path, locked, policy=AT_ONCE) as world:
        assert route(world, "alice") == LocalMailbox(locked)


def test_a_mail_that_waited_is_refused_then_with_its_own_status(tmp_path: Path) -> None:
    async def learn(account: Account) -> None:
        pass

    with World(tmp_path, DISABLED, policy=AT_ONCE) as world:
        waiting = WaitingRecipient(1, at("alice"), "", 0)
        (outcome,) = world.wait(
            LocalDelivery(world.router, learn).attempt(None, [waiting])  # type: ignore[arg-type]
        )
        assert outcome.status == "5.2.1"


def test_forwarded_to_one_address_here_or_elsewhere_and_never_round(tmp_path: Path) -> None:
    policy = LeaverPolicy("forward", 0, OFFICE, keep_s=KEEP_S)
    office = someone("office")
    with World(tmp_path, DISABLED, office, policy=policy) as world:
        told = Told()
        assert members(route(world, "alice", told)) == ["office@example.test"]
        assert "mail goes to office@example.test (leavers.mail)" in told.text
        away = replace(office, enabled=False)
        world.folk.put(away)
        found = route(world, "alice")
        assert isinstance(found, Expansion) and found.members[0].route == LocalMailbox(away)


def test_a_group_leaves_out_whose_mail_is_refused(tmp_path: Path) -> None:
    with World(tmp_path, DISABLED, BOB, policy=AT_ONCE) as world:
        world.folk.add_group("all@example.test", "alice@example.test", "bob@example.test")
        found = route(world, "all")
        assert isinstance(found, Expansion) and members(found) == ["bob@example.test"]
        assert found.dead == ("alice@example.test: this mailbox is closed and takes no mail",)
        world.folk.add_group("left@example.test", "alice@example.test")
        with pytest.raises(NobodyThere):
            route(world, "left")


def test_the_policy_goes_before_where_the_directory_sends_a_leavers_mail(tmp_path: Path) -> None:
    elsewhere = Elsewhere("old.example", "smtp://old.example:25")
    moved = replace(DISABLED, elsewhere=elsewhere)
    with World(tmp_path / "a", moved, policy=AT_ONCE) as world, pytest.raises(MailboxDisabled):
        route(world, "alice")
    with World(tmp_path / "b", moved) as world:
        assert isinstance(route(world, "alice"), Outbound)


def test_addresses_of_the_gone_are_nobodys_unless_the_settings_say_so(tmp_path: Path) -> None:
    with World(tmp_path / "unknown", ALICE) as world:
        world.move_in(ALICE)
        world.tell(ALICE, None)
        told = Told()
        with pytest.raises(UnknownRecipient) as unknown:
            route(world, "al", told)
        assert not isinstance(unknown.value, MailboxDisabled)
        assert "al@example.test was an address of alice, who is gone from" in told.text
    policy = replace(REFUSE, gone_as_disabled=True)
    with World(tmp_path / "as", ALICE, policy=policy) as world:
        world.move_in(ALICE)
        world.tell(ALICE, None)
        found = route(world, "al")
        assert isinstance(found, LocalMailbox) and found.account.account_id == ALICE.account_id
        world.later(400)
        with pytest.raises(MailboxDisabled):
            route(world, "al")
        world.wait(world.desk.call("remove", {"id": ALICE.account_id, "days": 1}, "root"))
        with pytest.raises(UnknownRecipient) as unknown:
            route(world, "al")
        assert not isinstance(unknown.value, MailboxDisabled)


def test_L15_while_nobody_can_say_mail_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with World(tmp_path, ALICE) as world:
        world.tell(ALICE, RENAMED)

        async def away(_: object) -> None:
            raise DirectoryUnavailable

        async def broken(*_: object) -> None:
            raise StoreUnavailable

        with monkeypatch.context() as patch:
            patch.setattr(world.folk, "find_by_id", away)
            with pytest.raises(DirectoryUnavailable):
                route(world, "alice")
        monkeypatch.setattr(world.notes, "known", broken)
        with pytest.raises(StoreUnavailable) as error:
            route(world, "alice")
        assert reply_for(error.value).code == 451
