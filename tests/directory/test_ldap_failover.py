"""Two real servers that are killed, frozen, thawed and started again: nobody is told "no"."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from gateway.core.account import Account
from gateway.core.errors import DirectoryUnavailable, WrongCredentials
from gateway.directory.ldap.building import make_servers
from gateway.directory.ldap.directory import LdapDirectory
from gateway.directory.ldap.settings import LdapSettings
from tests.directory.contract import PEOPLE
from tests.directory.ldap_bench import ALICE, ShiftedReactor, directory_at
from tests.support.reactor_pump import ReactorPump
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Slapd, Slapd]]:
    first = Slapd(tmp_path_factory.mktemp("slapd1"), PEOPLE)
    second = Slapd(tmp_path_factory.mktemp("slapd2"), PEOPLE)
    for server in (first, second):
        server.start()
    yield first, second
    for server in (first, second):
        server.stop()


@dataclass
class Two:
    """A directory on both, with the time under control."""

    directory: LdapDirectory
    pump: ReactorPump
    clock: ShiftedReactor
    first: Slapd
    second: Slapd

    def states(self) -> list[str]:
        (health,) = self.directory.health()
        return [each.state for each in health.servers]

    def in_use(self) -> str:
        (health,) = self.directory.health()
        return next((each.name for each in health.servers if each.in_use), "")

    def find(self) -> Account | None:
        return self.pump.wait(self.directory.find_by_address(ALICE))

    def log_in(self, password: str = "wonderland") -> Account:
        return self.pump.wait(self.directory.authenticate("alice", password.encode()))


@pytest.fixture
def two(pair: tuple[Slapd, Slapd], pump: ReactorPump, tmp_path: Path) -> Iterator[Two]:
    first, second = pair
    authorities = tmp_path / "authorities.pem"
    authorities.write_bytes(first.authority.pem + second.authority.pem)
    clock = ShiftedReactor(pump.reactor)
    settings = LdapSettings(
        uris=(first.tls_uri, second.tls_uri),
        base_dn=SUFFIX,
        bind_dn=READER_DN,
        bind_password=READER_PASSWORD,
        ca_file=authorities,
    )
    directory = directory_at(settings, pump, reactor=clock)
    yield Two(directory, pump, clock, first, second)
    pump.wait(directory.close())
    for server in pair:
        if server.is_running:
            server.thaw()
        else:
            server.start()


def test_L12_a_killed_server_is_left_and_taken_up_again(two: Two, logged: list[str]) -> None:
    assert two.find() is not None
    assert two.in_use() == two.first.tls_uri
    two.first.stop()
    for _ in range(3):
        assert two.find() is not None
        assert two.log_in().login == "alice"
    assert two.states() == ["down", "up"]
    (health,) = two.directory.health()
    assert health.degraded
    assert health.answers
    assert "refused" in health.servers[0].last_error
    two.first.start()
    two.clock.advance(30)  # the pauses between probes are that long at most
    two.pump.until(lambda: two.states() == ["up", "up"])
    assert two.in_use() == two.first.tls_uri
    assert two.find() is not None
    told = [each for each in logged if two.first.tls_uri in each]
    assert sum("is down" in each for each in told) == 1
    assert sum("is up again and is asked from now on" in each for each in told) == 1


def test_L12_a_frozen_server_costs_one_question_a_third_of_its_time(two: Two) -> None:
    assert two.find() is not None
    two.first.freeze()
    pending = two.pump.start(two.directory.find_by_address(ALICE))
    two.pump.run_waiting()
    assert not pending.called
    two.clock.advance(8 / 3)  # the other one is asked as well
    assert two.pump.wait_for(pending) is not None
    # It did not answer the probe either: from now on nobody waits for it.
    two.pump.until(lambda: two.states()[0] == "suspect")
    two.clock.advance(2.5)
    two.pump.until(lambda: two.states() == ["down", "up"])
    assert two.log_in().login == "alice"
    two.first.thaw()
    two.clock.advance(30)
    two.pump.until(lambda: two.states() == ["up", "up"])


def test_L12_a_question_that_is_under_way_survives_its_server(two: Two) -> None:
    assert two.find() is not None
    two.first.freeze()
    pending = [two.pump.start(two.directory.find_by_address(ALICE)) for _ in range(5)]
    two.pump.run_waiting()
    two.first.kill()
    for each in pending:
        assert two.pump.wait_for(each) is not None


def test_L9_L22_a_login_whose_server_dies_is_no_wrong_password(two: Two) -> None:
    """The bind may have been counted, so it is not sent to the other one."""
    assert two.log_in().login == "alice"
    two.first.freeze()
    two.clock.advance(0)
    pending = two.pump.start(two.directory.authenticate("alice", b"wonderland"))
    two.pump.run_waiting()
    two.clock.advance(8 / 3)
    two.pump.until(lambda: two.states()[0] == "suspect" or pending.called)
    two.first.kill()
    with suppress(DirectoryUnavailable):  # an honest answer, too
        assert two.pump.wait_for(pending).login == "alice"
    assert two.log_in().login == "alice"
    with pytest.raises(WrongCredentials):
        two.log_in("not-this-one")


def test_both_down_is_said_at_once_and_over_within_seconds(two: Two) -> None:
    assert two.find() is not None
    two.first.stop()
    two.second.stop()
    for _ in range(3):
        with pytest.raises(DirectoryUnavailable):
            two.find()
        with pytest.raises(DirectoryUnavailable):
            two.log_in()
    (health,) = two.directory.health()
    assert not health.answers
    assert "no server answers" in str(unavailable(two))
    two.second.start()
    two.clock.advance(2)  # where nobody answers, pauses are no longer
    two.pump.until(lambda: two.states() == ["down", "up"])
    assert two.log_in().login == "alice"
    assert two.find() is not None


def unavailable(two: Two) -> DirectoryUnavailable:
    with pytest.raises(DirectoryUnavailable) as error:
        two.find()
    return error.value


def test_L12_watched_servers_are_looked_at_and_a_return_is_told(
    pair: tuple[Slapd, Slapd], pump: ReactorPump
) -> None:
    first, second = pair
    clock = ShiftedReactor(pump.reactor)
    settings = LdapSettings((first.uri, second.uri), SUFFIX, "", "", READER_DN, READER_PASSWORD)
    servers = make_servers(settings, clock, time.time, random=Random(1))

    def states() -> list[str]:
        return [each.state for each in servers.health().servers]

    returns: list[list[str]] = []
    servers.watch(lambda: returns.append(states()))
    assert states() == ["not asked yet", "not asked yet"]
    clock.advance(3)
    pump.until(lambda: states() == ["up", "up"])
    second.stop()
    clock.advance(31)
    pump.until(lambda: states() == ["up", "down"])
    second.start()
    clock.advance(1)
    pump.until(lambda: states() == ["up", "up"])
    assert returns == [["up", "up"]]
    servers.unwatch()
    pump.wait(servers.close())
