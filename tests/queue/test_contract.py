"""The port QueueStore, as the fake of these tests and the real store keep it alike."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.core.address import Address
from gateway.core.envelope import MessageOptions, Notify, RecipientOptions
from gateway.core.errors import OverQuota
from gateway.core.ids import AccountId
from gateway.core.messages import LOCAL, QueuedRecipient
from gateway.core.ports.queue import Leased, QueueStore
from gateway.core.queue import LocalCopy, QueueItem, Recorded, Wish
from gateway.core.quota import Quota
from tests.store.house import ALICE, BOB, NOW, House
from tests.support.queue_fakes import MemoryQueue

T = TypeVar("T")
ASKED = RecipientOptions(Notify.SUCCESS, "rfc822;b@old.example")


class Bench:
    """One of the two, and how to put mail into it."""

    def __init__(self, store: QueueStore, wait: Callable[[Any], Any]) -> None:
        self.store = store
        self._wait = wait

    def wait(self, flow: Coroutine[Deferred[Any], Any, T]) -> T:
        found: T = self._wait(flow)
        return found

    def add(self, name: str, *addresses: str, priority: int = 0, next_hop: str = "") -> None:
        raise NotImplementedError

    def fill(self, account_id: AccountId) -> None:
        """This person has no room."""
        raise NotImplementedError

    def ready(self, now: int = NOW, limit: int = 10) -> Sequence[str]:
        return self.wait(self.store.ready(now, limit))

    def lease_from(self, *wishes: Wish, now: int = NOW) -> Leased:
        return self.wait(self.store.lease(wishes, now, "me", 60))

    def lease(self, now: int = NOW) -> Sequence[QueueItem]:
        """All that is due."""
        wishes = [Wish(each, 10, now + 1) for each in self.ready(now)]
        return self.lease_from(*wishes, now=now).items

    def record(self, item: QueueItem, *results: Recorded) -> None:
        self.wait(self.store.record(item.queue_id, results, None))


class Fake(Bench):
    def __init__(self) -> None:
        self.queue = MemoryQueue()
        super().__init__(self.queue, _at_once)

    def add(self, name: str, *addresses: str, priority: int = 0, next_hop: str = "") -> None:
        options = MessageOptions(priority=priority)
        self.queue.add(
            *addresses, queue_id=name, at=NOW, options=options, asked=ASKED, next_hop=next_hop
        )

    def fill(self, account_id: AccountId) -> None:
        self.queue.full.add(account_id)


class Real(Bench):
    def __init__(self, house: House) -> None:
        self.house = house
        super().__init__(house.store, house.wait)

    def add(self, name: str, *addresses: str, priority: int = 0, next_hop: str = "") -> None:
        remote = [QueuedRecipient(_address(each), next_hop, ASKED) for each in addresses]
        message = self.house.message(name, remote=remote)
        self.wait(
            self.house.store.accept(replace(message, options=MessageOptions(priority=priority)))
        )

    def fill(self, account_id: AccountId) -> None:
        self.wait(self.house.store.quota.set_quota(account_id, Quota(1, 1)))


def _at_once(flow: Coroutine[Deferred[Any], Any, Any]) -> Any:
    found: list[Any] = []
    Deferred.fromCoroutine(flow).addBoth(found.append)
    (result,) = found
    if isinstance(result, Failure):
        result.raiseException()
    return result


def _address(text: str) -> Address:
    return Address(*text.split("@"))


@pytest.fixture(params=["fake", "store"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "fake":
        yield Fake()
    else:
        with House(tmp_path) as house:
            yield Real(house)


def test_what_is_leased_is_what_was_asked_for(bench: Bench) -> None:
    bench.add("1", "b@y.example", "c@y.example", priority=3)
    (item,) = bench.lease()
    assert item.options.priority == 3
    assert [str(each.address) for each in item.recipients] == ["b@y.example", "c@y.example"]
    assert {each.options for each in item.recipients} == {ASKED}
    assert not bench.lease()
    assert bench.wait(bench.store.next_due_at()) == NOW + 60
    assert bench.wait(bench.store.next_release_at()) is None


def test_urgent_mail_comes_first(bench: Bench) -> None:
    for number, priority in enumerate((-1, 0, 5, 0)):
        bench.add(str(number), f"b{number}@y.example", priority=priority)
    order = [str(item.recipients[0].address)[1] for item in bench.lease()]
    assert order == ["2", "1", "3", "0"]


def test_a_notice_of_delay_is_remembered(bench: Bench) -> None:
    bench.add("1", "b@y.example")
    (item,) = bench.lease()
    number = item.recipients[0].number
    bench.record(item, Recorded(number, 1, NOW + 100, "451 later", told_of_delay=True))
    (item,) = bench.lease(NOW + 100)
    assert item.recipients[0].told_of_delay and item.recipients[0].last_reply == "451 later"
    bench.record(item, Recorded(number, 2, NOW + 200, "451 later"))
    assert bench.lease(NOW + 200)[0].recipients[0].told_of_delay


def test_a_recipient_is_followed(bench: Bench) -> None:
    bench.add("1", "b@y.example")
    (item,) = bench.lease()
    new = QueuedRecipient(_address("c@z.example"), "smtp://z", ASKED)
    done = Recorded(item.recipients[0].number, 1, None, "passed on", followed_to=(new, new))
    bench.record(item, done)
    ((recipient,),) = [each.recipients for each in bench.lease(NOW + 60)]
    assert (str(recipient.address), recipient.next_hop) == ("c@z.example", "smtp://z")
    assert recipient.options == ASKED and recipient.attempts == 0


def test_who_has_no_room_keeps_everything_as_it_was(bench: Bench) -> None:
    bench.add("1", "bob@x.example", "alice@x.example", next_hop=LOCAL)
    bench.fill(BOB)
    (item,) = bench.lease()
    results = [
        Recorded(each.number, 1, None, "ok", copies=(LocalCopy(account_id, each.address),))
        for each, account_id in zip(item.recipients, (BOB, ALICE), strict=True)
    ]
    with pytest.raises(OverQuota) as full:
        bench.record(item, *results)
    assert full.value.account_ids == (BOB,)
    assert len(bench.lease(NOW + 60)[0].recipients) == 2
    bench.record(item, results[1])
    assert len(bench.lease(NOW + 200)[0].recipients) == 1


def test_results_for_what_is_gone_change_nothing(bench: Bench) -> None:
    bench.add("1", "b@y.example")
    (item,) = bench.lease()
    done = Recorded(item.recipients[0].number, 1, None, "ok")
    for _ in range(2):
        bench.record(item, done)
    assert bench.wait(bench.store.depth()).messages == 0


def put_off(item: QueueItem, at: int) -> Recorded:
    return Recorded(item.recipients[0].number, 1, at, "451 later")


def test_each_destination_has_its_own_part_of_a_message(bench: Bench) -> None:
    bench.add("1", "b@y.example", "c@z.example", "d@y.example")
    assert sorted(bench.ready()) == ["y.example", "z.example"]
    (item,) = bench.lease_from(Wish("y.example", 5, NOW + 9)).items
    assert item.destination == "y.example"
    assert [str(each.address) for each in item.recipients] == ["b@y.example", "d@y.example"]
    assert bench.ready() == ["z.example"]
    (other,) = bench.lease_from(Wish("z.example", 5, NOW + 9)).items
    assert (other.queue_id, other.destination) == (item.queue_id, "z.example")
    assert not {each.number for each in item.recipients} & {other.recipients[0].number}


def test_recipients_with_one_next_hop_go_together(bench: Bench) -> None:
    bench.add("1", "b@y.example", "c@z.example", next_hop="smtp://relay.example:25")
    assert bench.ready() == ["smtp://relay.example:25"]
    (item,) = bench.lease()
    assert len(item.recipients) == 2


def test_what_is_left_at_a_destination_is_told_and_waits_for_its_time(bench: Bench) -> None:
    for number in range(3):
        bench.add(str(number), f"b{number}@y.example")
    taken = bench.lease_from(Wish("y.example", 2, NOW + 30))
    assert len(taken.items) == 2
    assert taken.more == {"y.example"}
    assert not bench.ready(NOW + 29)
    assert bench.wait(bench.store.next_due_at()) == NOW + 30
    bench.add("3", "b3@y.example")  # new mail does not bring it forward
    assert not bench.ready(NOW + 29)
    assert bench.ready(NOW + 30) == ["y.example"]
    rest = bench.lease_from(Wish("y.example", 5, NOW + 60), now=NOW + 30)
    assert (len(rest.items), rest.more) == (2, frozenset())


def test_who_knows_a_destination_may_take_from_it_at_any_time(bench: Bench) -> None:
    for number in range(2):
        bench.add(str(number), f"b{number}@y.example")
    assert not bench.lease_from(Wish("y.example", 0, NOW + 3600)).items
    assert not bench.ready()
    assert len(bench.lease_from(Wish("y.example", 5, NOW + 3600)).items) == 2
    assert not bench.lease_from(Wish("nowhere.example", 5, NOW + 3600)).more


def test_a_destination_put_off_keeps_no_other_back(bench: Bench) -> None:
    bench.add("1", "b@y.example")
    bench.add("2", "b@z.example")
    bench.lease_from(Wish("y.example", 0, NOW + 3600))
    assert bench.ready() == ["z.example"]


def test_a_lease_ends_and_the_part_comes_again(bench: Bench) -> None:
    bench.add("1", "b@y.example")
    bench.lease()
    assert not bench.ready(NOW + 59)
    assert not bench.lease_from(Wish("y.example", 5, NOW + 99), now=NOW + 59).items
    assert bench.ready(NOW + 60) == ["y.example"]


def test_what_was_put_back_is_due_again_and_the_rest_with_it(bench: Bench) -> None:
    bench.add("1", "b@y.example", "c@y.example")
    (item,) = bench.lease()
    bench.record(item, put_off(item, NOW + 500))
    (rest,) = bench.lease()
    assert [str(each.address) for each in rest.recipients] == ["c@y.example"]
    bench.record(rest, Recorded(rest.recipients[0].number, 1, None, "250 ok"))
    assert not bench.ready(NOW + 499)
    assert bench.wait(bench.store.next_due_at()) == NOW + 500
    (late,) = bench.lease(NOW + 500)
    assert [str(each.address) for each in late.recipients] == ["b@y.example"]


def test_one_destination_s_end_leaves_the_others_alone(bench: Bench) -> None:
    bench.add("1", "b@y.example", "c@z.example")
    first, second = sorted(bench.lease(), key=lambda item: item.destination)
    bench.record(first, Recorded(first.recipients[0].number, 1, None, "250 ok"))
    assert not bench.ready(NOW + 59)  # the other one is being sent
    assert bench.wait(bench.store.depth()).recipients == 1
    bench.record(second, Recorded(second.recipients[0].number, 1, None, "250 ok"))
    assert bench.wait(bench.store.depth()).messages == 0
    assert bench.wait(bench.store.next_due_at()) is None


def test_who_is_followed_may_lie_elsewhere(bench: Bench) -> None:
    bench.add("1", "b@y.example", "c@z.example")
    first = next(item for item in bench.lease() if item.destination == "y.example")
    new = (QueuedRecipient(_address("d@z.example")), QueuedRecipient(_address("e@w.example")))
    done = Recorded(first.recipients[0].number, 1, None, "passed on", followed_to=new)
    bench.record(first, done)
    assert "w.example" in bench.ready()
    known = {
        str(each.address): item.destination
        for item in bench.lease(NOW + 60)
        for each in item.recipients
    }
    assert known == {
        "c@z.example": "z.example", "d@z.example": "z.example", "e@w.example": "w.example"
    }  # fmt: skip


def test_no_more_destinations_are_named_than_asked_for(bench: Bench) -> None:
    for number in range(5):
        bench.add(str(number), f"b@y{number}.example")
    assert len(bench.ready(limit=3)) == 3
