"""The LDAP directory on scripted servers, with the time under control."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from twisted.internet.task import Clock

from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable
from gateway.directory.ldap.directory import LdapDirectory
from gateway.directory.ldap.settings import LdapSettings
from tests.directory.bad_server import BadServer, Dialogue, Script
from tests.support.pump import Pump

SERVICE_PASSWORD = "service-secret-4711"
ALICE = Address("alice", "example.test")


class Bench:
    """A directory on bad servers, with the time under control."""

    def __init__(
        self, pump: Pump, *servers: BadServer, real_time: bool = False, **changes: Any
    ) -> None:
        self.pump = pump
        self.clock = Clock()
        self.now_s = 0.0
        settings = LdapSettings(
            uris=tuple(server.uri for server in servers),
            base_dn="dc=example,dc=test",
            bind_dn="cn=gateway,dc=example,dc=test",
            bind_password=SERVICE_PASSWORD,
            threads=1,
        )
        self.directory = LdapDirectory(
            dataclasses.replace(settings, **changes),
            call_from_thread=pump.call_from_thread,
            timers=self.clock,
            monotonic=time.monotonic if real_time else lambda: self.now_s,
        )

    def find(self) -> object:
        return self.pump.wait(self.directory.find_by_address(ALICE))

    def log_in(self, password: str = "wonderland", login: str = "alice") -> object:
        return self.pump.wait(self.directory.authenticate(login, password.encode()))

    def unavailable(self) -> str:
        with pytest.raises(DirectoryUnavailable) as error:
            self.log_in()
        return str(error.value)


@contextmanager
def bench(pump: Pump, *scripts: Script, **changes: Any) -> Iterator[tuple[Bench, BadServer]]:
    """A directory on one server for each script; gives the first server."""
    servers = [BadServer(script) for script in scripts]
    for server in servers:
        server.__enter__()
    made = Bench(pump, *servers, **changes)
    try:
        yield made, servers[0]
    finally:
        pump.wait(made.directory.close())
        for server in servers:
            server.__exit__(None, None, None)


def searching(answer: Script) -> Script:
    """A server on which the service account can bind; then the script goes on."""

    def script(dialogue: Dialogue) -> None:
        dialogue.accept_bind()
        answer(dialogue)

    return script
