"""Fixtures that tests of processes share with those of the directory."""

from __future__ import annotations

from tests.directory.conftest import logged as logged
