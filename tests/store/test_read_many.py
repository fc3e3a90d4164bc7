"""Octets of many messages at once: order, and one that cannot be read never spoils the others."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gateway.core.errors import MessageGone, StoreDamaged
from gateway.core.ids import BlobId
from gateway.core.ports.store import Unreadable
from gateway.store.blobs import Location, SegmentFiles
from tests.store.house import ALICE, LARGE, House, delivered


def as_read_one_by_one(house: House, spans: list[tuple[BlobId, int, int]]) -> list[bytes]:
    return [house.wait(house.store.read(*span)) for span in spans]


def test_answers_come_in_the_order_asked(tmp_path: Path) -> None:
    with House(tmp_path, roll_octets=1_000) as house:  # several segments
        for batch in range(4):
            house.append("INBOX", *(b"Subject: %d\r\n\r\n" % n * (batch + 1) for n in range(100)))
        house.append("INBOX", LARGE)
        house.deliver("1", ALICE)
        rows = list(house.rows())
        random.Random(7).shuffle(rows)
        spans = [(row.blob_id, 3, 1 + row.uid % 40) for row in rows]
        spans += [(rows[0].blob_id, 0, 1 << 20), (rows[0].blob_id, 1 << 20, 5)]
        answers = house.wait(house.store.read_many(spans))
        assert answers == as_read_one_by_one(house, spans)
        assert len(answers) == 404
        assert house.wait(house.store.read_many([])) == []


@pytest.mark.parametrize("large", [False, True])
def test_M6_a_damaged_message_in_the_middle(large: bool, tmp_path: Path) -> None:
    damaged = LARGE if large else b"Subject: to be damaged\r\n\r\n"
    with House(tmp_path) as house:
        house.append("INBOX", b"one", damaged, b"three")
        (path,) = (tmp_path / "store" / ("large" if large else "segments")).iterdir()
        octets = path.read_bytes()
        at = octets.index(b"damaged") if not large else 10
        path.write_bytes(octets[:at] + b"\xff" + octets[at + 1 :])
        one, two, three = house.wait(
            house.store.read_many([(row.blob_id, 0, 100) for row in house.rows()])
        )
        assert (one, three) == (b"one", b"three")
        assert isinstance(two, StoreDamaged)


def test_a_segment_that_is_missing_spoils_only_its_own(tmp_path: Path) -> None:
    with House(tmp_path, roll_octets=1) as house:  # a segment for each
        for text in (b"one", b"two", b"three"):
            house.append("INBOX", text)
        sorted((tmp_path / "store" / "segments").iterdir())[1].unlink()
        one, two, three = house.wait(
            house.store.read_many([(row.blob_id, 0, 9) for row in house.rows()])
        )
        assert (one, three) == (b"one", b"three")
        assert isinstance(two, StoreDamaged)


def test_a_message_that_is_gone_spoils_no_other(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", b"one", b"two")
        house.deliver("1", ALICE)
        rows = house.rows()
        house.wait(house.store.expunge(house.box(), ((2, 2),), only_deleted=False))
        one, two, three = house.wait(
            house.store.read_many([(row.blob_id, 0, 1_000) for row in rows])
        )
        assert (one, three) == (b"one", delivered())
        assert isinstance(two, MessageGone)


def test_a_message_deleted_while_it_is_read_is_gone_and_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with House(tmp_path, reader_threads=1) as house:
        house.append("INBOX", b"one")
        (row,) = house.rows()
        stored = house.store._readers._resources[0]
        inbox = house.box()

        def deleted_first(files: SegmentFiles, at: Location, offset: int, length: int) -> bytes:
            house.wait(house.store.expunge(inbox, None, only_deleted=False))
            raise StoreDamaged

        monkeypatch.setattr(SegmentFiles, "read", deleted_first)
        answers: list[bytes | Unreadable] = stored.read_many([(row.blob_id, 0, 1)])
        assert isinstance(answers[0], MessageGone)
