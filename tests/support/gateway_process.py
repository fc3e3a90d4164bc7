"""The real gateway in a process of its own, started as an administrator would."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from gateway.app.demo import prepare
from gateway.cli.control_client import ControlClient
from gateway.core.settings.paths import control_socket
from tests.support.ports import beginning_somewhere, share
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
STANDARD_PORTS = (25, 465, 587, 2525, 110, 995, 143, 993, 80)


def _bases() -> range:
    """This process' share; all ports are below 32,768, where the kernel's own choice begins."""
    number, count = share()
    width = 22_500 // count if count <= 5 else 22_500
    first = 10_000 + (number * width if count <= 5 else 0)
    return range(first, first + width - max(STANDARD_PORTS), 7)


_BASES = _bases()
_IN_TURN = beginning_somewhere(_BASES)


def free_port_base() -> int:
    """A base on which every port of the demo is free at the moment."""
    for base in islice(_IN_TURN, len(_BASES)):
        sockets = []
        try:
            for port in STANDARD_PORTS:
                probe = socket.socket()
                sockets.append(probe)
                probe.bind(("127.0.0.1", base + port))
            return base
        except OSError:
            continue
        finally:
            for probe in sockets:
                probe.close()
    raise AssertionError("no free ports")


class GatewayProcess:
    """``twistd -n gateway`` with its output; ``ready`` lines are waited for, never slept for."""

    def __init__(
        self,
        arguments: Sequence[str],
        environ: Mapping[str, str] | None = None,
        code: Path = ROOT,
    ) -> None:
        self.arguments = list(arguments)
        self.code = code  # the checkout, or an installed wheel
        self.environ = {**os.environ, **(environ or {}), "PYTHONPATH": str(code)}
        self.output: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.process: subprocess.Popen[str] | None = None

    def start(self, *, deadline_s: float = 90.0, command: Sequence[str] = ()) -> None:
        """Start and wait for ``gateway ready``; ``command`` goes before (strace and the like)."""
        self.launch(command)
        try:
            self.wait_for_line("gateway ready", deadline_s)
        except BaseException:
            self.kill()  # nobody else would
            raise

    def launch(self, command: Sequence[str] = ()) -> None:
        self._lines = queue.Queue()
        self.process = subprocess.Popen(
            [*command, str(BIN / "twistd"), "--nodaemon", "--pidfile=", "gateway", *self.arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=self.code,
            env=self.environ,
        )
        threading.Thread(target=self._read, args=(self.process, self._lines), daemon=True).start()

    def _read(self, process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.output.append(line.rstrip("\n"))
                lines.put(line.rstrip("\n"))
        lines.put(None)

    def wait_for_line(self, text: str, deadline_s: float = 30.0) -> str:
        """The next line of output that holds the text."""
        end = time.monotonic() + deadline_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"no {text!r} in:\n" + "\n".join(self.output[-60:]))
            if text in line:
                return line

    def wait_until_said(self, *words: str) -> None:
        """Until some line, an earlier one too, holds all of these words."""
        eventually(lambda: any(all(each in line for each in words) for line in list(self.output)))

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, deadline_s: float = 40.0) -> int:
        """SIGTERM; returns the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("did not stop:\n" + "\n".join(self.output[-60:])) from None

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)


class Demo(GatewayProcess):
    """The demo in a folder, on ports of its own."""

    def __init__(self, folder: Path, code: Path = ROOT, workers: int = 1) -> None:
        self.folder = folder
        self.base = free_port_base()
        environ = {"GATEWAY_WORKERS": str(workers)} if workers > 1 else {}
        arguments = ["--demo", str(folder), "--port-base", str(self.base)]
        super().__init__(arguments, environ, code)

    def prepare(self) -> Path:
        """Write the files without a start; returns the configuration, to be changed before it."""
        return prepare(self.folder, self.base)

    def port(self, standard: int) -> int:
        return self.base + standard

    @property
    def config(self) -> Path:
        return self.folder / "gateway.toml"

    def status(self) -> dict[str, Any]:
        """What the control socket tells."""
        return self.control().get("/v1/status")

    def queued(self) -> int | None:
        """Messages in the queue; None while nobody can tell, as after a worker's end."""
        queue = self.status()["queue"]
        return None if queue is None else queue["messages"]

    def control(self) -> ControlClient:
        return ControlClient(control_socket(self.folder / "state"), timeout_s=20)


@contextmanager
def running_demo(folder: Path, workers: int = 1) -> Iterator[Demo]:
    demo = Demo(folder, workers=workers)
    demo.start()
    try:
        yield demo
    finally:
        if demo.process is not None and demo.process.poll() is None:
            demo.stop()
