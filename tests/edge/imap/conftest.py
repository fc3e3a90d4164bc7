"""Fixtures for the IMAP door's dialogues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
from twisted.internet.defer import Deferred

from gateway.core.ids import AccountId
from tests.support.imap_client import Bench


@pytest.fixture(params=["whole", "bytewise"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A world whose clients send each line whole, then octet by octet; alice exists."""
    bench = Bench(bytewise=cast(str, request.param) == "bytewise")
    Deferred.fromCoroutine(bench.store.ensure_account(AccountId("alice")))
    yield bench
    bench.close()
