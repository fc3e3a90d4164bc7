"""What LDAP libraries and servers have tripped others with, once more on our own client."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.errors import WrongCredentials
from gateway.core.settings.directory import DirectorySettings
from gateway.directory.from_settings import servers_from
from gateway.directory.ldap.settings import LdapSettings
from gateway.wire.ldap.controls import DOMAIN_SCOPE
from gateway.wire.ldap.filters import Present
from gateway.wire.ldap.messages import Scope, SearchRequest
from tests.directory.bad_server import (
    BIND,
    BIND_RESPONSE,
    SEARCH,
    SEARCH_DONE,
    UNBIND,
    BadServer,
    Dialogue,
    Script,
    alice,
    result,
    serve_alice,
)
from tests.directory.contract import PEOPLE
from tests.directory.ldap_bench import ALICE, SERVICE_PASSWORD, bench, directory_at, searching
from tests.support.authority import new_authority
from tests.support.reactor_pump import ReactorPump
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd


def says(code: int) -> Script:
    """To every search."""

    def answer(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            dialogue.send(result(request.number, SEARCH_DONE, code))

    return searching(answer)


def test_F2_nobody_is_in_but_by_code_0_of_a_bind_response(pump: ReactorPump) -> None:
    def refuse_people(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            if request.kind == BIND:
                service = SERVICE_PASSWORD.encode() in request.octets
                dialogue.send(result(request.number, BIND_RESPONSE, 0 if service else 49))
            elif request.kind == SEARCH:
                dialogue.send(alice(request.number), result(request.number, SEARCH_DONE, 0))

    with bench(pump, refuse_people) as (made, _), pytest.raises(WrongCredentials):
        made.log_in()


def test_F3_a_referral_gets_neither_a_connection_nor_the_password(pump: ReactorPump) -> None:
    with bench(pump, says(10)) as (made, server):
        assert "refers to another" in made.unavailable()
        # That is no fault of the server, which stays in use.
        assert made.states() == ["up"]
        assert server.connections == 1


@pytest.mark.parametrize("code", [1, 3, 51, 52, 80, 81])
def test_L12_not_now_sends_a_search_to_the_next_server(pump: ReactorPump, code: int) -> None:
    with bench(pump, says(code), serve_alice) as (made, server):
        assert made.find() is not None
        assert server.kinds() == [BIND, SEARCH]


def test_L12_a_lone_server_that_is_busy_is_unavailable_with_its_words(pump: ReactorPump) -> None:
    with bench(pump, says(51)) as (made, _):
        assert "busy (result code 51)" in made.unavailable()


def test_L24_strong_authentication_required_is_told_in_words_of_the_settings(
    pump: ReactorPump,
) -> None:
    def demand(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            if request.kind == BIND:
                dialogue.send(result(request.number, BIND_RESPONSE, 8))

    for script in (demand, says(8)):
        with bench(pump, script) as (made, _):
            assert "use ldaps:// or start_tls" in made.unavailable()


def test_L11_a_persons_failed_bind_does_not_touch_the_searches(pump: ReactorPump) -> None:
    with bench(pump, serve_alice) as (made, server):
        for _ in range(3):
            with pytest.raises(WrongCredentials):
                made.log_in("wrong")
            assert made.find() is not None
        assert server.kinds(0) == [BIND] + [SEARCH] * 6
        pump.until(lambda: len(server.ended) == 3)
        assert all(server.kinds(number) == [BIND, UNBIND] for number in (1, 2, 3))


def test_A6_L5_two_entries_for_one_login_cost_a_bind_too(pump: ReactorPump) -> None:
    def two(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            if request.kind == BIND:
                service = SERVICE_PASSWORD.encode() in request.octets
                dialogue.send(result(request.number, BIND_RESPONSE, 0 if service else 49))
            elif request.kind == SEARCH:
                dialogue.send(alice(request.number), alice(request.number))
                dialogue.send(result(request.number, SEARCH_DONE, 0))

    with bench(pump, two) as (made, server):
        with pytest.raises(WrongCredentials):
            made.log_in()
        pump.until(lambda: server.kinds(1) == [BIND, UNBIND])


def test_the_service_account_may_be_a_certificate(tmp_path: Path, pump: ReactorPump) -> None:
    """SASL EXTERNAL (RFC 4422 appendix A), on a real server."""
    slapd = Slapd(tmp_path / "slapd", PEOPLE)
    certificate, key = slapd.authority.issue("gateway.example.test")
    (tmp_path / "own.pem").write_bytes(certificate)
    (tmp_path / "own.key").write_bytes(key)
    text = slapd.config.read_text()
    demands = f'TLSVerifyClient demand\nauthz-regexp "cn=.*" "{READER_DN}"\ndatabase mdb'
    slapd.config.write_text(text.replace("database mdb", demands))
    slapd.start()
    settings = LdapSettings(
        uris=(slapd.tls_uri,),
        base_dn=SUFFIX,
        bind_method="external",
        ca_file=slapd.ca_file,
        client_certificate=tmp_path / "own.pem",
        client_key=tmp_path / "own.key",
    )
    directory = directory_at(settings, pump)
    try:
        assert "by certificate" in pump.wait(directory.probe())
        assert pump.wait(directory.find_by_address(ALICE)) is not None
        assert pump.wait(directory.authenticate("alice", b"wonderland")).login == "alice"
    finally:
        pump.wait(directory.close())
        slapd.stop()


def test_a_certificate_that_ends_soon_is_told_once_and_stays_in_the_status(
    slapd: Slapd, pump: ReactorPump, logged: list[str]
) -> None:
    settings = LdapSettings(
        uris=(slapd.tls_uri,),
        base_dn=SUFFIX,
        bind_dn=READER_DN,
        bind_password=READER_PASSWORD,
        ca_file=slapd.ca_file,
    )
    directory = directory_at(settings, pump)
    try:
        for _ in range(2):
            pump.wait(directory.probe())
        (health,) = directory.health()
        assert any("the certificate ends in" in each for each in health.warnings)
        assert sum("the certificate ends in" in each for each in logged) == 1
    finally:
        pump.wait(directory.close())


def test_L7_changed_authorities_are_read_again_and_broken_ones_are_not(
    slapd: Slapd, pump: ReactorPump, tmp_path: Path, logged: list[str]
) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(new_authority().pem)
    with bench(pump, serve_alice, uris=(slapd.tls_uri,), ca_file=ca_file) as (made, _):
        assert "not trusted" in made.unavailable()
        ca_file.write_bytes(slapd.authority.pem)
        made.clock.advance(10)
        # A server that does not know this account has proved who it is.
        pump.until(lambda: made.directory.health()[0].trouble)
        assert "refused" in made.unavailable()
        ca_file.write_text("broken")
        made.clock.advance(60)
        assert "refused" in made.unavailable()
        assert any("what was there before is still used" in each for each in logged)


def test_L6_active_directory_is_asked_for_no_references(pump: ReactorPump) -> None:
    said: list[bytes] = []

    def note(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            said.append(request.octets)
            dialogue.send(result(request.number, SEARCH_DONE, 0))

    for preset, expected in (("ad", True), ("openldap", False)):
        with BadServer(searching(note)) as server:
            section = DirectorySettings.model_validate(
                {
                    "kind": "ldap",
                    "preset": preset,
                    "uri": [server.uri],
                    "base_dn": SUFFIX,
                    "start_tls": False,
                    "bind_dn": READER_DN,
                    "bind_password": SERVICE_PASSWORD,
                }
            )
            servers = servers_from(section, reactor=pump.reactor, finds=None)
            request = SearchRequest("dc=x", Scope.SUBTREE, Present("mail"), ("mail",))
            pump.wait(servers.search(request))
            pump.wait(servers.close())
        assert any(DOMAIN_SCOPE.oid.encode() in octets for octets in said) is expected
        said.clear()
