"""What is written past a transport's buffer: nothing is lost, nothing comes twice."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from gateway.core.eager import left_of


@dataclass(frozen=True, slots=True)
class Connection:
    socket: socket.socket


@pytest.fixture
def ends() -> Iterator[tuple[Connection, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield Connection(ours), theirs


def test_what_the_peer_has_room_for_is_gone(ends: tuple[Connection, socket.socket]) -> None:
    connection, peer = ends
    assert left_of(connection, b"250 2.0.0 OK\r\n") == b""
    assert peer.recv(100) == b"250 2.0.0 OK\r\n"


def test_a_slow_peer_gets_the_beginning_and_then_nothing(
    ends: tuple[Connection, socket.socket],
) -> None:
    connection, peer = ends
    data = bytes(range(256)) * 16_384
    rest = left_of(connection, data)
    assert 0 < len(rest) < len(data)
    assert left_of(connection, b"behind") == b"behind"
    taken = bytearray()
    while len(taken) < len(data) - len(rest):
        taken += peer.recv(65_536)
    assert bytes(taken) + rest == data


def test_of_a_peer_that_is_gone_everything_is_left(
    ends: tuple[Connection, socket.socket],
) -> None:
    connection, peer = ends
    peer.close()
    assert left_of(connection, b"too late") == b"too late"
