"""A reactor for each test that uses real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.own_reactor import OwnReactor


@pytest.fixture
def own() -> Iterator[OwnReactor]:
    made = OwnReactor()
    yield made
    made.close()
