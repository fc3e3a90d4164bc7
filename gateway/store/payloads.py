"""From arriving bodies to payloads the committer can write.

Owns the step between: a small body is taken at once, a large one is made durable by a thread of its
own pool first, so that a big message's fsync does not hold up everybody's commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.core.errors import StoreFull
from gateway.core.ports.body import IncomingBody
from gateway.store.bodies import Bodies, Body, Payload
from gateway.store.readers import Closable, Pool


class Nothing:
    """What a thread that makes bodies durable has of its own."""

    def close(self) -> None:
        return


class Payloads:
    """Turns bodies into payloads; reactor thread.

    Args:
        when_full: called when the disk had no room for a large body.
    """

    def __init__(
        self, bodies: Bodies, sealers: Pool[Closable], when_full: Callable[[], None]
    ) -> None:
        self._bodies = bodies
        self._sealers = sealers
        self._when_full = when_full

    def open_body(self) -> IncomingBody:
        return self._bodies.open()

    def make(self, body: IncomingBody, head: bytes = b"") -> Payload | Deferred[Payload]:
        """Take the body, ``head`` before it: at once if it is small, and most are.

        Raises:
            StoreFull, StoreUnavailable: the disk failed while the body arrived.
        """
        assert isinstance(body, Body), "bodies come from this store's open_body"
        try:
            body.take()
        except StoreFull:
            self._when_full()
            raise
        if not body.is_large:
            octets = head + body.take_octets()
            return Payload(octets=octets, size_octets=len(octets))
        try:
            sealed = self._sealers.run(lambda _: body.seal(head), even_cancelled=True)
        except BaseException:
            body.drop()
            raise
        # The caller may be cancelled (its client is gone) while the file is being synced: then
        # nobody will own the file, and it goes at once.
        answer: Deferred[Payload] = Deferred()

        def arrived(payload: Payload) -> None:
            if answer.called:
                self._bodies.abandon([payload])
            else:
                answer.callback(payload)

        def failed(failure: Failure) -> None:
            if failure.check(StoreFull):
                self._when_full()
            if not answer.called:
                answer.errback(failure)

        sealed.addCallbacks(arrived, failed)
        return answer

    async def make_all(self, bodies: Iterable[IncomingBody]) -> list[Payload]:
        """All of them, in order, or none: on an error those made already are removed.

        Raises: as ``make``.
        """
        payloads: list[Payload] = []
        try:
            for body in bodies:
                made = self.make(body)
                payloads.append(made if isinstance(made, Payload) else await made)
        except BaseException:
            self._bodies.abandon(payloads)
            raise
        return payloads
