"""What a command may tell the gateway, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gateway.core.ids import AccountId, MailboxId, ModSeq
from gateway.core.mailboxes import MailboxEvent
from gateway.edge.http.control import ControlCall
from gateway.edge.http.control_changes import MAX_EVENTS, ChangesRefused, changes_route


def post(body: object) -> tuple[object, list[tuple[Sequence[MailboxEvent], bool]]]:
    heard: list[tuple[Sequence[MailboxEvent], bool]] = []
    route = changes_route(lambda events, queue_grew: heard.append((events, queue_grew)))
    assert (route.method, route.path) == ("POST", "/v1/changes")
    answers: list[Any] = []
    handler: Any = route.handler
    Deferred.fromCoroutine(handler(ControlCall({}, body))).addBoth(answers.append)
    return answers[0], heard


def test_watchers_are_told() -> None:
    answer, heard = post({"events": [["id-ä", 7, 9]], "queue_grew": True})
    assert answer == {"told": 1}
    assert heard == [((MailboxEvent(AccountId("id-ä"), MailboxId(7), ModSeq(9)),), True)]
    assert post({"queue_grew": True})[1] == [((), True)]


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "x",
        {"event": []},
        {"events": {}},
        {"events": [7]},
        {"events": [["a", 1]]},
        {"events": [["a", 1, 2, 3]]},
        {"events": [["", 1, 2]]},
        {"events": [["a" * 257, 1, 2]]},
        {"events": [["a", 0, 2]]},
        {"events": [["a", True, 2]]},
        {"events": [["a", 1, -1]]},
        {"events": [["a", 1, 2**63]]},
        {"events": [["a", 1.5, 2]]},
        {"queue_grew": 1},
        {"events": [["a", 1, 2]] * (MAX_EVENTS + 1)},
    ],
)
def test_anything_else_is_refused_with_what_is_expected(body: object) -> None:
    failure, heard = post(body)
    assert isinstance(getattr(failure, "value", None), ChangesRefused)
    assert "expected" in str(getattr(failure, "value", None)) and not heard
