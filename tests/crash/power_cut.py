"""Power cuts: a gateway on ext4 whose image is copied in the middle of 50 clients' submissions.

``python -m tests.crash.power_cut [--cuts N] [--workers N]`` (root, for loop mounts). The file
system lies on an image file and is mounted with a commit interval of five minutes, so that nothing
reaches the image by itself but what the gateway syncs. At random moments the gateway's processes
are stopped, what the kernel has begun to write is waited for, and the image is copied: that is the
disk after a power cut at that moment. The gateway goes on; the copy is mounted, its store opened,
verified, and every message acknowledged before the cut is looked for. Bounded in cuts, messages and
image size.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from gateway.core.ids import BlobId
from gateway.store.blobs import StoredOctets
from gateway.store.layout import Layout
from tests.crash.kill_loop import SESSIONS, Round, mark_of, submit
from tests.store.compacting import OFF
from tests.store.house import House
from tests.support.gateway_process import Demo
from tests.support.processes import tree_of
from tests.support.programs import need, run
from tests.support.waiting import eventually

IMAGE_OCTETS = 1 << 30  # sparse
MOUNT_OPTIONS = "loop,commit=300,nodelalloc,barrier=1"


@dataclass(slots=True)
class Tally:
    """What was tried."""

    cuts: int = 0
    looked_for: int = 0
    present: int = 0

    def __str__(self) -> str:
        return (
            f"{self.cuts} power cuts, {self.looked_for} acknowledged messages looked for, "
            f"{self.present} found whole, 0 lost, 0 torn"
        )


def need_mounts() -> None:
    """Skip where file systems cannot be mounted."""
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("power cuts need root and loop devices")


@contextlib.contextmanager
def mounted(image: Path, at: Path) -> Iterator[None]:
    at.mkdir(exist_ok=True)
    run([need("mount"), "-o", MOUNT_OPTIONS, str(image), str(at)], timeout_s=60)
    try:
        yield
    finally:
        run([need("umount"), str(at)], timeout_s=60)


def make_image(image: Path) -> None:
    with image.open("wb") as out:
        out.truncate(IMAGE_OCTETS)
    run(
        [need("mkfs.ext4"), "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)],
        timeout_s=60,
    )


def device_of(at: Path) -> str:
    """``loopN`` behind a mount point."""
    for line in Path("/proc/mounts").read_text().splitlines():
        device, where, *_ = line.split()
        if where == str(at):
            return Path(device).name
    raise AssertionError(f"nothing is mounted at {at}")


def cut(demo: Demo, state: Round, image: Path, copy: Path, device: str) -> set[str]:
    """Copy the image as a power cut would leave it; returns what was acknowledged before."""
    assert demo.process is not None
    with state.lock:
        acknowledged = set(state.acknowledged)
    pids = tree_of(demo.process.pid)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        in_flight = Path(f"/sys/block/{device}/inflight")
        eventually(lambda: in_flight.read_text().split() == ["0", "0"], deadline_s=30)
        run([need("cp"), "--sparse=always", str(image), str(copy)], timeout_s=60)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    return acknowledged


WHAT_PEOPLE_HAVE = """
    SELECT blob_id, size_octets FROM messages
    UNION ALL SELECT b.blob_id, b.size_octets FROM queue AS q
        JOIN queue_recipients AS r ON r.queue_id = q.queue_id AND r.next_hop = 'local'
        JOIN blobs AS b ON b.blob_id = q.blob_id
"""
"""In their mailboxes, or on the way there, as their senders want to hear of it."""


def marks_in(state_dir: Path) -> list[str]:
    """The marks of all messages; fails when one is torn."""
    with House(state_dir, compaction=OFF) as house:
        report = house.verify()
        assert report.sound, report.problems
        layout = Layout(state_dir)
        with contextlib.closing(sqlite3.connect(layout.index)) as connection:
            stored = StoredOctets(connection, layout)
            try:
                messages = [
                    stored.read(BlobId(blob_id), 0, size)
                    for blob_id, size in connection.execute(WHAT_PEOPLE_HAVE).fetchall()
                ]
            finally:
                stored.files.close()
    # What could not be sent to outside has come back to its sender.
    return [mark_of(one) for one in messages if b"multipart/report" not in one]


def _has_got(state: Round, wanted: int) -> bool:
    return len(state.acknowledged) >= wanted


def power_cuts(folder: Path, *, cuts: int, messages: int, seed: int, workers: int = 1) -> Tally:
    """Run the gateway on an image, cut the power again and again, and look at each copy."""
    choose = random.Random(seed)
    image, copy = folder / "disk", folder / "copy"
    make_image(image)
    tally = Tally()
    with mounted(image, folder / "mnt"):
        device = device_of(folder / "mnt")
        demo = Demo(folder / "mnt" / "d", workers=workers)
        demo.start()
        state = Round(kill_after=messages)
        threads = []
        for session in range(SESSIONS):
            marks = [f"s{session}-m{index}" for index in range(messages // SESSIONS)]
            arguments = (demo, state, marks, choose.getrandbits(32))
            threads.append(threading.Thread(target=submit, args=arguments))
        for thread in threads:
            thread.start()
        try:
            for number in range(cuts):
                share = messages // cuts
                wanted = choose.randrange(share * number, share * (number + 1))
                eventually(partial(_has_got, state, wanted), deadline_s=300)
                acknowledged = cut(demo, state, image, copy, device)
                with mounted(copy, folder / "after"):
                    marks = marks_in(folder / "after" / "d" / "state")
                    lost = acknowledged - set(marks)
                    assert not lost, f"cut {number}: lost {sorted(lost)[:10]}"
                    assert len(marks) == len(set(marks)), f"cut {number}: doubled"
                copy.unlink()
                tally.cuts += 1
                tally.looked_for += len(acknowledged)
                tally.present += len(marks)
        finally:
            for thread in threads:
                thread.join(300)
            demo.stop()
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="gateway-power-"))
    try:
        print(power_cuts(folder, **vars(arguments)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
