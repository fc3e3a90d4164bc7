"""Filling and freshening the pictures of directories, in the process that runs the queue.

Owns their construction when this process begins to lead, the one who hears of people first (whoever
follows them, in order), and what administrators ask: how it goes, and to let a mass change happen.
In all other processes nothing here runs; they read the file. What a refresh does is
``directory.picture``'s.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.logger import Logger

from gateway.app.directories import Directories
from gateway.core.errors import GatewayError, StoreUnavailable
from gateway.core.picture_status import PictureStatus
from gateway.core.ports.people import PeopleChanged, PersonChange
from gateway.directory.picture.refresh import Refresher
from gateway.directory.picture.source import MAIN
from gateway.directory.several import MarkedChanges
from gateway.queue.desk_forms import CallRefused
from gateway.store.picture.file import PictureFile
from gateway.store.picture.writing import PictureWriter


class NotRefreshing(GatewayError):
    """This process does not."""

    default_text = "nobody refreshes the picture of the directory at the moment, try again later"


class AllTold:
    """Several who follow people, as one: told one after the other, each before the picture.

    Whoever cannot note something holds up those behind them; all are told again.
    """

    def __init__(self, followers: Sequence[PeopleChanged]) -> None:
        self._followers = tuple(followers)

    async def changed(self, changes: Sequence[PersonChange]) -> None:
        for each in self._followers:
            await each.changed(changes)

    async def listed(self, source: str) -> None:
        for each in self._followers:
            await each.listed(source)


class Picturing:
    """The pictures of all directories that have one.

    Args:
        followers: of people.
    """

    log = Logger()

    def __init__(
        self, directories: Directories, reactor: Any, followers: Sequence[PeopleChanged]
    ) -> None:
        self._directories = directories
        self._reactor = reactor
        self._tells = MarkedChanges(AllTold(followers))
        self._writer: PictureWriter | None = None
        self._refreshers: tuple[Refresher, ...] = ()

    def start(self) -> None:
        """This process runs the queue."""
        refreshed = self._directories.refreshed
        if self._writer is not None or not refreshed:
            return
        writer = self._writer = PictureFile.open_writing(
            self._directories.picture_path, call_from_thread=self._reactor.callFromThread
        )
        self._refreshers = tuple(
            Refresher(
                each.source,
                each.asks,
                writer,
                self._tells,
                refresh_s=each.refresh_s,
                timers=self._reactor,
                wall_clock=time.time,
                random=random.random,
            )
            for each in refreshed
        )
        for refresher, each in zip(self._refreshers, refreshed, strict=True):
            refresher.start()
            if each.watched is not None:
                each.watched.watch(refresher.wake)

    async def stop(self) -> None:
        """Before servers and stores are closed."""
        for each in self._directories.refreshed:
            if each.watched is not None:
                each.watched.unwatch()
        for refresher in self._refreshers:
            await refresher.stop()
        self._refreshers = ()
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()

    def status(self) -> list[PictureStatus]:
        """Of those that are refreshed here; without those whose picture cannot be read now."""
        told = []
        for refresher in self._refreshers:
            try:
                told.append(refresher.status())
            except StoreUnavailable as error:
                self.log.warn("the picture cannot be read: {error}", error=str(error))
        return told

    async def call(
        self, name: str, arguments: Mapping[str, Any], actor: str
    ) -> Mapping[str, object]:
        """A desk: ``status``, and ``accept`` (``{"source": name}``; none: of all directories).

        Returns: of ``accept``: ``accepted``, what was held back, by directory; empty: nothing was.

        Raises:
            NotRefreshing: another process does, or none.
            CallRefused: the call is not known.
        """
        if not self._refreshers and self._directories.refreshed:
            raise NotRefreshing
        match name, arguments:
            case "status", {}:
                return {"pictures": [each.as_json() for each in self.status()]}
            case "accept", {"source": str() | None as source}:
                return {"accepted": self._accept(source, actor)}
        raise CallRefused("expected status, or accept with the name of a directory or null")

    def _accept(self, source: str | None, actor: str) -> Mapping[str, str]:
        accepted = {}
        for refresher in self._refreshers:
            if source is None or refresher.name == source:
                stopped = refresher.accept()
                if stopped:
                    accepted[refresher.name] = stopped
                    self.log.warn(
                        "{actor} accepts what was held back in directory {name}: {stopped}",
                        actor=actor,
                        name=refresher.name or MAIN,
                        stopped=stopped,
                    )
        return accepted
