"""The real process while the kernel's calls fail (SECURITY D1, D3, D6): what the file layer of
``tests.store.faults`` cannot see, SQLite's own calls above all.

Each case makes one system call on one file fail or be the last, sends mail through it, kills the
gateway, starts it again without the fault and looks at what is there.
"""

from __future__ import annotations

import resource
import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.store.verify import verify
from tests.crash.kill_loop import compose, mark_of
from tests.support.gateway_process import Demo, running_demo
from tests.support.mail import BOB, each_message
from tests.support.programs import need

# Each starts the gateway twice, once of them under strace.
pytestmark = pytest.mark.timeout(300)

SMALL, LARGE = 2_000, 1_500_000
SEGMENT = "segments/0000000001.seg"
LOG = "index.sqlite-wal"


@contextmanager
def until_killed(folder: Path) -> Iterator[Demo]:
    """A demo that gets no chance to put anything in order at its end."""
    demo = Demo(folder)
    demo.start()
    try:
        yield demo
    finally:
        demo.kill()


@contextmanager
def injected(demo: Demo, call: str, fault: str, file: str) -> Iterator[None]:
    """Let the gateway's calls of a kind on one file of the store end as ``fault`` says.

    What ``fault`` counts is counted in each thread.
    """
    assert demo.process is not None
    path = demo.folder.resolve() / "state/store" / file
    with subprocess.Popen(
        [need("strace"), "-f", "-o", "/dev/null", *(["-P", str(path)] if file else []),
         "-e", f"trace={call}", "-e", f"inject={call}:{fault}", "-p", str(demo.process.pid)],
        stderr=subprocess.PIPE,
        text=True,
    ) as strace:  # fmt: skip
        try:
            assert strace.stderr is not None
            assert "attached" in next((line for line in strace.stderr if "attached" in line), "")
            yield
        finally:
            strace.kill()  # asked politely, it may wait for ever for what it has killed


def send(demo: Demo, mark: str, octets: int = SMALL) -> int:
    """The reply to one message; 0 when the connection was lost."""
    try:
        with smtplib.SMTP("127.0.0.1", demo.port(25), timeout=60) as client:
            client.sendmail("a@sender.example", [BOB[0]], compose(mark, octets))
    except smtplib.SMTPResponseException as refusal:
        return refusal.smtp_code
    except (OSError, smtplib.SMTPException):
        return 0
    return 250


def check(folder: Path, replies: dict[str, int]) -> None:
    """Sound as the kill left it; all that was acknowledged is there and whole, and mail flows."""
    report = verify(folder / "state")
    assert report.sound, report.problems
    with running_demo(folder) as demo:
        present = [mark_of(message) for message in each_message(demo.port(143))]
        for mark, reply in replies.items():
            assert present.count(mark) == 1 or (reply != 250 and mark not in present), mark
        assert send(demo, "afterwards") == 250
        last = list(each_message(demo.port(143)))[-1]
        assert mark_of(last) == "afterwards"
    report = verify(folder / "state")
    assert report.sound, report.problems
    assert report.messages == len(present) + 1
    large = list((folder / "state/store/large").iterdir())
    assert len(large) == sum("large" in mark for mark in present)


@pytest.mark.parametrize(
    ("call", "error", "file", "reply", "kind"),
    [
        ("fdatasync", "EIO", SEGMENT, 451, "small"),
        ("write", "ENOSPC", SEGMENT, 452, "small"),
        ("fdatasync", "EIO", LOG, 451, "small"),
        ("pwrite64", "ENOSPC", LOG, 452, "small"),
        ("fsync", "EIO", "large", 451, "large"),
    ],
    ids=["segment sync", "segment full", "log sync", "log full", "directory sync"],
)
def test_D3_D6_a_failed_call_is_temporary_and_the_next_message_is_kept(
    call: str, error: str, file: str, reply: int, kind: str, tmp_path: Path
) -> None:
    octets = LARGE if kind == "large" else SMALL
    with until_killed(tmp_path / "d") as demo:
        replies = {f"{kind}-before": send(demo, f"{kind}-before", octets)}
        with injected(demo, call, f"error={error}:when=1", file):
            for number in range(3):
                replies[f"{kind}-{number}"] = send(demo, f"{kind}-{number}", octets)
    before, failed, *others = replies.values()
    assert (before, failed) == (250, reply)
    # Large messages are synced by two threads, whichever is free; the first call of each fails.
    assert sorted(others) in ([250, 250], *([[250, reply]] if kind == "large" else []))
    check(tmp_path / "d", replies)


@pytest.mark.parametrize(
    ("call", "file", "when", "kind"),
    [
        ("rename", "", 1, "large"),
        ("pwrite64", LOG, 20, "small"),
        ("fdatasync", LOG, 2, "small"),
    ],
    ids=["rename", "log write", "log sync"],
)
def test_D1_killed_inside_a_call(
    call: str, file: str, when: int, kind: str, tmp_path: Path
) -> None:
    octets = LARGE if kind == "large" else SMALL
    with until_killed(tmp_path / "d") as demo:
        replies = {f"{kind}-before": send(demo, f"{kind}-before", octets)}
        with injected(demo, call, f"signal=KILL:when={when}", file):
            for number in range(4):
                replies[f"{kind}-{number}"] = reply = send(demo, f"{kind}-{number}", octets)
                if reply != 250:
                    break
    *kept, lost = replies.values()
    assert set(kept) == {250}
    assert lost == 0
    check(tmp_path / "d", replies)


def test_D3_D6_a_write_that_stops_half_way(tmp_path: Path) -> None:
    with until_killed(tmp_path / "d") as demo:
        assert demo.process is not None
        replies = {"small-before": send(demo, "small-before", 30_000)}
        # What lies behind this size is cut off, wherever in a write it comes.
        limit = (demo.folder / "state/store" / SEGMENT).stat().st_size + 10_000
        _, hard = resource.prlimit(demo.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(demo.process.pid, resource.RLIMIT_FSIZE, (limit, hard))
        for number in range(3):
            replies[f"small-{number}"] = send(demo, f"small-{number}", 30_000)
        resource.prlimit(demo.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        replies["small-after"] = send(demo, "small-after", 30_000)
    assert replies["small-0"] in (451, 452)
    assert replies["small-after"] == 250
    check(tmp_path / "d", replies)
