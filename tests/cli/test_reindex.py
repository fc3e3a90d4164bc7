"""``gateway mailbox reindex``, with nobody else at work and beside a process that indexes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.desk import Desk, at_desk
from gateway.core.messages import AppendMessage
from gateway.store.layout import Layout
from gateway.store.search_index.indexer import Indexer
from gateway.store.search_index.places import Places
from tests.cli.test_commands import Captured
from tests.cli.test_desk import ALICES_ID
from tests.cli.test_mailbox import Office

COUNT = 60


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Office:
    office = Office(tmp_path, monkeypatch, capsys)

    def fill(desk: Desk) -> None:
        async def append() -> None:
            await desk.store.ensure_account(ALICES_ID)
            bodies = [desk.store.open_body() for _ in range(COUNT)]
            for body in bodies:
                body.write(b"Subject: x\r\n\r\nneedle\r\n")
            messages = [AppendMessage(body, frozenset(), 0) for body in bodies]
            await desk.store.append(ALICES_ID, "INBOX", messages)

        desk.call(append())

    at_desk(office.settings, fill)
    return office


def test_one_person_or_all_are_indexed_at_once(office: Office) -> None:
    file = Places(Layout(Path(office.settings.state_dir))).file(ALICES_ID)
    for whom in ("alice", "--all", f"id:{ALICES_ID}"):
        assert "60 messages of 1 person indexed" in office("reindex", whom)
        assert file.exists()
        file.write_bytes(b"damaged")


def test_a_process_that_indexes_is_asked(office: Office) -> None:
    layout = Layout(Path(office.settings.state_dir))
    running = Indexer(layout)
    try:
        while running.step():
            pass
        assert "makes the search index of 1 person anew" in office("reindex", "--all")
        assert running.indexed == COUNT
        while running.step():
            pass
        assert running.indexed == 2 * COUNT
        assert not list(Places(layout).requested())
    finally:
        running.close()


def test_who_is_meant_has_to_be_said(office: Office) -> None:
    assert "name one person" in office("reindex", status=2)
    assert "name one person" in office("reindex", "alice", "--all", status=2)
    assert "nobody" in office("reindex", "mallory", status=1)
