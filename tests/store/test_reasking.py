"""Where queued mail goes is asked again when the configuration has changed, and only then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.core.address import Address
from gateway.core.messages import LOCAL, QueuedRecipient
from gateway.core.ports.queue import DestinationOf
from gateway.core.queue import QueueFilter, QueueItem, QueueState, Recorded
from gateway.store import reasking
from tests.store.house import CAROL, DAVE, ERIN, NOW, House

RELAY = "smtps://relay.example:465"
BOB_HERE = QueuedRecipient(Address("bob", "example.test"), LOCAL)


class Configured(House):
    """A house whose store knows a configuration."""

    def __init__(self, state_dir: Path, destination_of: DestinationOf, configuration: str) -> None:
        self.prepare(state_dir)
        self.store = self.open_store(destination_of=destination_of, configuration=configuration)


def by_domain(sender: Address | None, recipient: Address, next_hop: str) -> str:
    return next_hop or recipient.domain


def by_relay(sender: Address | None, recipient: Address, next_hop: str) -> str:
    return next_hop or RELAY


def destinations(house: House) -> dict[str, str]:
    found: dict[str, str] = {}
    for message in house.wait(house.store.queue.listed(QueueFilter(), after=None, limit=99)):
        entry = house.wait(house.store.queue.entry(message.queue_id))
        assert entry is not None
        for each in entry.recipients:
            found[f"{message.message_id} {each.recipient.address}"] = each.destination
    return found


def test_what_waits_goes_by_the_new_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reasking, "ROWS_AT_ONCE", 2)
    with Configured(tmp_path, by_domain, "1") as house:
        house.wait(house.store.ask_destinations())
        house.deliver("a", remote=[CAROL, DAVE, ERIN, BOB_HERE])
        house.deliver("b", remote=[QueuedRecipient(Address("x", "z.example"))])
    with Configured(tmp_path, by_relay, "2") as house:
        assert house.wait(house.store.ask_destinations()) == 3
        assert destinations(house) == {
            "a carol@example.org": RELAY,
            "a dave@example.net": "smtp://relay.example.net:25",
            "a erin@example.org": RELAY,
            "a bob@example.test": LOCAL,
            "b x@z.example": RELAY,
        }
        house.verify()
        items = house.lease()
        assert sum(len(item.recipients) for item in items if item.destination == RELAY) == 3
        house.verify()


def test_only_a_changed_configuration_is_asked(tmp_path: Path) -> None:
    asked: list[Address] = []

    def noting(sender: Address | None, recipient: Address, next_hop: str) -> str:
        asked.append(recipient)
        return recipient.domain

    with Configured(tmp_path, noting, "1") as house:
        house.deliver("a", remote=[CAROL])
        assert house.wait(house.store.ask_destinations()) == 0
        assert len(asked) == 2
    with Configured(tmp_path, noting, "1") as house:
        assert house.wait(house.store.ask_destinations()) == 0
        assert len(asked) == 2
    with House(tmp_path) as house:  # nobody says anything
        assert house.wait(house.store.ask_destinations()) == 0


def test_parts_that_meet_become_one(tmp_path: Path) -> None:
    with Configured(tmp_path, by_domain, "1") as house:
        there = QueuedRecipient(Address("there", "y.example"), RELAY)
        house.deliver("a", remote=[CAROL, there])
        house.wait(house.store.ask_destinations())
    with Configured(tmp_path, by_relay, "2") as house:
        house.wait(house.store.ask_destinations())
        (item,) = house.lease()
        assert len(item.recipients) == 2
        house.verify()


def _later(house: House, item: QueueItem) -> None:
    for each in item.recipients:
        house.wait(house.store.record(item.queue_id, [Recorded(each.number, 1, NOW + 9, "")], None))


def _gone(house: House, item: QueueItem) -> None:
    house.wait(house.store.queue.remove([item.queue_id]))


@pytest.mark.parametrize("ends", [_later, _gone])
def test_what_is_being_sent_is_left_till_it_comes_back(
    tmp_path: Path, ends: Callable[[House, QueueItem], None]
) -> None:
    with Configured(tmp_path, by_domain, "1") as house:
        house.wait(house.store.ask_destinations())
        house.deliver("a", remote=[CAROL, ERIN])
        house.deliver("b", remote=[CAROL])
    with Configured(tmp_path, by_relay, "2") as house:
        item, other = house.lease()
        assert house.wait(house.store.ask_destinations()) == 0
        assert set(destinations(house).values()) == {"example.org"}
        ends(house, item)
        for each in other.recipients:
            done = Recorded(each.number, 1, None, "250 ok")
            house.wait(house.store.record(other.queue_id, [done], None))
        assert set(destinations(house).values()) <= {RELAY}
        house.verify()


def test_D4_a_start_in_between_asks_again(tmp_path: Path) -> None:
    with Configured(tmp_path, by_domain, "1") as house:
        house.wait(house.store.ask_destinations())
        house.deliver("a", remote=[CAROL])
    with Configured(tmp_path, by_relay, "2") as house:
        house.lease()
        house.wait(house.store.ask_destinations())  # and ends before what is being sent is back
    with Configured(tmp_path, by_relay, "2") as house:
        assert house.wait(house.store.ask_destinations()) == 1
        (message,) = house.wait(house.store.queue.listed(QueueFilter(), after=None, limit=9))
        assert (message.state, message.destinations) == (QueueState.READY, (RELAY,))


def test_a_configuration_that_fails_loses_no_mail(tmp_path: Path) -> None:
    def broken(sender: Address | None, recipient: Address, next_hop: str) -> str:
        raise ValueError(recipient)

    with Configured(tmp_path, broken, "1") as house:
        house.deliver("a", remote=[CAROL])
        assert house.wait(house.store.ready(NOW, 9)) == ["example.org"]
