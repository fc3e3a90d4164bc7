"""Deeds of administrators on a real store: which messages they mean, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import CancelledError

from gateway.core.address import Address
from gateway.core.envelope import Hold
from gateway.core.messages import LOCAL, QueuedRecipient
from gateway.core.queue import Trouble, Verdict
from gateway.queue.desk_forms import CallRefused
from tests.store.house import CAROL, DAVE, NOW
from tests.support.queue_office import ALICE, ROOT, Office

RELAY = "smtp://relay.example.com:25"


def names(answer: Any) -> list[str]:
    return [each["id"] for each in answer["messages"]]


def ways(office: Office, queue_id: str) -> dict[str, tuple[str, str]]:
    shown = office.call("show", id=queue_id)
    return {
        each["address"]: (each["next_hop"], each["destination"]) for each in shown["recipients"]
    }


def test_filters_narrow_by_state_age_size_and_the_id_of_acceptance(closed: Office) -> None:
    house = closed.house
    small = closed.accept("0abc-1")
    large = house.message("0abc-2", octets=b"Subject: x\r\n\r\n" + b"x" * 5000, remote=[CAROL])
    large_id = house.wait(house.store.accept(replace(large, received_at=NOW - 5000))).queue_id
    held = closed.accept("0abc-3", hold=Hold("look"))
    for filters, found in (
        ({"state": "held"}, [held]),
        ({"state": "ready"}, [small, large_id]),
        ({"state": "sending"}, []),
        ({"larger_octets": 4000}, [large_id]),
        ({"before": NOW - 4000}, [large_id]),
        ({"since": NOW - 4000}, [small, held]),
        ({"message_id": "[0abc-3]"}, [held]),
        ({"message_id": "0abc-9"}, []),
        ({"state": "ready", "since": NOW}, [small]),
    ):
        assert names(closed.call("list", **filters)) == found, filters
    (row,) = closed.call("list", state="held")["messages"]
    assert row["state"] == "held" and row["destinations"] == ["example.org"]
    with pytest.raises(CallRefused, match="expected one of ready, waiting, sending, held"):
        closed.call("list", state="lost")


def test_the_id_under_which_a_message_was_accepted_will_do_everywhere(closed: Office) -> None:
    queue_id = closed.accept("0abc-1")
    assert closed.call("show", id="[0ABC-1]")["id"] == queue_id
    assert closed.call("hold", ids=["0abc-1", queue_id])["done"] == [queue_id]
    assert len(closed.notes.records) == 1
    assert closed.call("release", ids=["0abc-1"])["done"] == [queue_id]
    assert closed.call("delete", ids=["0abc-2"])["refused"][0]["id"] == "0abc-2"
    assert closed.call("delete", ids=["0abc-1"])["done"] == [queue_id]


def test_the_shape_counts_by_destination_and_by_sender(closed: Office) -> None:
    closed.accept("1", CAROL, DAVE)
    closed.accept("2", CAROL, sender=None)
    rows = {each["name"]: each["total"] for each in closed.call("shape")["rows"]}
    assert rows == {"example.org": 2, DAVE.next_hop: 1}
    rows = {each["name"]: each["total"] for each in closed.call("shape", by="sender")["rows"]}
    assert rows == {"x.example": 1, "": 1}


# -- another way


def test_who_is_not_meant_keeps_their_way(closed: Office) -> None:
    here = QueuedRecipient(Address("bob", "x.example"), LOCAL)
    queue_id = closed.accept("1", CAROL, DAVE, here)
    answer = closed.call("reroute", ids=[queue_id], to=[RELAY], destination="example.org")
    assert answer["done"] == [queue_id]
    assert ways(closed, queue_id) == {
        "carol@example.org": (RELAY, RELAY),
        "dave@example.net": (DAVE.next_hop, DAVE.next_hop),
        "bob@x.example": (LOCAL, LOCAL),
    }
    closed.call("reroute", ids=[queue_id], to=[RELAY])
    assert ways(closed, queue_id)["dave@example.net"] == (RELAY, RELAY)
    assert ways(closed, queue_id)["bob@x.example"] == (LOCAL, LOCAL)
    (deed, _) = closed.notes.records
    assert (deed.kind, deed.fields["next_hop"]) == ("rerouted", RELAY)


def test_who_is_meant_by_nobody_is_told(closed: Office) -> None:
    here = QueuedRecipient(Address("bob", "x.example"), LOCAL)
    ids = [closed.accept("1", here), closed.accept("2", CAROL)]
    answer = closed.call("reroute", ids=ids, to=[RELAY], destination="other.example")
    assert [each["why"] for each in answer["refused"]] == [
        "it waits for people who have their mailbox here",
        "none of its recipients is meant",
    ]
    for to in ([], "mx", [1], ["nonsense"]):
        with pytest.raises(CallRefused, match="to: "):
            closed.call("reroute", ids=ids, to=to)


def test_rerouting_is_undone_as_routing_says(office: Office) -> None:
    plant = QueuedRecipient(Address("bob", "plant.example"), "smtp://old:25")
    queue_id = office.accept("1", CAROL, plant, hold=Hold("look"))
    office.call("reroute", ids=[queue_id], to=[RELAY])
    assert {each for each, _ in ways(office, queue_id).values()} == {RELAY}
    office.call("reroute", ids=[queue_id], to=["settings"])
    assert ways(office, queue_id) == {
        "carol@example.org": ("", "example.org"),
        "bob@plant.example": ("smtp://old:25", "smtp://old:25"),
    }


def test_what_is_being_sent_is_not_sent_another_way_at_the_same_time(office: Office) -> None:
    first, second = office.accept("1"), office.accept("2")
    office.sending()
    answer = office.call("reroute", ids=[first, second], to=[RELAY])
    assert answer["done"] == [second] and "being sent" in answer["refused"][0]["why"]
    office.sending(2)
    assert office.delivery.attempts[1][2] == RELAY
    for pending in office.delivery.pending:
        pending.callback(None)


# -- dead destinations


def test_a_dead_destination_is_shown_and_tried_at_once_by_retry(office: Office) -> None:
    office.delivery.default = Verdict.DEFERRED
    office.delivery.troubles["example.org"] = Trouble.DEAD
    queue_id = office.accept("1")
    office.sending()
    office.house.pump.until(lambda: names(office.call("list", state="waiting")) == [queue_id])
    (row,) = office.call("destinations")["destinations"]
    assert row["dead_until"] > NOW and row["waiting"] == 1 and row["problem"]
    (recipient,) = office.call("show", id=queue_id)["recipients"]
    assert recipient["why"] == f"nobody at example.org can be talked to: {row['problem']}"
    office.delivery.troubles.clear()
    office.delivery.default = Verdict.DELIVERED
    assert office.hastened == []
    assert office.call("retry", ids=[queue_id])["done"] == [queue_id]
    assert office.hastened == ["example.org"], "and what was refused there is forgotten"
    office.sending(2)
    office.house.pump.until(lambda: office.house.wait(office.house.store.depth()).messages == 0)
    assert office.call("destinations")["destinations"] == []


def dies(office: Office, recipient: QueuedRecipient) -> None:
    """Where this one is sent to nobody answers."""
    office.delivery.default = Verdict.DEFERRED
    office.delivery.troubles[recipient.next_hop or "example.org"] = Trouble.DEAD
    office.accept("first", recipient)
    office.house.pump.until(
        lambda: any(each["dead_until"] for each in office.call("destinations")["destinations"])
    )


def test_what_is_released_is_tried_though_nobody_was_there_before(office: Office) -> None:
    held = office.accept("1", CAROL, hold=Hold("look"))
    dies(office, CAROL)
    office.call("release", ids=[held])
    office.sending(2)
    assert office.delivery.attempts[-1][0] == held


def test_what_is_sent_another_way_is_tried_there_though_nobody_was_there_before(
    office: Office,
) -> None:
    dies(office, replace(CAROL, next_hop=RELAY))
    queue_id = office.accept("1", DAVE)
    office.sending(2)
    office.house.pump.until(lambda: queue_id in names(office.call("list", state="waiting")))
    office.call("reroute", ids=[queue_id], to=[RELAY])
    office.sending(3)
    assert office.delivery.attempts[-1][::2] == (queue_id, RELAY)


def test_a_deed_is_done_and_recorded_though_whoever_asked_hung_up(closed: Office) -> None:
    ids = [closed.accept(str(number)) for number in range(3)]
    asked = closed.house.pump.start(closed.desk.call("hold", {"ids": ids}, ROOT))
    asked.cancel()
    with pytest.raises(CancelledError):
        closed.house.pump.wait_for(asked)
    closed.house.pump.until(lambda: closed.deeds == [("held", ROOT)] * 3)
    assert names(closed.call("list", held=True)) == ids


def test_a_message_to_many_destinations_is_given_back_whole(office: Office) -> None:
    queue_id = office.accept("1", CAROL, DAVE, hold=Hold("look"))
    assert office.call("bounce", ids=[queue_id])["done"] == [queue_id]
    store = office.house.store
    assert office.house.wait(store.depth()).messages == 0
    inbox = office.house.wait(store.find_mailbox(office.account_id, "INBOX"))
    rows = office.house.wait(store.rows(inbox.mailbox_id, ((1, 9),)))
    reports = [office.house.wait(store.read(row.blob_id, 0, row.size_octets)) for row in rows]
    text = b"".join(reports)
    assert len(reports) == 1 and b"carol@example.org" in text and b"dave@example.net" in text
    assert str(ALICE).encode() in text
