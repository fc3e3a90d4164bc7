"""Recipients here who waited in the queue: routed again, delivered with their result."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.envelope import MessageOptions, Notify, RecipientOptions
from gateway.core.errors import DirectoryUnavailable, GatewayError, UnknownRecipient
from gateway.core.ids import AccountId
from gateway.core.messages import LOCAL
from gateway.core.queue import Outcome, QueueItem, Verdict, WaitingRecipient
from gateway.core.route import Expansion, LocalMailbox, Member, Outbound, Route
from gateway.delivery.carrier import Carrier
from gateway.delivery.local import LocalDelivery
from tests.queue.test_reports import actions, block, reports
from tests.support.queue_fakes import FakeDelivery
from tests.support.queue_world import World

SUCCESS = RecipientOptions(Notify.SUCCESS)


def person(name: str) -> LocalMailbox:
    text = f"{name}@x.example"
    return LocalMailbox(Account(AccountId(f"id-{name}"), text, text, (text,)))


def member(name: str, route: LocalMailbox | Outbound) -> Member:
    return Member(Address(*name.split("@")), route)


class Routes:
    """A router out of a dictionary."""

    def __init__(self, **routes: Route | GatewayError) -> None:
        self.routes = routes

    async def route(self, recipient: Address, *, may_relay: bool) -> Route:
        assert may_relay
        found = self.routes.get(recipient.local_part, Outbound())
        if isinstance(found, GatewayError):
            raise found
        return found


class Here(World):
    """A world in which people live."""

    def __init__(self, *, rejects_over_quota: bool = False, **routes: Route | GatewayError) -> None:
        self.learnt: list[str] = []
        self.routes = Routes(**routes)
        self.rejects_over_quota = rejects_over_quota
        super().__init__()

    def new_runner(self, **options: Any) -> Any:
        self.router = self.routes  # type: ignore[assignment]
        remote = self.delivery
        self.delivery = _Both(remote, LocalDelivery(self.routes, self._learn))  # type: ignore[assignment]
        return super().new_runner(rejects_over_quota=self.rejects_over_quota, **options)

    async def _learn(self, account: Account) -> None:
        self.learnt.append(account.account_id)

    @property
    def tried(self) -> list[tuple[str, ...]]:
        return [addresses for _, addresses, _ in self.delivery.remote.attempts]  # type: ignore[attr-defined]

    @property
    def copies(self) -> list[str]:
        return [account_id for _, account_id in self.queue.copies]


class _Both(Carrier):
    """The carrier with the fake for what leaves."""

    def __init__(self, remote: FakeDelivery, local: LocalDelivery) -> None:
        super().__init__(remote, local)  # type: ignore[arg-type]
        self.remote = remote


GROUP = Expansion(
    "staff",
    (
        member("ann@x.example", person("ann")),
        member("ben@x.example", person("ben")),
        member("cid@far.example", Outbound()),
    ),
)


BOTH = Expansion(
    "bob",
    (member("bob@x.example", person("bob")), member("copy@far.example", Outbound())),
)
"""bob@ = bob@ and copy@, as an alias that names itself."""


def test_a_person_gets_it_and_the_sender_hears_of_it_in_one_transaction() -> None:
    world = Here(bob=person("bob"))
    world.add("bob@x.example", next_hop=LOCAL, sender="a@far.example", asked=SUCCESS)
    assert world.copies == world.learnt == ["id-bob"]
    assert len(world.queue.recorded) == 2  # the delivery, and later the report's own
    assert actions(world) == ["delivered"]
    assert block(reports(world)[0])["Status"] == "2.1.5"


def test_a_group_is_expanded_once_and_its_members_are_not_reported_about() -> None:
    world = Here(staff=GROUP)
    world.add("staff@x.example", next_hop=LOCAL, sender="a@far.example", asked=SUCCESS)
    assert world.copies == ["id-ann", "id-ben"]
    assert actions(world) == ["expanded"]
    assert ("cid@far.example",) in world.tried and world.queue.rows == {}


def test_an_alias_of_one_keeps_the_senders_wishes() -> None:
    alias = Expansion("old", (member("new@far.example", Outbound()),))
    world = Here(old=alias)
    world.add("old@x.example", next_hop=LOCAL, sender="a@z.example", asked=SUCCESS)
    assert actions(world) == ["relayed"]
    assert block(reports(world)[0])["Final-Recipient"] == "rfc822; new@far.example"


def test_who_has_gone_meanwhile_and_trouble_with_the_directory_are_told_apart() -> None:
    world = Here(gone=UnknownRecipient(), busy=DirectoryUnavailable())
    world.add("gone@x.example", next_hop=LOCAL, sender="a@far.example")
    assert block(reports(world)[0])["Status"] == "5.1.1"
    world.add("busy@x.example", queue_id="Q2", next_hop=LOCAL)
    assert world.queue.waiting() == {"busy@x.example": (1, world.time.now + 60)}


@pytest.mark.parametrize("rejects", [False, True])
def test_a_full_mailbox_waits_or_fails_by_itself(rejects: bool) -> None:
    world = Here(bob=person("bob"), ann=person("ann"), rejects_over_quota=rejects)
    world.queue.full = {AccountId("id-bob")}
    world.add("ann@x.example", "bob@x.example", next_hop=LOCAL, sender="a@far.example")
    assert world.copies == ["id-ann"]
    if rejects:
        assert block(reports(world)[0])["Status"] == "5.2.2"
        return
    assert list(world.queue.waiting()) == ["bob@x.example"]
    world.queue.full.clear()
    world.pass_time(70)
    assert world.copies == ["id-ann", "id-bob"] and world.queue.rows == {}


def test_of_a_group_whoever_has_no_room_waits_alone() -> None:
    world = Here(staff=GROUP, ben=person("ben"))
    world.queue.full = {AccountId("id-ben")}
    world.add("staff@x.example", next_hop=LOCAL, sender="a@far.example")
    assert world.copies == ["id-ann"]
    assert list(world.queue.waiting()) == ["ben@x.example"]
    world.queue.full.clear()
    world.pass_time(200)
    assert world.copies == ["id-ann", "id-ben"] and world.queue.rows == {}


def test_of_a_group_who_waits_for_room_is_not_named_to_the_sender() -> None:
    """RFC 3461 section 5.2.7.2: the group's success was told, and nobody says who is in it."""
    world = Here(staff=GROUP, ben=person("ben"))
    world.queue.full = {AccountId("id-ben")}
    world.add("staff@x.example", next_hop=LOCAL, sender="a@far.example", asked=SUCCESS)
    world.queue.full.clear()
    world.pass_time(200)
    assert world.copies == ["id-ann", "id-ben"] and world.queue.rows == {}
    assert actions(world) == ["expanded"]


