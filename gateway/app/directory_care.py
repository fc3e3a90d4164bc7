"""The directory as the running gateway sees it: the first look at it, and what its status tells.

Owns the words and shapes for ``gateway status``. Never decides anything: a gateway starts whether
its directory answers or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.core.directory_health import DirectoryHealth
from gateway.core.errors import DirectoryUnavailable
from gateway.core.picture_status import PictureStatus
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


def directory_status(
    directories: Sequence[DirectoryHealth], pictures: Sequence[PictureStatus]
) -> list[Mapping[str, object]]:
    """For ``gateway status``; ``picture`` is null where there is none, or nobody refreshes it."""
    by_name = {each.name: each.as_json() for each in pictures}
    return [{**asdict(each), "picture": by_name.get(each.name)} for each in directories]


def directory_warnings(status: Sequence[Mapping[str, object]]) -> list[str]:
    """What needs attention, of what ``directory_status`` made."""
    told = []
    for each in status:
        warnings = [*_list(each["warnings"]), *_about_picture(each.get("picture"))]
        told += [_named(each, str(warning)) for warning in warnings]
    return told


def _about_picture(picture: object) -> Iterator[str]:
    if not isinstance(picture, Mapping):
        return
    if picture["stopped"]:
        yield (
            f"nobody is removed, as {picture['stopped']}; if that is right:"
            " gateway user reconcile --accept"
        )
    if picture["unusable"]:
        example = next(iter(picture["unusable_examples"]), "")
        yield f"{picture['unusable']:,} entries cannot be used, such as {example}"
    if picture["shared"]:
        first = picture["shared"][0]
        yield (
            f"several entries have the same address or login, such as {first['what']}"
            f" {first['key']}: {', '.join(first['owners'])}"
        )


def _named(status: Mapping[str, object], text: str) -> str:
    return f"directory {status['name']}: {text}" if status["name"] else f"directory: {text}"


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()
