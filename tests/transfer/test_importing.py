"""An import that ends early leaves whole messages, and the next one goes on behind them."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gateway.core.errors import StoreFull
from gateway.transfer.importing import Importer
from gateway.transfer.values import (
    Item,
    Known,
    Message,
    MessageFailed,
    Opened,
    Report,
    SourceFailed,
    SourceFolder,
    Trouble,
)
from tests.store.house import ALICE, LARGE, MESSAGE, House

T = TypeVar("T")


class Listed:
    """A source with messages 1 to ``count``; the third one is large, the fourth is unreadable."""

    origin = "test:"

    def __init__(self, count: int, fails_at: int = 0) -> None:
        self.count = count
        self.fails_at = fails_at

    def folders(self) -> Sequence[SourceFolder | Trouble]:
        return [SourceFolder("in", "INBOX", subscribed=True), Trouble("out", "unreadable")]

    def open(
        self, folder: SourceFolder, known: frozenset[str], *, bodies: bool, flags: bool
    ) -> Opened:
        return Opened(self._items(known), self.count, uid_validity=77, uid_next=self.count + 1)

    def _items(self, known: frozenset[str]) -> Iterator[Item]:
        for uid in range(1, self.count + 1):
            if uid == self.fails_at:
                raise SourceFailed("the server went away")
            if str(uid) in known:
                yield Known(uid)
            else:
                yield Message(str(uid), frozenset(), 5, self._chunks(uid), 9, uid)

    def _chunks(self, uid: int) -> Iterator[bytes]:
        yield LARGE if uid == 3 else MESSAGE
        if uid == 4:
            raise MessageFailed("damaged")

    def close(self) -> None:
        return


def run(
    house: House, source: Listed, calls: int = 1 << 30, error: type = KeyboardInterrupt
) -> Report:
    left = [calls]

    def call(flow: Coroutine[Any, Any, T]) -> T:
        left[0] -= 1
        if left[0] < 0:
            flow.close()
            raise error
        return house.wait(flow)

    importer = Importer(call, house.store, house.store.imports, ALICE, lambda *_: None)
    return importer.run(source)


@pytest.mark.parametrize("error", [KeyboardInterrupt, StoreFull])
def test_whatever_ends_it_the_next_run_goes_on(tmp_path: Path, error: type) -> None:
    with House(tmp_path) as house:
        for calls in range(12):
            report = run(house, Listed(6), calls, error)
            if not report.stopped:
                break
            assert not list((tmp_path / "store" / "incoming").iterdir())
        assert [one.what for one in report.troubles] == ["in: 4", "out"]
        assert run(house, Listed(6)).folders[0].already == 5
        assert house.uids() == [1, 2, 3, 5, 6]
        assert house.find().uid_validity == 77
        house.verify()


def test_what_was_read_before_the_source_failed_is_kept(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        report = run(house, Listed(6, fails_at=3))
        assert "went away" in report.stopped
        assert report.folders[0].copied == 2
        assert house.uids() == [1, 2]
