"""The real server is started once for all modules that need it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import globalLogPublisher

from tests.directory.contract import PEOPLE
from tests.directory.contract_groups import GROUPS
from tests.directory.picturing import Case
from tests.support.ds389 import Ds389
from tests.support.ds389_people import ds389 as started_ds389
from tests.support.reactor_pump import ReactorPump
from tests.support.samba_ad import SambaAd
from tests.support.samba_ad import samba_ad as started_samba_ad
from tests.support.slapd import Slapd
from tests.support.slapd_people import slapd_with_policy as started_slapd_with_policy


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test with a domain controller waits for what is made once on a machine."""
    for item in items:
        if "samba_ad" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture
def pump() -> Iterator[ReactorPump]:
    made = ReactorPump()
    yield made
    made.close()


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    server = Slapd(tmp_path_factory.mktemp("slapd"), PEOPLE + GROUPS)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def slapd_with_policy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """Whoever changes it puts it back, as all modules see the same one."""
    server = started_slapd_with_policy(tmp_path_factory.mktemp("policy") / "slapd")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def samba_ad() -> Iterator[SambaAd]:
    """Whoever changes it puts it back, as all modules see the same one."""
    server = started_samba_ad()
    yield server
    server.close()


@pytest.fixture(scope="session")
def ds389() -> Iterator[Ds389]:
    """Whoever changes it puts it back, as all modules see the same one."""
    server = started_ds389()
    yield server
    server.close()


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Everything logged, as text."""
    events: list[str] = []

    # Any: mypy knows ILogObserver as a class, not as what a function can provide.
    observer: Any = lambda event: events.append(str(event))  # noqa: E731
    globalLogPublisher.addObserver(observer)
    yield events
    globalLogPublisher.removeObserver(observer)


@pytest.fixture
def case(tmp_path: Path, pump: ReactorPump) -> Case:
    """A picture of everybody, beside servers that know nobody."""
    case = Case(tmp_path, pump)
    case.fill()
    return case
