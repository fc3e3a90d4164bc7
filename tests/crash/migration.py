"""A store as an older schema version (2 or 3) left it, and its first opening since.

``python -m tests.crash.migration DIR VERSION`` makes it, with messages, flags, gaps and a queued
message, says so in a line, opens it, and says what is there then. A stop anywhere behind the first
line must lead to the same picture at the next opening.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import zlib
from pathlib import Path

from gateway.store import engine
from gateway.store.files import OsFiles
from gateway.store.layout import Layout
from gateway.store.migrations import migrate
from gateway.store.schema import STEPS
from gateway.store.segments import HEADER, MAGIC
from tests.crash.picture import picture
from tests.crash.recording import say
from tests.store.compacting import OFF
from tests.store.house import ALICE, NOW, House

MESSAGES = 40


def build(state_dir: Path, version: int) -> None:
    """Messages 1 to 40 of one mailbox, every fifth of them expunged, one of them queued as well.

    They get in as version 2 has them; what is between that and ``version`` is done before the line
    is said.
    """
    layout = Layout(state_dir)
    layout.prepare(OsFiles())
    living = [uid for uid in range(1, MESSAGES + 1) if uid % 5]
    octets = [b"Subject: old %d\r\n\r\n%d\r\n" % (uid, uid) for uid in living]
    blobs, position, segment = [], 0, b""
    for blob_id, one in enumerate(octets, 1):
        checksum = zlib.crc32(one)
        refs = 1 + (blob_id == 1)
        blobs.append((blob_id, refs, len(one), 1, position, "", b"", checksum.to_bytes(4, "big")))
        segment += HEADER.pack(MAGIC, len(one), checksum) + one
        position = len(segment)
    fd = os.open(layout.segment(1), os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(fd, segment)
    os.fsync(fd)
    os.close(fd)
    OsFiles().sync_directory(layout.segments)
    size = sum(map(len, octets))
    with contextlib.closing(engine.open_writer(layout.index)) as index:
        migrate(index, STEPS[:2])
        index.execute("BEGIN")
        index.execute("INSERT INTO accounts VALUES (?, 1, ?)", (ALICE, NOW))
        index.execute(
            "INSERT INTO mailboxes VALUES (1, ?, 'INBOX', '', 5, ?, 60, 1, ?, ?, ?)",
            (ALICE, MESSAGES + 1, len(living), len(living), size),
        )
        index.executemany(
            "INSERT INTO messages VALUES (1, ?, ?, ?, 0, '', ?, ?, ?)",
            [
                (uid, uid + 1, uid + 1, NOW, len(one), blob_id)
                for blob_id, (uid, one) in enumerate(zip(living, octets, strict=True), 1)
            ],
        )
        index.executemany(
            "INSERT INTO expunged VALUES (1, ?, ?)",
            [(50 + number, uid) for number, uid in enumerate(range(5, MESSAGES + 1, 5))],
        )
        index.executemany("INSERT INTO blobs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", blobs)
        index.execute("INSERT INTO segments VALUES (1, ?, ?)", (len(living), size))
        index.execute(
            "INSERT INTO queue VALUES (1, 'a', 'example.test', 1, 0, ?, 0, ?, ?, '')",
            (len(octets[0]), NOW, NOW),
        )
        index.execute(
            "INSERT INTO queue_recipients VALUES (1, 1, 'carol', 'example.org', '', 0, ?, '')",
            (NOW,),
        )
        for name, value in (("blob", MESSAGES), ("mailbox", 1), ("queue", 1), ("uid_validity", 5)):
            index.execute("UPDATE counters SET value = ? WHERE name = ?", (value, name))
        index.execute("COMMIT")
        migrate(index, STEPS[:version])


def main() -> None:
    state_dir = Path(sys.argv[1])
    build(state_dir, int(sys.argv[2]))
    say({"step": "built"})
    with House(state_dir, compaction=OFF):
        say({"step": "open", "picture": picture(state_dir)})
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
