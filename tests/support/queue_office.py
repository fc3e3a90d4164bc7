"""A desk over a real store, with a runner whose next hop never answers or without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

from twisted.internet.task import Clock

from gateway.core.address import Address
from gateway.core.ids import AccountId
from gateway.core.messages import QueuedRecipient
from gateway.core.trace import TraceRecord
from gateway.queue.desk import QueueDesk
from gateway.queue.guards import Guards
from gateway.queue.hold_rules import HoldRules
from gateway.queue.journal import Journal
from gateway.queue.paces import Pace, Paces
from gateway.queue.reports import ReportWriter
from gateway.queue.runner import QueueRunner
from gateway.queue.schedule import Schedule
from gateway.queue.suppression import SuppressionRules, Suppressions
from tests.store.house import CAROL, NOW, House
from tests.support.queue_fakes import FakeDelivery, FakeRouter

ROOT = "uid 0 (root)"
ALICE = Address("alice", "x.example")


class Notes:
    """A trace that can be looked at."""

    def __init__(self) -> None:
        self.records: list[TraceRecord] = []

    def note(self, record: TraceRecord) -> None:
        self.records.append(record)


class Office:
    """A desk; with a runner unless told otherwise."""

    def __init__(self, house: House, *, runs: bool) -> None:
        self.house = house
        self.clock = Clock()
        self.delivery = FakeDelivery(default=None)
        self.notes = Notes()
        self.hastened: list[str] = []
        trace: Any = self.notes
        store, journal = house.store, Journal(trace, self.wall)
        self.guards = Guards(
            HoldRules(store.hold_rules),
            Suppressions(store.suppressions, SuppressionRules(), journal, self.wall),
        )
        self.runner: QueueRunner | None = None
        if runs:
            self.runner = QueueRunner(
                house.store,
                self.delivery,
                FakeRouter(),
                hostname="mail.x.example",
                timers=self.clock,
                wall_clock=self.wall,
                random=Random(1),
                paces=Paces(Pace(connections=1, schedule=Schedule(jitter=0.0))),
                trace=trace,
                screen=self.guards,
                hold=store.queue.hold,
            )
            self.runner.start()
        self.open_desk(house.store.queue)

    def open_desk(self, control: Any) -> None:
        trace: Any = self.notes
        journal = Journal(trace, self.wall)
        store = self.house.store
        router = None if self.runner is None else FakeRouter()
        reports = ReportWriter(store, router, "mail.x.example", journal)
        self.desk = QueueDesk(
            store,
            control,
            reports,
            journal,
            self.wall,
            self.runner,
            router=router,
            guards=self.guards,
            hasten=self.hastened.append,
        )

    def wall(self) -> float:
        return NOW + float(self.clock.seconds())

    def call(self, name: str, **arguments: Any) -> Mapping[str, Any]:
        return self.house.wait(self.desk.call(name, arguments, ROOT))

    def accept(self, name: str, *remote: QueuedRecipient, **fields: Any) -> str:
        message = self.house.message(name, remote=remote or [CAROL], sender=ALICE)
        return self.house.wait(self.house.store.accept(replace(message, **fields))).queue_id

    def sending(self, count: int = 1) -> None:
        self.house.pump.until(lambda: len(self.delivery.attempts) >= count)

    @property
    def account_id(self) -> AccountId:
        """Alice's, to whom reports go."""
        return AccountId(f"id-{ALICE}")

    @property
    def deeds(self) -> list[tuple[str, object]]:
        return [(each.kind, each.fields.get("by")) for each in self.notes.records]
