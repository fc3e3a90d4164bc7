"""The directory's servers in the status, as text and as JSON."""

from __future__ import annotations

import json
from typing import Any

from gateway.app.directory_care import directory_status, directory_warnings
from gateway.cli.status import as_text
from gateway.core.directory_health import DirectoryHealth, ServerHealth

DOWN = ServerHealth("ldaps://dc1.example.test", "down", 1_000, "connection\x1b refused")
UP = ServerHealth("ldaps://dc2.example.test", "up", 1_000, "", 2.5, in_use=True)
HEALTH = DirectoryHealth("", (DOWN, UP), degraded=True, warnings=("the certificate ends",))


def shown(*health: DirectoryHealth) -> str:
    status = json.loads(json.dumps(directory_status(health, ())))
    answer: dict[str, Any] = {
        "version": "1",
        "uptime_s": 1,
        "pid": 1,
        "listeners": [],
        "sessions": {},
        "queue": None,
        "directories": status,
        "warnings": directory_warnings(status),
    }
    return as_text(answer)


def test_a_degraded_directory_says_which_server_is_down_and_why() -> None:
    text = shown(HEALTH)
    assert "directory   degraded" in text
    assert "ldaps://dc1.example.test down for" in text
    assert "connection\N{REPLACEMENT CHARACTER} refused" in text
    assert "ldaps://dc2.example.test up for" in text
    assert "in use, answers in 2.5 ms" in text
    assert "warning     directory: the certificate ends" in text


def test_an_outage_and_its_trouble_come_first() -> None:
    health = DirectoryHealth("plant", (DOWN,), answers=False, trouble="the account was refused")
    assert "plant: nobody can be asked: the account was refused" in shown(health)


def test_a_file_is_simply_fine() -> None:
    assert "directory   fine" in shown(DirectoryHealth())
