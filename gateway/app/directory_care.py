"""The directory as the running gateway sees it: the first look at it, and what its status tells.

Owns the words and shapes for ``gateway status``. Never decides anything: a gateway starts whether
its directory answers or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.core.directory_health import DirectoryHealth
from gateway.core.errors import DirectoryUnavailable
from gateway.core.ports.directory import Directory

_log = Logger()


def look_at(directory: Directory) -> None:
    """Ask it once, so that the first person need not wait and the status knows."""

    async def look() -> None:
        try:
            said = await directory.probe()
        except DirectoryUnavailable as error:
            _log.warn(
                "started without the directory, which is asked again and again: {why}",
                why=error.fields.get("reason", error.safe_text),
            )
        else:
            _log.info("the directory answers: {said}", said=said)

    looking: Deferred[None] = Deferred.fromCoroutine(look())
    looking.addErrback(lambda failure: _log.failure("the directory was not looked at", failure))


def directory_status(directories: Sequence[DirectoryHealth]) -> list[Mapping[str, object]]:
    """For ``gateway status``."""
    return [asdict(each) for each in directories]


def directory_warnings(status: Sequence[Mapping[str, object]]) -> list[str]:
    """What needs attention, of what ``directory_status`` made."""
    return [_named(each, str(warning)) for each in status for warning in _list(each["warnings"])]


def _named(status: Mapping[str, object], text: str) -> str:
    return f"directory {status['name']}: {text}" if status["name"] else f"directory: {text}"


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()