def test_an_aliass_others_do_not_wait_for_the_full_mailbox_of_its_namesake() -> None:
    world = Here(bob=BOTH)
    world.queue.full = {AccountId("id-bob")}
    world.add("bob@x.example", next_hop=LOCAL, sender="a@far.example", asked=SUCCESS)
    assert world.tried.count(("copy@far.example",)) == 1
    assert "bob@x.example" in world.queue.waiting()
    world.pass_time(30)
    world.queue.full.clear()
    world.pass_time(200)
    assert world.copies == ["id-bob"] and world.queue.rows == {}
    assert world.tried.count(("copy@far.example",)) == 1
    assert actions(world) == ["expanded"]


def test_who_forwards_to_others_as_well_does_not_go_round_when_full() -> None:
    both = Expansion(
        "ann",
        (member("ann@x.example", person("ann")), member("out@far.example", Outbound())),
    )
    world = Here(ann=both)
    world.queue.full = {AccountId("id-ann")}
    world.add("ann@x.example", next_hop=LOCAL, sender="a@far.example")
    world.pass_time(30)
    assert world.copies == [] and list(world.queue.waiting()) == ["ann@x.example"]
    world.queue.full.clear()
    world.pass_time(60)
    assert world.copies == ["id-ann"] and world.queue.rows == {}


def test_S34_who_waited_as_one_of_an_alias_gets_their_own_copy_and_nobody_another() -> None:
    """The others have rows of their own since RCPT, and may have theirs already."""
    world = Here(bob=BOTH)
    world.add("bob@x.example", next_hop=LOCAL, sender="a@far.example")
    assert world.copies == ["id-bob"] and world.queue.rows == {}
    assert world.tried == []


def test_S34_an_alias_that_names_itself_is_expanded_where_its_success_is_asked_for() -> None:
    world = Here(bob=BOTH)
    world.add("bob@x.example", next_hop=LOCAL, sender="a@far.example", asked=SUCCESS)
    assert world.copies == ["id-bob"] and actions(world) == ["expanded"]
    assert world.tried.count(("copy@far.example",)) == 1


def test_wishes_and_priorities_of_a_message_stay_when_it_is_followed() -> None:
    world = Here()
    options = MessageOptions(envid="E", priority=4)
    world.add("out@x.example", next_hop=LOCAL, options=options, asked=SUCCESS)
    assert actions(world) == ["relayed"]
    assert block(reports(world)[0], 0)["Original-Envelope-Id"] == "E"


def test_every_recipient_gets_exactly_one_outcome() -> None:
    local = LocalDelivery(Routes(bob=person("bob")), _nothing)
    waiting = tuple(
        WaitingRecipient(n, Address(name, "x.example"), LOCAL, 0)
        for n, name in enumerate(("bob", "else"))
    )
    item = QueueItem(*("Q", None, 1, 0, 1, 0), waiting)  # type: ignore[arg-type]
    outcomes: list[Any] = []
    Deferred.fromCoroutine(local.attempt(item, waiting)).addCallback(outcomes.append)
    (found,) = outcomes
    assert [type(each) for each in found] == [Outcome, Outcome]
    assert [each.verdict for each in found] == [Verdict.DELIVERED] * 2


async def _nothing(account: Account) -> None:
    return
