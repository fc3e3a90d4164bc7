"""One child process: started by exec, with its line, its log and its end.

Owns the descriptors on the parent's side. Never decides whether to start another (``children``).
The child is a fresh interpreter that shares nothing with us but what is handed over: a fork of a
running reactor would share its locks and connections.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from gateway.app.boot import boot_file
from gateway.core.ports.clock import Timer
from gateway.core.settings.environment import PREFIX

CHUNK_OCTETS = 65_536  # as much as a pipe holds
LOG_REST_S = 0.02
"""Between two looks into a child's log, so that each of a thousand lines a second does not wake us:
the pipe takes what comes meanwhile."""
MAX_LINE_OCTETS = 16_384
MAX_CHUNKS_LEFT = 64
POLL_S = 0.1

LogSink = Callable[[Sequence[str]], None]
"""Takes lines of a child's log, without line ends."""


class Process:
    """A running child, or one that has ended.

    Args:
        popen: as started.
        line: our end of the line; whoever takes it (``take_line``) closes it.
        log_fd: where the child's log is read.
        log: takes it, a line at a time.
    """

    def __init__(
        self, popen: subprocess.Popen[bytes], line: socket.socket, log_fd: int, log: LogSink
    ) -> None:
        self._popen = popen
        self._line: socket.socket | None = line
        self._log = _LogPipe(log_fd, log)
        self._end: _EndOf | None = None
        self.pid = popen.pid

    @classmethod
    def spawn(
        cls,
        module: str,
        boot: Mapping[str, Any],
        *,
        log: LogSink,
        fds: Sequence[int] = (),
        nice: int = 0,
    ) -> Process:
        """Start ``python -m module``; it inherits ``fds`` under their numbers. Raises: OSError."""
        ours, theirs = socket.socketpair()
        log_read, log_write = os.pipe()
        boot_fd = -1
        try:
            boot_fd = boot_file(boot)
            popen = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                # -P: no module is taken from whatever directory we were started in.
                [sys.executable, "-P", "-m", module, str(boot_fd)],
                stdin=theirs.fileno(),
                stdout=log_write,
                stderr=log_write,
                pass_fds=(boot_fd, *fds),
                env=_environment(os.environ, sys.path),
                # A terminal's Ctrl-C is for the parent, which stops its children in order.
                process_group=0,
            )
        except BaseException:
            ours.close()
            os.close(log_read)
            raise
        finally:
            theirs.close()
            os.close(log_write)
            if boot_fd >= 0:
                os.close(boot_fd)
        if nice:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, popen.pid, nice)
        os.set_blocking(log_read, False)
        return cls(popen, ours, log_read, log)

    def take_line(self) -> socket.socket:
        """Our end of the line, which is the caller's from now on."""
        line, self._line = self._line, None
        assert line is not None, "the line is taken once"
        return line

    def watch(self, reactor: Any, on_end: Callable[[], None]) -> None:
        """Pass its log on, and call back once after its end."""
        self._log.watch(reactor)

        def ended() -> None:
            self._closed()
            on_end()

        self._end = _EndOf(self._popen, reactor, ended)

    def wait(self, timeout_s: float) -> None:
        """Before the reactor runs: wait for its end, kill it if it takes longer."""
        try:
            self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self._popen.wait()
        self._closed()

    def relay_log(self) -> None:
        """Pass on what it has logged by now."""
        self._log.doRead()

    def signal(self, number: int) -> None:
        """Send a signal; one that has ended is left alone."""
        self._popen.send_signal(number)

    def outcome(self) -> str:
        """How it ended, for the log."""
        status = self._popen.returncode
        if status is None:
            return "running"
        if status < 0:
            with contextlib.suppress(ValueError):
                return f"killed by {signal.Signals(-status).name}"
        return f"exit status {status}"

    def _closed(self) -> None:
        self._log.close()
        if self._line is not None:
            self._line.close()
            self._line = None


def tracer_of(pid: int) -> int:
    """The debugger or tracer that this process is in the hands of, 0 without one."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name == "TracerPid":
                return int(value)
    return 0


def _environment(environ: Mapping[str, str], path: Sequence[str]) -> dict[str, str]:
    """Ours without settings (they may be secrets), and with the modules we run with."""
    kept = {name: value for name, value in environ.items() if not name.startswith(PREFIX)}
    kept["PYTHONPATH"] = os.pathsep.join(str(Path(each).absolute()) for each in path if each)
    return kept


@implementer(IReadDescriptor)
class _LogPipe:
    """Reads lines from the child's standard output and error."""

    def __init__(self, fd: int, sink: LogSink) -> None:
        self._fd = fd
        self._sink = sink
        self._rest = b""
        self._reactor: Any = None
        self._timer: Timer | None = None

    def watch(self, reactor: Any) -> None:
        """Read it in the reactor from now on."""
        self._reactor = reactor
        reactor.addReader(self)

    def fileno(self) -> int:
        return self._fd

    def logPrefix(self) -> str:
        return "child"

    def doRead(self) -> Exception | None:
        """Called when readable. An error or the end is seen by whoever waits for the process."""
        found = self._take()
        if found is None:
            return EOFError()
        if self._reactor is not None and found < CHUNK_OCTETS:
            self._reactor.removeReader(self)
            self._timer = self._reactor.callLater(LOG_REST_S, self._look_again)
        return None

    def _look_again(self) -> None:
        self._timer = None
        self._reactor.addReader(self)

    def _take(self) -> int | None:
        """Pass a chunk on; its octets, None when nothing will come."""
        if self._fd < 0:
            return None
        try:
            data = os.read(self._fd, CHUNK_OCTETS)
        except BlockingIOError:
            return 0
        except OSError:
            return None
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_OCTETS:
            lines.append(self._rest)
            self._rest = b""
        self._pass_on(lines)
        return len(data)

    def _pass_on(self, lines: Sequence[bytes]) -> None:
        if lines:
            self._sink([line[:MAX_LINE_OCTETS].decode("utf-8", "replace") for line in lines])

    def connectionLost(self, reason: object) -> None:
        """Removed from the reactor; ``close`` comes with the process's end."""

    def close(self) -> None:
        """Read what is left, but not for ever what somebody else may go on writing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reactor is not None:
            self._reactor.removeReader(self)
            self._reactor = None
        for _ in range(MAX_CHUNKS_LEFT):
            if not self._take():
                break
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._pass_on([self._rest] if self._rest else [])
        self._rest = b""


@implementer(IReadDescriptor)
class _EndOf:
    """Waits for a process in the reactor: on its pidfd, or by asking where there is none."""

    def __init__(
        self, popen: subprocess.Popen[bytes], reactor: Any, ended: Callable[[], None]
    ) -> None:
        self._popen = popen
        self._reactor = reactor
        self._ended = ended
        self._fd = -1
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._fd = os.pidfd_open(popen.pid)
        if self._fd >= 0:
            reactor.addReader(self)
        else:
            reactor.callLater(POLL_S, self._poll)

    def fileno(self) -> int:
        return self._fd

    def logPrefix(self) -> str:
        return "child"

    def doRead(self) -> None:
        if self._popen.poll() is not None:
            self._reactor.removeReader(self)
            os.close(self._fd)
            self._ended()

    def connectionLost(self, reason: object) -> None:
        """The reactor has stopped."""

    def _poll(self) -> None:
        if self._popen.poll() is None:
            self._reactor.callLater(POLL_S, self._poll)
        else:
            self._ended()
