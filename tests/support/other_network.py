"""A network beside the test's, for servers that insist on their ports: started in there, reached by
ports of 127.0.0.1 out here.

One thread lives in a network namespace of its own and passes octets on. Whoever connects out here
is accepted even while nobody listens in there, and then hears the connection end at once. Needs
the right to make network namespaces (root); the test is skipped by name otherwise.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import pytest

from tests.support.programs import need, run

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000  # unshare(2)
_DEADLINE_S = 60.0
_PIECE_OCTETS = 65536


class OtherNetwork:
    """With loopback alone. ``close`` ends what goes through; programs are their starter's."""

    def __init__(self) -> None:
        self._ip = need("ip")
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            refused = self.call(self._enter)
        except BaseException:
            self.close()
            raise
        if refused:
            self.close()
            pytest.skip(f"no network namespace: {os.strerror(refused)}")

    def _enter(self) -> int:
        # A namespace belongs to the thread: nobody but the loop's lives in this one.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET) != 0:
            return ctypes.get_errno()
        run([self._ip, "link", "set", "lo", "up"])
        return 0

    def call(self, function: Callable[[], T]) -> T:
        """Call it in there: sockets and processes that it makes belong to that network."""

        async def called() -> T:
            return function()

        return self._wait(called())

    def start(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        """A program in there, in a process group of its own."""
        return self.call(lambda: subprocess.Popen(command, start_new_session=True, **options))

    def forward(self, port: int) -> int:
        """The port of 127.0.0.1 out here that leads to that one in there."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=200)

        def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # Nobody else holds the task: a connection that waits would be collected as garbage.
            task = self._loop.create_task(self._pass_on(port, reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        async def serve() -> int:
            self._servers.append(await asyncio.start_server(passed_on, sock=listener))
            number: int = listener.getsockname()[1]
            return number

        return self._wait(serve())

    def close(self) -> None:
        async def end() -> None:
            for server in self._servers:
                server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(0)

        if self._thread.is_alive():
            self._wait(end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_DEADLINE_S)
            self._loop.close()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_DEADLINE_S)

    async def _pass_on(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        far = None
        try:
            with suppress(OSError):
                far_reader, far = await asyncio.open_connection("127.0.0.1", port)
                # Either side's end is passed on; the connection is over when both have ended.
                await asyncio.gather(_copy(reader, far), _copy(far_reader, writer))
        finally:
            for each in (writer, far):
                if each is not None:
                    each.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(_PIECE_OCTETS):
            writer.write(piece)
            await writer.drain()
    with suppress(OSError):
        writer.write_eof()
