"""What is counted for reports about TLS, as administrators see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.ports.tls_policies import Counted, Sessions
from gateway.queue.desk_forms import CallRefused
from gateway.queue.tls_reports_desk import TlsReportsDesk
from tests.store.house import House

TODAY = 20_000
STS = "version: STSv1\nmode: enforce\nmx: mx.y.example\nmax_age: 86400"
GOOD = Counted(TODAY, "y.example", "sts", "y.example", STS)
BAD = Counted(
    TODAY,
    "y.example",
    "sts",
    "y.example",
    STS,
    "certificate-expired",
    "mx.y.example",
    "192.0.2.1",
    "192.0.2.250",
    "it ended yesterday",
)
OLD = Counted(TODAY - 1, "a.example", "no-policy-found", "a.example")


class Desk:
    def __init__(self, house: House) -> None:
        self.house = house
        self.pending: list[Sessions] = []
        self.desk = TlsReportsDesk(
            house.store.tls_counts, self.fresh, lambda: TODAY * 86_400 + 7.0, counting=True
        )

    async def fresh(self) -> None:
        pending, self.pending = self.pending, []
        await self.house.store.tls_counts.add(pending)

    def __call__(self, **arguments: Any) -> Any:
        return self.house.wait(self.desk.call("tls-reports", arguments, "root"))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with House(tmp_path / "state") as house:
        desk = Desk(house)
        counts = [Sessions(GOOD, 12), Sessions(BAD, 3), Sessions(OLD, 5)]
        house.wait(house.store.tls_counts.add(counts))
        yield desk


def test_each_day_of_a_domain_has_its_policies_and_their_failures(desk: Desk) -> None:
    answer = desk()
    old, new = answer["reports"]
    assert (old["day"], old["domain"], old["is_over"]) == ("2024-10-03", "a.example", True)
    assert old["policies"][0]["type"] == "no-policy-found"
    assert (new["day"], new["domain"], new["is_over"]) == ("2024-10-04", "y.example", False)
    assert new["policies"] == [
        {
            "type": "sts",
            "domain": "y.example",
            "policy": STS.split("\n"),
            "successful": 12,
            "failed": 3,
            "failures": [
                {
                    "result": "certificate-expired",
                    "sessions": 3,
                    "host": "mx.y.example",
                    "receiving_ip": "192.0.2.1",
                    "sending_ip": "192.0.2.250",
                    "reason": "it ended yesterday",
                }
            ],
        }
    ]
    assert answer["counting"] and not answer["more"]


def test_what_is_in_memory_counts_too(desk: Desk) -> None:
    desk.pending = [Sessions(GOOD, 30)]
    assert desk(domain="Y.example.")["reports"][0]["policies"][0]["successful"] == 42


def test_a_domain_is_shown_alone_and_more_is_said(desk: Desk) -> None:
    assert [each["domain"] for each in desk(domain="a.example", limit=1)["reports"]] == [
        "a.example"
    ]
    assert desk(domain="a.example", limit=1)["more"] is False
    assert desk(domain="b.example")["reports"] == []
    first = desk(limit=1)
    assert [each["domain"] for each in first["reports"]] == ["a.example"] and first["more"]


def test_what_is_reported_is_gone(desk: Desk) -> None:
    desk.house.wait(desk.house.store.tls_counts.reported(TODAY - 1, "a.example"))
    assert [each["domain"] for each in desk()["reports"]] == ["y.example"]


@pytest.mark.parametrize("limit", [0, 1001, "x"])
def test_other_limits_are_refused(desk: Desk, limit: object) -> None:
    with pytest.raises(CallRefused):
        desk(limit=limit)
