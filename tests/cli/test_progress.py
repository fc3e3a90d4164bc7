"""What long commands show while they work, on a terminal and in a log."""

from __future__ import annotations

import io

import pytest

from gateway.cli.progress import ProgressShown, table


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_log_gets_the_beginning_the_end_and_a_line_every_few_seconds() -> None:
    log, time = io.StringIO(), Time()
    with ProgressShown(log, monotonic=time) as progress:
        for done in range(101):
            progress("copying", done * 1024 * 1024, 100 * 1024 * 1024, "octets")
            time.now += 0.125
        progress("checking", 7, 0, "messages")
    assert log.getvalue().splitlines() == [
        "copying: 0.0 of 100.0 MiB",
        "copying: 40.0 of 100.0 MiB",
        "copying: 80.0 of 100.0 MiB",
        "copying: 100.0 of 100.0 MiB",
        "checking: 7 messages",
    ]


def test_a_terminal_gets_a_bar_that_stays_on_its_line() -> None:
    terminal, time = Terminal(), Time()
    with ProgressShown(terminal, monotonic=time) as progress:
        for done in range(11):
            progress("reading", done, 10, "messages")
            time.now += 1
        progress("writing", 1, 2)
    text = terminal.getvalue()
    assert "10 of 10 messages" in text
    assert "writing" in text
    assert text.count("\n") == 2, "each stage leaves one line behind"


def test_a_terminal_gets_lines_for_what_has_no_known_end() -> None:
    terminal = Terminal()
    with ProgressShown(terminal) as progress:
        progress("looking", 3, 0, "folders")
    assert terminal.getvalue() == "looking: 3 folders\n"


def test_nothing_to_do_is_shown_as_well() -> None:
    log = io.StringIO()
    with ProgressShown(log) as progress:
        progress("copying", 0, 0, "octets")
        progress("copying", 0, 0, "octets")
    assert log.getvalue() == "copying: 0.0 MiB\n"


def test_a_table_has_columns_with_numbers_to_the_right() -> None:
    text = table([("INBOX", 12, True), ("Sent", 1234567, False)], ("folder", "messages", "new"))
    assert text.splitlines() == [
        "folder   messages  new",
        "INBOX          12  True",
        "Sent    1,234,567  False",
    ]
    assert table([("a", 1)]) == "a  1"
    assert table([], ("folder", "messages")) == "folder  messages"
    assert table([]) == ""


def test_a_closed_standard_error_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    with ProgressShown() as progress:
        progress("copying", 1, 2)


def test_wide_and_combining_characters_keep_columns() -> None:
    shown = table([["\u53d7\u4fe1", "x"], ["e\u0301", "x"], ["four", "x"]], ["a", "b"])
    assert shown.splitlines() == [
        "a     b",
        "\u53d7\u4fe1  x",
        "e\u0301     x",
        "four  x",
    ]
