"""The bounds of one LDAP operation: a deadline, a cap on the reply, and a way to cut it off.

ldap3 knows a timeout per ``recv`` only and takes replies of any size (SECURITY F4, L10). So its
sockets are wrapped: every connect, send and receive gets no more than what is left of the whole
operation, a reply may not grow beyond the cap, and the reactor thread can shut the socket down
under a blocked worker thread. Never speaks LDAP.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any


class OperationEnded(TimeoutError):
    """The operation's time or octets are used up, or it was cut off; an OSError for ldap3."""


class Guard:
    """One operation's bounds; ``cut_off`` may be called from any thread, the rest from one.

    Args:
        limit_s: the whole operation's time, connecting included.
        connect_limit_s: the time for one address to accept a TCP connection.
        reply_limit_octets: what may be received in all.
        monotonic: seconds that never jump.
    """

    def __init__(
        self,
        *,
        limit_s: float,
        connect_limit_s: float,
        reply_limit_octets: int,
        monotonic: Callable[[], float],
    ) -> None:
        self._monotonic = monotonic
        self._end = monotonic() + limit_s
        self._connect_limit_s = connect_limit_s
        self._octets_left = reply_limit_octets
        self._lock = threading.Lock()
        self._ended = False
        self._watched: GuardedSocket | None = None

    @property
    def over(self) -> bool:
        """Nothing more can be done under this guard."""
        return self._ended or self._monotonic() >= self._end

    def left_s(self, connecting: bool = False) -> float:
        """Time for the next step.

        Raises:
            OperationEnded: there is none.
        """
        left = self._end - self._monotonic()
        if self._ended or left <= 0:
            raise OperationEnded("the directory did not answer in time")
        return min(left, self._connect_limit_s) if connecting else left

    def count(self, octets: int) -> None:
        """Octets received.

        Raises:
            OperationEnded: they are too many.
        """
        self._octets_left -= octets
        if self._octets_left < 0:
            raise OperationEnded("the directory's reply is too long")

    def allow(self, octets: int) -> None:
        """One more reply is wanted: so much more may be received."""
        self._octets_left += octets

    def watch(self, guarded: GuardedSocket | None) -> None:
        """The socket that ``cut_off`` shall shut down from now on."""
        with self._lock:
            self._watched = guarded
            if self._ended and guarded is not None:
                guarded.shut_down()

    def cut_off(self) -> None:
        """End the operation: a thread that is blocked in it wakes up and fails."""
        with self._lock:
            self._ended = True
            if self._watched is not None:
                self._watched.shut_down()


class GuardedSocket:
    """What ldap3 takes for a socket. The guard is changed when the connection is used again."""

    def __init__(self, raw: socket.socket, guard: Guard) -> None:
        self.raw = raw
        self._guard = guard
        self._lock = threading.Lock()
        self._closed = False
        guard.watch(self)

    def use(self, guard: Guard) -> None:
        """Put the next operation under its own guard."""
        self._guard = guard
        guard.watch(self)

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Shake hands and check the certificate against ``host``, as the context demands."""
        tls = context.wrap_socket(self.raw, server_hostname=host, do_handshake_on_connect=False)
        with self._lock:
            # Before the handshake: the socket it took over can no longer be shut down.
            self.raw = tls
        tls.settimeout(self._guard.left_s())
        tls.do_handshake()

    # -- the calls ldap3 makes

    @property
    def family(self) -> int:
        return self.raw.family

    def bind(self, address: Any) -> None:
        self.raw.bind(address)

    def settimeout(self, _: float | None) -> None:
        """ldap3's timeouts are per call; the guard's count."""

    def connect(self, address: Any) -> None:
        # Nagle's algorithm would keep the bind behind the TLS handshake's last message until the
        # server acknowledges that, 40 ms later.
        self.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.raw.settimeout(self._guard.left_s(connecting=True))
        self.raw.connect(address)

    def sendall(self, data: bytes) -> None:
        self.raw.settimeout(self._guard.left_s())
        self.raw.sendall(data)

    def recv(self, size: int) -> bytes:
        self.raw.settimeout(self._guard.left_s())
        data = self.raw.recv(size)
        # A socket that was shut down reads as a clean end.
        self._guard.left_s()
        self._guard.count(len(data))
        return data

    def shutdown(self, _: int) -> None:
        self.shut_down()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self.raw.close()

    # -- from any thread

    def shut_down(self) -> None:
        # The lock keeps the descriptor from being closed, and perhaps used again, in between.
        # socket.socket.shutdown, as SSLSocket's own one drops the TLS state under the reader.
        with self._lock, contextlib.suppress(OSError):
            if not self._closed:
                socket.socket.shutdown(self.raw, socket.SHUT_RDWR)
