"""A worker that does not read: nothing piles up for it, and nothing is kept from it for ever."""

from __future__ import annotations

from gateway.app.line import MAX_MERGED, PIECE
from gateway.app.messages import Doubt, Hints, Message, Ready, StatusAsked, encode
from tests.support.lines import Wire, event


def test_hints_go_out_at_once() -> None:
    wire = Wire()
    wire.line.hint([event(1)], True)
    assert wire.sent() == [Hints((event(1),), True)]


def test_hints_that_follow_are_merged_for_a_moment_and_then_go_out() -> None:
    wire = Wire()
    wire.line.hint([event(1, 1)], False)
    for modseq in range(2, 500):
        wire.line.hint([event(1, modseq), event(2, modseq)], modseq == 7)
    assert wire.sent() == [Hints((event(1, 1),))]
    wire.rest()
    assert wire.sent() == [Hints((event(1, 499), event(2, 499)), True)]
    wire.rest()
    assert wire.sent() == [] and not wire.clock.getDelayedCalls()
    wire.line.hint([event(3)], False)
    assert wire.sent() == [Hints((event(3),))]


def test_other_messages_do_not_wait_for_hints() -> None:
    wire = Wire()
    wire.line.hint([event(1)], False)
    wire.line.send(Ready())
    assert wire.sent() == [Hints((event(1),)), Ready()]


def test_while_nobody_reads_hints_are_merged_by_mailbox_keeping_the_highest() -> None:
    wire = Wire()
    wire.line.pauseProducing()
    for modseq in (5, 9, 7):
        wire.line.hint([event(1, modseq), event(2)], False)
    wire.line.hint([], True)
    assert wire.sent() == []
    wire.line.resumeProducing()
    assert wire.sent() == [Hints((event(1, 9), event(2)), True)]
    wire.rest()
    wire.line.hint([event(3)], False)
    assert wire.sent() == [Hints((event(3),))]


def test_too_many_become_one_doubt() -> None:
    wire = Wire()
    wire.line.pauseProducing()
    for start in range(0, MAX_MERGED + 2, 2):
        wire.line.hint([event(start + 1), event(start + 2)], False)
    wire.line.hint([event(1)], True)
    wire.line.resumeProducing()
    assert wire.sent() == [Doubt(), Hints((), True)]


def test_a_commit_of_many_mailboxes_goes_in_pieces() -> None:
    wire = Wire()
    events = [event(number) for number in range(1, PIECE * 2 + 2)]
    wire.line.hint(events, True)
    pieces = [each for each in wire.sent() if isinstance(each, Hints)]
    assert [len(each.events) for each in pieces] == [PIECE, PIECE, 1]
    assert [each.queue_grew for each in pieces] == [False, False, True]


def test_of_other_messages_the_latest_of_a_kind_waits() -> None:
    wire = Wire()
    wire.line.pauseProducing()
    for number in range(1000):
        wire.line.send(StatusAsked(number, False))
    wire.line.resumeProducing()
    assert wire.sent() == [StatusAsked(999, False)]


def test_nonsense_ends_the_line() -> None:
    heard: list[Message] = []
    lost: list[bool] = []
    wire = Wire(heard.append, lambda: lost.append(True))
    wire.line.dataReceived(encode(Ready()) + b"\xff\xff\xff\xff")
    assert heard == [Ready()] and wire.aborted and not lost
    wire.line.connectionLost()
    assert lost == [True]


def test_whoever_hangs_up_is_not_told_of_it_and_says_nothing_more() -> None:
    lost: list[bool] = []
    wire = Wire(on_lost=lambda: lost.append(True))
    wire.line.hint([event(1)], True)
    wire.sent()
    wire.line.close()
    wire.line.connectionLost()
    wire.line.hint([event(1)], True)
    assert not lost and wire.sent() == [] and not wire.clock.getDelayedCalls()
