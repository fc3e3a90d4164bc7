"""Room for files beside connections: what is raised, what is spared, what administrators hear."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from gateway.app import descriptors
from gateway.app.descriptors import SPARE


class Limit:
    """The process's limit of open files, but not really."""

    def __init__(self, soft: int, hard: int) -> None:
        self.soft, self.hard = soft, hard

    def getrlimit(self, kind: int) -> tuple[int, int]:
        assert kind == resource.RLIMIT_NOFILE
        return self.soft, self.hard

    def setrlimit(self, kind: int, limits: tuple[int, int]) -> None:
        assert kind == resource.RLIMIT_NOFILE
        self.soft, self.hard = limits


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Limit]:
    limit = Limit(1024, 524_288)
    monkeypatch.setattr(resource, "getrlimit", limit.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", limit.setrlimit)
    yield limit


def test_N3_the_soft_limit_is_raised_as_far_as_connections_need_it(limit: Limit) -> None:
    assert descriptors.raise_limit(10_000) == ""
    assert (limit.soft, limit.hard) == (10_000 + SPARE, 524_288)
    assert descriptors.room() == 10_000


def test_a_limit_that_suffices_stays(limit: Limit) -> None:
    limit.soft = limit.hard
    assert descriptors.raise_limit(10_000) == ""
    assert limit.soft == 524_288


def test_N3_what_the_hard_limit_forbids_is_told_and_files_are_spared(limit: Limit) -> None:
    limit.hard = 4096
    told = descriptors.raise_limit(10_000)
    assert "4096 open files" in told and "3072 connections" in told and "LimitNOFILE" in told
    assert limit.soft == 4096 and descriptors.room() == 3072


def test_N3_of_very_few_half_are_spared(limit: Limit) -> None:
    limit.soft = limit.hard = 150
    assert "75 connections" in descriptors.raise_limit(10_000)
    assert descriptors.room() == 75


def test_no_limit_is_none(limit: Limit) -> None:
    limit.soft = limit.hard = resource.RLIM_INFINITY
    assert descriptors.raise_limit(10_000) == ""
    assert descriptors.room() >= 10_000
