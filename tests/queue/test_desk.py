"""What administrators ask and do, on a real store beside a runner whose next hop never answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gateway.core.address import Address
from gateway.core.envelope import DeliverBy, Hold, MessageOptions, Notify, RecipientOptions
from gateway.core.errors import GatewayError, StoreUnavailable
from gateway.core.ids import AccountId, QueueId
from gateway.core.messages import LOCAL, QueuedRecipient
from gateway.queue.desk_forms import CallRefused
from tests.store.house import CAROL, NOW
from tests.support.queue_office import ROOT, Office

ALICE_ID = AccountId("id-alice@x.example")


def test_a_list_has_pages(closed: Office) -> None:
    ids = [closed.accept(str(number)) for number in range(5)]
    first = closed.call("list", limit=3)
    assert [each["id"] for each in first["messages"]] == ids[:3]
    assert first["more_after"] == ids[2]
    rest = closed.call("list", limit=3, after=ids[2])
    assert [each["id"] for each in rest["messages"]] == ids[3:] and rest["more_after"] == ""
    (row,) = closed.call("list", limit=1)["messages"]
    assert row["sender"] == "<alice@x.example>"
    assert row["first_recipients"] == ["carol@example.org"] and row["recipient_count"] == 1
    assert closed.call("list", sender="@nowhere.example")["messages"] == []


def test_show_tells_options_and_each_recipient(closed: Office) -> None:
    asked = RecipientOptions(Notify.SUCCESS | Notify.DELAY, "rfc822;c@old.example")
    options = MessageOptions(envid="E1", priority=2, deliver_by=DeliverBy(NOW + 9, True))
    queue_id = closed.accept("1", replace(CAROL, options=asked), options=options)
    shown = closed.call("show", id=queue_id)
    assert shown["options"] == {
        "body": "7BIT",
        "envid": "E1",
        "priority": 2,
        "deliver_by": {"at": NOW + 9, "or_return": True, "trace": False},
    }
    (recipient,) = shown["recipients"]
    assert recipient["address"] == "carol@example.org"
    assert recipient["notify"] == ["SUCCESS", "DELAY"]
    assert recipient["original"] == "rfc822;c@old.example"
    assert recipient["next_attempt_at"] == NOW


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("dance", {}, "does not know"),
        ("list", {"limit": 0}, "limit: found 0"),
        ("list", {"limit": True}, "limit: found True; expected int"),
        ("list", {"held": "yes"}, "held: found yes; expected bool"),
        ("list", {"sender": "alice"}, "sender: found alice; expected an address or @domain"),
        ("list", {"recipient": "a@"}, "recipient: found a@; expected an address or @domain"),
        ("list", {"destination": "a@b.example"}, "expected a domain or a next hop"),
        ("show", {"id": "FFFF"}, "no message 'FFFF'"),
        ("show", {"id": 7}, "id: found 7; expected str"),
        ("hold", {}, "expected a list"),
        ("hold", {"ids": [7]}, "expected a list"),
        ("hold", {"ids": ["1"] * 501}, "found 501"),
    ],
)
def test_what_a_call_may_not_be(closed: Office, name: str, arguments: Any, words: str) -> None:
    with pytest.raises(CallRefused, match=words):
        closed.call(name, **arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sender", "<alice@x.example>"),
        ("sender", "@X.EXAMPLE"),
        ("recipient", "<grün@bücher.example>"),
        ("recipient", "@xn--bcher-kva.example"),
        ("recipient", "Postmaster"),
        ("destination", "Bücher.example"),
        ("destination", "smtp://relay.example.net:25"),
    ],
)
def test_filters_take_addresses_as_lists_show_them_and_as_people_write_them(
    closed: Office, name: str, value: str
) -> None:
    found = closed.accept(
        "1",
        QueuedRecipient(Address("grün", "xn--bcher-kva.example")),
        QueuedRecipient(Address("postmaster", ""), "smtp://relay.example.net:25"),
    )
    closed.accept("2", sender=Address("bob", "y.example"))
    assert [each["id"] for each in closed.call("list", **{name: value})["messages"]] == [found]


class Failing:
    """A queue with one message that it cannot read."""

    def __init__(self, control: Any, failing: str) -> None:
        self._control = control
        self._failing = failing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._control, name)

    async def entry(self, queue_id: QueueId) -> Any:
        if queue_id == self._failing:
            raise StoreUnavailable("the disk is in trouble")
        return await self._control.entry(queue_id)


class Slow:
    """A queue whose first answer about a message comes late."""

    def __init__(self, control: Any) -> None:
        self._control = control
        self.gates: list[Deferred[None]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._control, name)

    async def named(self, queue_ids: Sequence[QueueId]) -> Any:
        found = await self._control.named(queue_ids)
        if not self.gates:
            self.gates.append(Deferred())
            await self.gates[0]
        return found


def test_nobody_is_reported_about_who_got_it_meanwhile(office: Office) -> None:
    queue_id = office.accept("1")
    office.sending()
    slow = Slow(office.house.store.queue)
    office.open_desk(slow)
    called = office.house.pump.start(office.desk.call("bounce", {"ids": [queue_id]}, ROOT))
    office.house.pump.until(lambda: bool(slow.gates))
    office.delivery.pending[0].callback(None)
    office.house.pump.until(lambda: office.house.wait(office.house.store.depth()).messages == 0)
    slow.gates[0].callback(None)
    (refused,) = office.house.pump.wait_for(called)["refused"]
    assert "just been delivered" in refused["why"]
    assert office.house.wait(office.house.store.list_mailboxes(ALICE_ID)) == []


def test_an_id_may_be_typed_in_small_letters(office: Office) -> None:
    office.accept("0")
    queue_id = office.accept("1")
    office.sending()
    typed = queue_id.lstrip("0").lower()
    assert office.call("show", id=typed)["id"] == queue_id
    assert office.call("hold", ids=[typed])["done"] == [queue_id]
    assert office.call("delete", ids=[typed])["done"] == [queue_id]
    office.delivery.pending[0].callback(None)


def test_trouble_in_the_middle_of_many_is_told_and_what_was_done_is_traced(
    closed: Office,
) -> None:
    ids = [closed.accept(str(number)) for number in range(3)]
    closed.open_desk(Failing(closed.house.store.queue, ids[1]))
    with pytest.raises(StoreUnavailable):
        closed.call("bounce", ids=ids)
    assert [each for each in closed.deeds if each[1]] == [("bounced", ROOT)] * 2
    (left,) = closed.call("list", sender="alice@x.example")["messages"]
    assert left["id"] == ids[1]


def test_deeds_on_many_are_answered_in_their_order(closed: Office) -> None:
    ids = [closed.accept(str(number)) for number in range(60)]
    asked = [*ids[:55], "FFFF", *ids[:3]]
    answer = closed.call("hold", ids=asked)
    assert answer["done"] == ids[:55] and [each["id"] for each in answer["refused"]] == ["FFFF"]
    assert len(closed.notes.records) == 55


def test_every_deed_is_traced_with_who_did_it(closed: Office) -> None:
    queue_id = closed.accept("1")
    assert closed.call("hold", ids=[queue_id], reason="look first")["done"] == [queue_id]
    assert closed.call("retry", ids=[queue_id])["refused"] == [
        {"id": queue_id, "why": "it is held (look first); release it"}
    ]
    assert closed.call("release", ids=[queue_id, queue_id])["done"] == [queue_id]
    assert closed.call("retry", ids=[queue_id, "FFFF"])["refused"] == [
        {"id": "FFFF", "why": "no such message waits in the queue"}
    ]
    assert closed.call("delete", ids=[queue_id])["done"] == [queue_id]
    kinds = ["held", "released", "hastened", "deleted"]
    assert closed.deeds == [(kind, ROOT) for kind in kinds]
    assert {each.trace_id for each in closed.notes.records} == {"1"}


def test_what_waits_in_line_is_held_at_once_and_what_is_being_sent_goes_on(office: Office) -> None:
    first, second = office.accept("1"), office.accept("2")
    office.sending()
    office.call("hold", ids=[first, second])
    office.delivery.pending[0].callback(None)
    office.house.pump.until(lambda: office.house.wait(office.house.store.depth()).messages == 1)
    assert len(office.delivery.attempts) == 1
    assert office.call("list")["messages"][0]["id"] == second
    office.call("release", ids=[second])
    office.sending(2)
    office.delivery.pending[1].callback(None)


def test_what_is_being_sent_is_neither_deleted_nor_given_back(office: Office) -> None:
    queue_id = office.accept("1")
    office.sending()
    for deed in ("delete", "bounce"):
        (refused,) = office.call(deed, ids=[queue_id])["refused"]
        assert "being sent" in refused["why"]
    office.delivery.pending[0].callback(None)


def test_what_is_given_back_comes_with_a_report(office: Office) -> None:
    asked = RecipientOptions(Notify.NEVER)
    silent = QueuedRecipient(Address("silent", "y.example"), options=asked)
    queue_id = office.accept("1", CAROL, silent, hold=Hold("why"))
    assert office.call("bounce", ids=[queue_id], reason="as agreed")["done"] == [queue_id]
    store = office.house.store
    inbox = office.house.wait(store.find_mailbox(ALICE_ID, "INBOX"))
    (row,) = office.house.wait(store.rows(inbox.mailbox_id, ((1, 9),)))
    report = office.house.wait(store.read(row.blob_id, 0, row.size_octets))
    assert b"given back by the administrator of this server as agreed" in report
    assert b"carol@example.org" in report and b"silent@" not in report
    assert office.house.wait(store.depth()).messages == 0
    assert ("bounced", ROOT) in office.deeds


def test_on_a_stopped_store_the_report_waits_for_whoever_serves_it_next(closed: Office) -> None:
    queue_id = closed.accept("1")
    assert closed.call("bounce", ids=[queue_id])["done"] == [queue_id]
    (row,) = closed.call("list")["messages"]
    shown = closed.call("show", id=row["id"])
    assert shown["sender"] == "<>" and shown["recipients"][0]["next_hop"] == LOCAL
    assert shown["recipients"][0]["address"] == "alice@x.example"


def test_S35_what_nobody_sent_cannot_be_given_back(closed: Office) -> None:
    queue_id = closed.accept("1", sender=None)
    (refused,) = closed.call("bounce", ids=[queue_id])["refused"]
    assert "null sender" in refused["why"]
    assert issubclass(CallRefused, GatewayError)
