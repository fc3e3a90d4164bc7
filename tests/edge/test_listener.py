"""Listening: both IP versions beside each other, and what the administrator reads when it fails."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any, cast

import pytest
from twisted.internet.protocol import Factory

from gateway.edge.listener import CannotListen, bind, serve


def port_of(bound: socket.socket) -> int:
    return cast(int, bound.getsockname()[1])


def test_both_ip_versions_share_a_port() -> None:
    with bind("0.0.0.0:0") as four, bind(f"[::]:{port_of(four)}") as six:
        assert four.family == socket.AF_INET and six.family == socket.AF_INET6
        for host, bound in (("127.0.0.1", four), ("::1", six)):
            with socket.create_connection((host, port_of(bound)), timeout=5):
                bound.settimeout(30)  # the client's side is connected first
                accepted, peer = bound.accept()
                accepted.close()
                assert peer[0] == host


def test_a_bound_socket_neither_blocks_nor_is_inherited() -> None:
    with bind("127.0.0.1:0") as bound:
        assert not bound.getblocking() and not bound.get_inheritable()


def test_a_taken_port() -> None:
    with bind("127.0.0.1:0") as first:
        address = f"127.0.0.1:{port_of(first)}"
        with pytest.raises(CannotListen) as caught:
            bind(address)
    assert str(caught.value) == (
        f"cannot listen on {address}: Address already in use; is another mail server running there?"
    )


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.EACCES, "Permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE"),
        (errno.EADDRNOTAVAIL, "this machine does not have the address"),
        (errno.ENOBUFS, "check the address"),
    ],
)
def test_other_reasons_are_told(monkeypatch: pytest.MonkeyPatch, number: int, hint: str) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(CannotListen, match=hint):
        bind("127.0.0.1:25")


def test_a_machine_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(CannotListen, match="does not speak that version of IP"):
        bind("[::]:25")


class Reactor:
    """Adopts as a reactor does: with a descriptor of its own."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.adopted: list[tuple[int, int, Any]] = []

    def adoptStreamPort(self, descriptor: int, family: int, factory: Any) -> Any:
        if self.fails:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        self.adopted.append((descriptor, family, factory))


def test_serving_uses_the_socket_up() -> None:
    reactor, factory, bound = Reactor(), Factory(), bind("127.0.0.1:0")
    descriptor = bound.fileno()
    serve(reactor, bound, cast(Any, factory))
    assert reactor.adopted == [(descriptor, socket.AF_INET, factory)]
    assert bound.fileno() == -1


def test_a_socket_that_cannot_be_served_is_closed() -> None:
    bound = bind("127.0.0.1:0")
    with pytest.raises(OSError):
        serve(Reactor(fails=True), bound, cast(Any, Factory()))
    assert bound.fileno() == -1
