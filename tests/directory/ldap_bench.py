"""The LDAP directory on scripted servers, with the time under control."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from twisted.internet.task import Clock

from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable
from gateway.core.ports.services import FindsServices
from gateway.directory.ldap.building import make_servers
from gateway.directory.ldap.dialogue import GOODBYE_S
from gateway.directory.ldap.directory import LdapDirectory
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.presets.openldap import OPENLDAP
from gateway.directory.schema import Schema
from tests.directory.bad_server import BadServer, Dialogue, Script
from tests.support.reactor_pump import ReactorPump

SERVICE_PASSWORD = "service-secret-4711"
ALICE = Address("alice", "example.test")
BREATH_S = 0.1


class ShiftedReactor:
    """A reactor whose time goes on only when it is put forward, as the machine may be busy: sockets
    are real, and no pause is waited for."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._clock = Clock()
        self._clock.advance(reactor.seconds())  # nobody was heard of lately
        # Whoever says goodbye for too long is cut off at the end, however far the time has come.
        reactor.addSystemEventTrigger("before", "shutdown", self.advance, GOODBYE_S)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def seconds(self) -> float:
        return self._clock.seconds()

    def callLater(self, delay: float, callable: Any, *args: object, **kw: object) -> Any:
        # Where somebody merely takes a breath, nobody need put the time forward.
        timers = self._clock if delay > BREATH_S else self._reactor
        return timers.callLater(delay, callable, *args, **kw)

    def getDelayedCalls(self) -> list[Any]:
        return [*self._clock.getDelayedCalls(), *self._reactor.getDelayedCalls()]

    def advance(self, seconds: float) -> None:
        """All timers are due so much earlier."""
        self._clock.advance(seconds)


def directory_at(
    settings: LdapSettings,
    pump: ReactorPump,
    *,
    reactor: Any = None,
    schema: Schema = OPENLDAP,
    finds: FindsServices | None = None,
) -> LdapDirectory:
    """As ``from_settings`` makes it; without a reactor on one whose time stands still."""
    reactor = reactor if reactor is not None else ShiftedReactor(pump.reactor)
    servers = make_servers(settings, reactor, time.time, finds=finds, random=Random(1))
    return LdapDirectory(
        servers,
        base_dn=settings.base_dn,
        schema=schema,
        timers=reactor,
        wall_clock=time.time,
        deadline_s=settings.operation_timeout_s,
        health=servers.health,
    )


class Bench:
    """A directory on bad servers, with the time under control."""

    def __init__(self, pump: ReactorPump, *servers: BadServer, **changes: Any) -> None:
        self.pump = pump
        self.clock = ShiftedReactor(pump.reactor)
        settings = LdapSettings(
            uris=tuple(server.uri for server in servers),
            base_dn="dc=example,dc=test",
            bind_dn="cn=gateway,dc=example,dc=test",
            bind_password=SERVICE_PASSWORD,
        )
        self.settings = dataclasses.replace(settings, **changes)
        self.directory = directory_at(self.settings, pump, reactor=self.clock)

    def find(self) -> object:
        return self.pump.wait(self.directory.find_by_address(ALICE))

    def log_in(self, password: str = "wonderland", login: str = "alice") -> object:
        return self.pump.wait(self.directory.authenticate(login, password.encode()))

    def unavailable(self) -> str:
        with pytest.raises(DirectoryUnavailable) as error:
            self.log_in()
        return str(error.value)

    def states(self) -> list[str]:
        """Of the servers, in order."""
        (health,) = self.directory.health()
        return [each.state for each in health.servers]


@contextmanager
def bench(pump: ReactorPump, *scripts: Script, **changes: Any) -> Iterator[tuple[Bench, BadServer]]:
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
