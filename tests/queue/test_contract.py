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
from gateway.core.ports.queue import QueueStore
from gateway.core.queue import LocalCopy, QueueItem, Recorded
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

    def lease(self, now: int = NOW, limit: int = 10) -> Sequence[QueueItem]:
        return self.wait(self.store.lease_due(now, "me", 60, limit))

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
