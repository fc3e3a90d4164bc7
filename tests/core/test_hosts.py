"""Which hosts are this machine."""

from __future__ import annotations

import pytest

from gateway.core.hosts import is_loopback


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.3.2.1", True), ("::1", True), ("::ffff:127.0.0.1", True)]
    + [
        ("10.0.0.1", False),
        ("local", False),
        ("fe80::1%eth0", False),
        ("", False),
        ("localhost", True),
    ]
    + [("LocalHost", True), ("localhost.example.com", False)],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) == expected
