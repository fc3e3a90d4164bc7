"""Failures that no sender can be told of: who hears, and that it ends there (SECURITY S35)."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest

from gateway.core.address import Address
from gateway.core.envelope import Notify, RecipientOptions
from gateway.core.queue import Verdict
from gateway.core.trace import TraceRecord
from tests.support.queue_world import World

POSTMASTER = Address("postmaster", "x.example")
FAR = Address("ops", "far.example")


class Notes:
    def __init__(self) -> None:
        self.records: list[TraceRecord] = []

    def note(self, record: TraceRecord) -> None:
        self.records.append(record)


class Bouncing(World):
    """All fails."""

    def __init__(self, told: Address | None) -> None:
        super().__init__(start=False)
        self.delivery.default = Verdict.FAILED
        self.notes = Notes()
        trace: Any = self.notes
        self.runner = self.new_runner(double_bounces_to=told, trace=trace)
        self.runner.start()

    @property
    def reports(self) -> list[Message]:
        return [message_from_bytes(octets) for _, octets in self.queue.reports]


def test_S35_without_a_sender_only_log_and_trace_know() -> None:
    world = Bouncing(None)
    world.add("bob@y.example", sender=None)
    world.add("bob@y.example", sender="gone@x.example", queue_id="Q2")
    assert world.reports == [] and world.queue.rows == {}
    untold = [each for each in world.notes.records if each.kind == "not reported"]
    assert [each.fields["why"] for each in untold] == [
        "it has the null sender",
        "its sender does not exist",
    ]


@pytest.mark.parametrize(
    ("sender", "words"),
    [
        (None, "the message has no sender who could be told"),
        ("gone@x.example", "its sender gone@x.example does not exist"),
    ],
)
def test_S35_the_postmaster_hears_where_one_is_named_for_that(
    sender: str | None, words: str
) -> None:
    world = Bouncing(POSTMASTER)
    world.add("bob@y.example", sender=sender)
    (report,) = world.reports
    assert report["To"] == str(POSTMASTER)
    assert report["Subject"] == "A message was not delivered: hi"
    part = report.get_payload(0)
    assert isinstance(part, Message)
    assert words in " ".join(str(part.get_payload()).split())
    ((new, _),) = world.queue.reports
    assert new.sender is None and new.local == ("id-postmaster@x.example",)
    told = [each for each in world.notes.records if each.kind == "reported"]
    assert told[0].fields["to"] == f"<{POSTMASTER}>"


def test_S35_a_report_to_the_postmaster_is_the_last_one() -> None:
    world = Bouncing(FAR)
    world.add("bob@y.example", sender=None)
    world.pass_time(60)
    assert len(world.reports) == 1 and world.queue.rows == {}
    assert world.tried == [("bob@y.example",), ("ops@far.example",)]
    world.add("OPS@far.example", sender=None, queue_id="Q2")
    assert len(world.reports) == 1 and world.queue.rows == {}


def test_S35_delays_and_what_nobody_wants_to_hear_of_are_not_told() -> None:
    world = Bouncing(POSTMASTER)
    world.add("bob@y.example", sender=None, asked=RecipientOptions(Notify.NEVER))
    world.delivery.default = Verdict.DEFERRED
    world.add("bob@y.example", sender=None, queue_id="Q2")
    world.pass_time(12 * 3600, step=600)
    assert world.reports == []


def test_a_postmaster_who_does_not_exist_changes_nothing() -> None:
    world = Bouncing(Address("gone", "x.example"))
    world.add("bob@y.example", sender=None)
    assert world.reports == [] and world.queue.rows == {}
