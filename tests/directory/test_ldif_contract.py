"""The directory contract on an LDIF file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.directory.ldif.directory import LdifDirectory
from tests.directory.contract import *  # noqa: F403
from tests.directory.contract import PEOPLE, Place
from tests.directory.contract_groups import *  # noqa: F403
from tests.directory.contract_groups import GROUPS
from tests.directory.contract_sharing import *  # noqa: F403
from tests.support.pump import Pump


@pytest.fixture
def place(tmp_path: Path, pump: Pump) -> Iterator[Place]:
    path = tmp_path / "people.ldif"
    path.write_text(PEOPLE + GROUPS, encoding="utf-8")
    directory = LdifDirectory(path, call_from_thread=pump.call_from_thread)
    yield Place(directory, pump)
    pump.wait(directory.close())
