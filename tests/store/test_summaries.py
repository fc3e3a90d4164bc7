"""Summaries of stored messages: shared while they are made, kept, made of few octets at a time."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from gateway.core.errors import StoreDamaged
from gateway.core.ids import BlobId
from gateway.core.messages import MessageSummary
from gateway.store.bodies import BLOCK_OCTETS
from gateway.wire.mime.octets import Octets, Windows
from gateway.wire.mime.summary import summarise
from tests.store.house import ALICE, LARGE, House, delivered

ATTACHED = (
    b"Subject: two parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\n\r\n"
    + b"".join(b"%07d\n" % number for number in range(300_000))
    + b"\r\n--b--\r\n"
)


def test_two_who_ask_at_once_share_one_computation(tmp_path: Path) -> None:
    asked = threading.Event()
    go_on = threading.Event()
    calls: list[int] = []

    def slowly(message: Octets) -> MessageSummary:
        calls.append(len(message))
        asked.set()
        assert go_on.wait(30)
        return summarise(message)

    with House(tmp_path) as house:
        house.deliver("1", ALICE)
        house.deliver("2", ALICE)
        one, two = (row.blob_id for row in house.rows())
        house.store._summaries._summarise = slowly
        first = house.pump.start(house.store.summaries([one, two]))
        assert asked.wait(30)
        # The other way round, so that waiting for each other would show.
        second = house.pump.start(house.store.summaries([two, one]))
        go_on.set()
        expected = summarise(delivered())
        assert house.pump.wait_for(first) == [expected, expected]
        assert house.pump.wait_for(second) == [expected, expected]
        assert len(calls) == 2
        house.append()  # behind the write of both
        assert house.wait(house.store.summaries([one, two])) == [expected, expected]
        assert len(calls) == 2 and house.store._summaries._known == {}


def test_who_waits_hears_of_damage_too(tmp_path: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def damaged(message: Octets) -> MessageSummary:
        asked.set()
        assert go_on.wait(30)
        raise StoreDamaged()

    with House(tmp_path) as house:
        house.deliver("1", ALICE)
        (row,) = house.rows()
        house.store._summaries._summarise = damaged
        both = [house.pump.start(house.store.summaries([row.blob_id])) for _ in range(2)]
        assert asked.wait(30)
        go_on.set()
        for waiting in both:
            (answer,) = house.pump.wait_for(waiting)
            assert isinstance(answer, StoreDamaged)
        house.store._summaries._summarise = summarise
        assert house.wait(house.store.summaries([row.blob_id])) == [summarise(delivered())]


@pytest.mark.parametrize("octets", [LARGE, ATTACHED], ids=["text", "attachment"])
def test_M6_a_large_message_is_read_in_pieces(octets: bytes, tmp_path: Path) -> None:
    """A delivered one has octets of ours before those in its file; offsets count both."""
    seen: list[object] = []

    def look(message: Octets) -> MessageSummary:
        seen.append(message)
        return summarise(message)

    with House(tmp_path) as house:
        house.deliver("1", ALICE, octets=octets)
        (row,) = house.rows()
        house.store._summaries._summarise = look
        assert house.wait(house.store.summaries([row.blob_id])) == [summarise(delivered(octets))]
        assert isinstance(seen[0], Windows)


def test_damage_in_a_large_file_is_found_while_it_is_summarised(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("1", ALICE, octets=ATTACHED)
        (path,) = (tmp_path / "store" / "large").iterdir()
        with path.open("r+b") as file:
            file.seek(1_000_000)
            file.write(b"\xff")
        (row,) = house.rows()
        (answer,) = house.wait(house.store.summaries([row.blob_id]))
        assert isinstance(answer, StoreDamaged)


def test_a_part_of_a_part_is_read_by_its_blocks_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BODY[2]<1000000.1000> of a large message."""
    with House(tmp_path) as house:
        house.deliver("1", ALICE, octets=ATTACHED)
        (row,) = house.rows()
        (summary,) = house.wait(house.store.summaries([row.blob_id]))
        assert isinstance(summary, MessageSummary)
        start = summary.parts["2"].body_start + 1_000_000
        read: list[int] = []
        pread = os.pread

        def counted(fd: int, length: int, offset: int) -> bytes:
            read.append(length)
            return pread(fd, length, offset)

        monkeypatch.setattr(os, "pread", counted)
        (octets,) = house.wait(house.store.read_many([(BlobId(row.blob_id), start, 1000)]))
        assert octets == delivered(ATTACHED)[start : start + 1000]
        assert octets.startswith(b"0125000\n")
        assert sum(read) <= 2 * BLOCK_OCTETS


def test_what_an_older_gateway_kept_is_computed_again(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("1", ALICE)
        (row,) = house.rows()
        house.pump.wait_for(
            house.store._committer.write(
                lambda tx: tx.insert("summaries (blob_id, data)", [(row.blob_id, b"S1\0\0\0\0")])
            )
        )
        expected = [summarise(delivered())]
        assert house.wait(house.store.summaries([row.blob_id])) == expected
        house.append()  # behind the write of what was computed

        def never(_: Octets) -> MessageSummary:
            raise AssertionError

        house.store._summaries._summarise = never
        assert house.wait(house.store.summaries([row.blob_id])) == expected
