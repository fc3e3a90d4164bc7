"""Old ingest ids are forgotten wherever they lie, a bounded number of rows at a time."""

from __future__ import annotations

import contextlib
from pathlib import Path

from gateway.store import engine
from gateway.store.files import OsFiles
from gateway.store.ingests import INGEST_DAYS, WALK_ROWS, ForgetIngests
from gateway.store.layout import Layout
from gateway.store.migrations import migrate
from gateway.store.transaction import Transaction

NOW = 1_700_000_000
OLD = NOW - INGEST_DAYS * 86_400 - 1


def test_old_ids_go_whether_they_begin_with_the_time_or_not(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.prepare(OsFiles())
    with contextlib.closing(engine.open_writer(layout.index)) as connection:
        migrate(connection)
        rows = [(f"{number:08}", "", OLD) for number in range(WALK_ROWS + 10)]
        rows += [(f"{number:08}", "", NOW) for number in range(WALK_ROWS + 10, 3 * WALK_ROWS)]
        rows += [("report-1", "", OLD), ("report-2", "", NOW)]
        tx = Transaction(connection)
        tx.begin(NOW)
        tx.insert("ingests (ingest_id, queue_id, accepted_at)", rows)
        forget = ForgetIngests()
        assert forget(tx)  # there are many more: the next transaction goes on
        assert not any(forget(tx) for _ in range(5))
        tx.commit()
        left = connection.execute(
            "SELECT count(*), min(accepted_at), max(ingest_id) FROM ingests"
        ).fetchone()
    assert left == (2 * WALK_ROWS - 10 + 1, NOW, "report-2")
