"""What logging in by SCRAM needs of this process: nonces, and keys made in a thread.

Owns the keys made lately: a server with one salt for us costs the work once, not once a connection
(RFC 5802 section 5.1 lets clients keep what was derived). Never speaks to a server.

Limits: MAX_KEPT keys.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred

from gateway.core.scram import ScramKeys, scram_keys
from gateway.wire.scram_client import KeysWanted

NONCE_OCTETS = 18
MAX_KEPT = 100

Submit = Callable[[Callable[[], ScramKeys]], "Deferred[ScramKeys]"]
"""Runs work in a thread; fails with a GatewayError where too much of it waits."""


class Scram:
    """Args:
    random: octets nobody can guess.
    """

    def __init__(self, submit: Submit, random: Callable[[int], bytes]) -> None:
        self._submit = submit
        self._random = random
        self._kept: dict[KeysWanted, ScramKeys] = {}

    def nonce(self) -> bytes:
        return urlsafe_b64encode(self._random(NONCE_OCTETS))

    async def keys(self, wanted: KeysWanted) -> ScramKeys:
        """Raises: GatewayError."""
        keys = self._kept.get(wanted)
        if keys is None:
            make = partial(scram_keys, wanted.password, wanted.salt, wanted.iterations)
            keys = await self._submit(make)
            if len(self._kept) >= MAX_KEPT:  # by servers with a new salt each time
                self._kept.clear()
            self._kept[wanted] = keys
        return keys
