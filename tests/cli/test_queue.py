"""``gateway queue``: what a command line may say, and what people are shown."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest

from gateway.cli import queue
from gateway.cli.queue_filters import PAGE, chosen_filter, pages, pieces
from gateway.cli.queue_shape import destinations_table, shape_table
from gateway.cli.queue_shown import details, listing
from gateway.store.engine import open_writer
from gateway.store.layout import Layout
from gateway.store.migrations import version_of
from tests.cli.test_commands import call
from tests.store.house import House

HOSTILE = "550 \x1b[2J\r\nforged\u202e"


def row(**fields: Any) -> dict[str, Any]:
    return {
        "id": "0000002A",
        "message_id": "0abc-1",
        "sender": "<alice@x.example>",
        "size_octets": 4200,
        "created_at": int(time.time()) - 7300,
        "due_at": int(time.time()) + 100,
        "hold": "",
        "being_sent": False,
        "recipient_count": 3,
        "first_recipients": ["r1@good.example", "r2@bad.example"],
        "last_reply": HOSTILE,
        "state": "waiting",
        "destinations": ["good.example", "bad.example"],
        **fields,
    }


def configuration(folder: Path) -> str:
    path = folder / "gateway.toml"
    path.write_text(
        f'hostname = "mail.example.test"\nstate_dir = "{folder}/state"\n'
        f'[domains."example.test"]\n[directory]\nkind = "ldif"\npath = "{folder}/people.ldif"\n'
        "[tls]\nself_signed = true\n"
    )
    return str(path)


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--state", "lost"),
        ("list", "--sender", "alice"),
        ("list", "--sender", ""),
        ("list", "--recipient", "a@"),
        ("list", "--destination", "a@b.example"),
        ("list", "--older", "soon"),
        ("list", "--newer", "4"),
        ("list", "--larger", "-1"),
        ("list", "--larger", "1T"),
        ("list", "--limit", "0"),
        ("list", "--shape", "--held"),
        ("list", "--senders"),
        ("retry",),
        ("delete", "2A", "--all"),
        ("delete", "--all", "--held"),
        ("delete", "--message-id", ""),
        ("hold", " "),
        ("reroute", "--all"),
        ("reroute", "--all", "--to", "relay.example"),
        ("reroute", "--all", "--to", "smtps://nobody@relay.example"),
        ("export", "--all"),
        ("export", "--into", "x"),
        ("export", "2A", "--into", "x", "--format", "pst"),
        ("show",),
    ],
)
def test_a_wrong_command_line_is_told_before_anybody_is_asked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    config = configuration(tmp_path)
    assert call(monkeypatch, "queue", *arguments, "--config", config) == 2
    text = capsys.readouterr().err
    assert "Traceback" not in text and not (tmp_path / "x").exists()


@pytest.mark.parametrize("arguments", [("list",), ("export", "--all", "--into", "x")])
def test_a_look_leaves_an_older_gateways_store_as_it_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    layout = Layout(tmp_path / "state")
    with House(layout.state_dir):
        pass
    with closing(open_writer(layout.index)) as index:
        index.execute("UPDATE schema_version SET version = version - 1")
        older = version_of(index)
    config = configuration(tmp_path)
    assert call(monkeypatch, "queue", *arguments, "--config", config) == 1
    text = capsys.readouterr().err
    assert f"has schema version {older}" in text and "start the gateway of this version" in text
    with closing(open_writer(layout.index)) as index:
        assert version_of(index) == older
    assert not (tmp_path / "x").exists()


def test_every_command_has_an_example_in_its_help() -> None:
    context = click.Context(queue.group)
    for name in queue.group.list_commands(context):
        command = queue.group.get_command(context, name)
        if command is None or isinstance(command, click.Group):
            continue
        assert f"  gateway queue {name}" in (command.epilog or ""), name


def test_filters_are_as_the_desk_takes_them() -> None:
    assert chosen_filter(held=None, sender="<>", state="held", larger_octets=0) == {
        "sender": "<>",
        "state": "held",
        "larger_octets": 0,
    }


def test_pages_are_asked_for_as_they_are_needed() -> None:
    asked: list[Any] = []

    def desk(name: str, arguments: Any) -> dict[str, Any]:
        asked.append((name, arguments["after"], arguments["limit"]))
        more = "3" if not arguments["after"] else ""
        return {"messages": [{"id": "1"}, {"id": "2"}], "more_after": more}

    assert [is_last for _, is_last in pages(desk, {})] == [False, True]
    assert asked == [("list", "", PAGE), ("list", "3", PAGE)]
    asked.clear()
    assert len(list(pages(desk, {}, 2))) == 1 and asked == [("list", "", 2)]
    assert list(pieces(desk, ("a",) * (PAGE + 1), {})) == [["a"] * PAGE, ["a"]]


def test_a_listing_tells_all_in_a_line_that_no_answer_can_break() -> None:
    (_, line) = listing([row()]).splitlines()
    for text in ("0000002A", "2 h", "4,200", "<alice@x.example>", "r1@good.example +2",
                 "good.example and others", "waiting", "in 1 min"):  # fmt: skip
        assert text in line
    assert "\x1b" not in line and "\u202e" not in line
    (_, held) = listing([row(due_at=None, hold="why", state="held")]).splitlines()
    assert "on release" in held and "held: why" in held
    assert "now" in listing([row(being_sent=True, state="sending")])


def test_details_tell_route_checks_attempts_and_what_comes_next() -> None:
    at = int(time.time())
    now = {"in_flight": 2, "window": 5, "dead_until": at + 99, "problem": "connection refused"}
    host = {
        "host": "mx.good.example", "ip": "192.0.2.1", "port": 25, "socket": "", "protocol": "smtp",
        "implicit_tls": False, "user": "", "tls": "verified", "tls_policy": "sts",
    }  # fmt: skip
    recipient = {
        "number": 1, "address": "r1@good.example", "next_hop": "", "attempts": 2,
        "last_reply": HOSTILE, "next_attempt_at": at + 60, "told_of_delay": True,
        "destination": "good.example", "why": "deferred by the last answer",
    }  # fmt: skip
    text = details(
        row(
            content_octets=4200,
            options={"body": "7BIT", "deliver_by": {"at": 5}},
            recipients=[recipient],
            parts=[
                {
                    "destination": "good.example", "state": "waiting", "due_at": at + 60,
                    "now": now, "route": {"rule": "MX records", "hosts": [host], "problem": ""},
                },
            ],
            accepted={"ip": "192.0.2.9", "login": "alice"},
            policy=[{"stage": "mail", "check": "lists", "action": "pass", "reason": "fine"}],
            attempts=[
                {"at": at, "outcome": "deferred", "attempt": 1, "recipient": "<r1@good.example>",
                 "remote": "mx.good.example", "status": "4.7.1", "reply": HOSTILE},
            ],
            deeds=[{"at": at, "deed": "held", "by": "uid 0 (root)", "reason": "look first"}],
        )
    )  # fmt: skip
    for words in (
        "came by     192.0.2.9, logged in as alice",
        "policy      mail: lists: pass, fine",
        "connections   2 of 5 in use",
        "connection refused",
        "route         MX records",
        "would go to   mx.good.example[192.0.2.1]:25, TLS verified by sts",
        "waits         deferred by the last answer",
        "1  <r1@good.example>  deferred by mx.good.example: 4.7.1 550",
        "held by uid 0 (root): look first",
    ):
        assert words in text, words
    assert "\x1b" not in text and "\u202e" not in text
    silent = row(
        content_octets=1, options={}, recipients=[recipient], parts=[], accepted={}, policy=[],
        attempts=[], deeds=[],
    )  # fmt: skip
    assert "the trace does not tell" in details(silent)


def test_a_shape_has_ages_a_rest_and_a_sum() -> None:
    def counts(name: str, *messages: int) -> dict[str, Any]:
        return {"name": name, "messages": messages, "total": sum(messages), "octets": 9000}

    answer = {
        "ages_s": [300, 3600, 259_200],
        "rows": [counts("good.example", 1, 2, 0, 4), counts("", 0, 0, 0, 1)],
        "more_rows": 7,
        "rest": counts("", 0, 0, 0, 8),
        "total": counts("", 1, 2, 0, 13),
    }
    lines = [line.split() for line in shape_table(answer, "destination").splitlines()]
    assert lines[0] == ["destination", "5m", "1h", "3d", "older", "total", "octets"]
    assert lines[1] == ["good.example", "1", "2", "0", "4", "7", "9,000"]
    assert lines[3][:4] == ["...", "and", "7", "more"] and lines[4][:2] == ["in", "all"]
    assert "<> (reports)" in shape_table(answer, "sender")


def test_destinations_tell_who_is_dead_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def one(name: str, **fields: Any) -> dict[str, Any]:
        return {
            "destination": name, "waiting": 3, "octets": 90, "in_line": 0, "in_flight": 0,
            "window": 5, "known": True, "dead_until": None, "limited_until": None, "problem": "",
            **fields,
        }  # fmt: skip

    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    text = destinations_table(
        {
            "runs_here": False,
            "more_rows": 1,
            "destinations": [
                one("dead.example", dead_until=now + 130, problem=HOSTILE),
                one("slow.example", limited_until=now + 30.5),
                one("busy.example", problem="421 too much"),
                one("good.example", in_flight=2),
                one("new.example", known=False),
            ],
        }
    )
    assert "dead, tried again in 2 min: 550" in text and "\x1b" not in text
    assert "as fast as its rate allows; next in 30 s" in text
    assert "the last trouble: 421 too much" in text and "sending" in text
    assert "1 more" in text and "no gateway runs" in text
    assert "nothing waits" in destinations_table(
        {"runs_here": True, "more_rows": 0, "destinations": []}
    )


def test_a_list_for_programs_is_one_array_that_is_never_held_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [row(id=str(number)) for number in range(3)]
    for count in range(4):

        def desk(name: str, arguments: Any, count: int = count) -> dict[str, Any]:
            at = int(arguments["after"] or 0)
            return {"messages": rows[at : at + 1][: count - at], "more_after": _next(at, count)}

        queue._list(desk, {}, None, as_json=True)
        shown = capsys.readouterr().out
        assert shown == json.dumps(rows[:count], indent=2) + "\n"


def _next(at: int, count: int) -> str:
    return str(at + 1) if at + 1 < count else ""
