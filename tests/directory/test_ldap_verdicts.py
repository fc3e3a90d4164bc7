"""What the LDAP directory makes of each answer of a scripted server, and what it never says."""

from __future__ import annotations

import traceback

import pytest

from gateway.core.errors import DirectoryUnavailable, WrongCredentials
from tests.directory.bad_server import (
    BIND,
    BIND_RESPONSE,
    EXTENDED,
    EXTENDED_RESPONSE,
    SEARCH,
    SEARCH_DONE,
    UNBIND,
    BadServer,
    Dialogue,
    Script,
    alice,
    entry,
    reference,
    result,
    serve_alice,
)
from tests.directory.ldap_bench import ALICE, SERVICE_PASSWORD, bench, searching
from tests.support.reactor_pump import ReactorPump


def test_a_good_server_is_used_as_it_should_be(pump: ReactorPump) -> None:
    with bench(pump, serve_alice) as (made, server):
        made.log_in()
        made.log_in()
        with pytest.raises(WrongCredentials):
            made.log_in("wrong")
    # L11: searches share one connection, each person binds on a fresh one, closed afterwards.
    assert server.kinds(0) == [BIND, SEARCH, SEARCH, SEARCH, UNBIND]
    assert [server.kinds(number) for number in (1, 2, 3)] == [[BIND, UNBIND]] * 3


def test_A6_unknown_people_cost_the_same_operations(pump: ReactorPump) -> None:
    def serve(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            if request.kind == BIND:
                service = SERVICE_PASSWORD.encode() in request.octets
                dialogue.send(result(request.number, BIND_RESPONSE, 0 if service else 49))
            elif request.kind == SEARCH:
                dialogue.send(result(request.number, SEARCH_DONE, 0))

    with bench(pump, serve) as (made, server):
        with pytest.raises(WrongCredentials):
            made.log_in()
    assert server.kinds(1) == [BIND, UNBIND]


def test_A6_a_server_that_accepts_everybody_lets_no_unknown_in(pump: ReactorPump) -> None:
    def serve(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            kind = BIND_RESPONSE if request.kind == BIND else SEARCH_DONE
            dialogue.send(result(request.number, kind, 0))

    with bench(pump, serve) as (made, _), pytest.raises(WrongCredentials):
        made.log_in()


def test_L1_nothing_is_sent_for_an_empty_password(pump: ReactorPump) -> None:
    with bench(pump, serve_alice) as (made, server):
        for login, password in (("alice", ""), ("", "x"), ("al\0ice", "x"), (" alice", "x")):
            with pytest.raises(WrongCredentials):
                made.log_in(password, login)
    assert server.connections == 0


def test_L1_an_entry_without_a_dn_is_not_bound(pump: ReactorPump) -> None:
    def answer(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            dialogue.send(entry(request.number, "", {"uid": ["alice"]}))
            dialogue.send(result(request.number, SEARCH_DONE, 0))

    with bench(pump, searching(answer)) as (made, server):
        assert "without a DN" in made.unavailable()
    assert server.connections == 1


def test_L5_more_than_two_entries_are_ambiguous_too(pump: ReactorPump) -> None:
    def serve(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            if request.kind == BIND:
                dialogue.send(result(request.number, BIND_RESPONSE, 0))
            elif request.kind == SEARCH:
                # sizeLimitExceeded with a single entry.
                dialogue.send(alice(request.number), result(request.number, SEARCH_DONE, 4))

    with bench(pump, serve) as (made, _):
        with pytest.raises(WrongCredentials):
            made.log_in()
        with pytest.raises(DirectoryUnavailable):
            made.find()


def test_L6_F3_referrals_are_never_followed(pump: ReactorPump) -> None:
    with BadServer(serve_alice) as thief:
        referral = f"{thief.uri}/dc=example,dc=test"

        def refer(dialogue: Dialogue) -> None:
            while (request := dialogue.next()) is not None:
                dialogue.send(result(request.number, SEARCH_DONE, 10, referral=referral))

        def refer_bind(dialogue: Dialogue) -> None:
            request = dialogue.must_come()
            dialogue.send(result(request.number, BIND_RESPONSE, 10, referral=referral))
            dialogue.wait_for_end()

        for script in (searching(refer), refer_bind):
            with bench(pump, script) as (made, _):
                made.unavailable()
        assert thief.connections == 0


def test_L6_search_references_are_no_entries(pump: ReactorPump) -> None:
    def answer(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            dialogue.send(
                reference(request.number, "ldap://elsewhere.test/dc=example,dc=test"),
                alice(request.number),
                reference(request.number, "ldap://elsewhere.test/dc=example,dc=test"),
                result(request.number, SEARCH_DONE, 0),
            )

    with bench(pump, searching(answer)) as (made, _):
        assert made.find() is not None


@pytest.mark.parametrize("code", [1, 2, 3, 8, 10, 11, 50, 51, 52, 53, 54, 80, 81, 123])
def test_L15_trouble_at_the_persons_bind_is_no_wrong_password(pump: ReactorPump, code: int) -> None:
    with bench(pump, person_bind(code)) as (made, server):
        made.unavailable()
    # L22: sent once, whatever comes back.
    assert server.kinds().count(BIND) == 2


def person_bind(code: int, diagnostic: str = "") -> Script:
    def serve(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            if request.kind == BIND:
                service = SERVICE_PASSWORD.encode() in request.octets
                answer = (0, "") if service else (code, diagnostic)
                dialogue.send(result(request.number, BIND_RESPONSE, *answer))
            elif request.kind == SEARCH:
                dialogue.send(alice(request.number), result(request.number, SEARCH_DONE, 0))

    return serve


def ad_says(data: str) -> str:
    return (
        f"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {data}, v1"
    )


@pytest.mark.parametrize(
    ("code", "diagnostic", "reason"),
    [
        (49, "", "wrong password"),
        (
            49,
            ad_says("52e"),
            "wrong password",
        ),
        (
            49,
            ad_says("532"),
            "the password has expired",
        ),
        (
            49,
            ad_says("775"),
            "locked the account",
        ),
        (19, "", "refused by the directory's password rules"),
        (32, "", "the entry has gone"),
        (34, "", "the entry has gone"),
    ],
)
def test_L15_wrong_for_the_client_and_the_reason_in_the_log(
    pump: ReactorPump, logged: list[str], code: int, diagnostic: str, reason: str
) -> None:
    with bench(pump, person_bind(code, diagnostic)) as (made, _):
        with pytest.raises(WrongCredentials) as refusal:
            made.log_in()
    assert refusal.value.safe_text == "authentication failed"
    assert any(reason in event for event in logged)


def test_L22_a_refused_service_account_is_left_alone(pump: ReactorPump) -> None:
    def refuse(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            if request.kind == BIND:
                dialogue.send(result(request.number, BIND_RESPONSE, 49))

    with bench(pump, refuse, refuse) as (made, server):
        assert "service account was refused" in made.unavailable()
        assert "not tried again yet" in made.unavailable()
        assert server.kinds().count(BIND) == 1
        made.clock.advance(31)
        assert "not tried" not in made.unavailable()
        assert server.kinds().count(BIND) == 2
        made.clock.advance(31)  # the pauses grow
        assert "not tried again yet" in made.unavailable()
        assert made.directory.health()[0].trouble


def test_L13_values_that_are_no_text_do_no_harm(pump: ReactorPump) -> None:
    def answer(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            dialogue.send(
                alice(
                    request.number,
                    mail=[b"\xff\xfe@example.test", "alice@example.test", "a\r\nb@example.test"],
                    cn=[b"\x00\x1b[31m\xff red"],
                ),
                result(request.number, SEARCH_DONE, 0),
            )

    with bench(pump, searching(answer)) as (made, _):
        account = pump.wait(made.directory.find_by_address(ALICE))
    assert account is not None
    assert account.addresses == ("alice@example.test",)
    assert account.display_name.isprintable()


@pytest.mark.parametrize(
    "ids", [["../../etc/passwd"], ["a\nb"], ["a", "b"], [b"\x00" * 16], ["x" * 1_000]]
)
def test_L25_an_entry_without_a_usable_id_is_unavailable(pump: ReactorPump, ids: list[str]) -> None:
    def answer(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            dialogue.send(
                alice(request.number, entryUUID=ids), result(request.number, SEARCH_DONE, 0)
            )

    with bench(pump, searching(answer)) as (made, _):
        with pytest.raises(DirectoryUnavailable, match="entryUUID"):
            made.find()


def test_L8_a_refused_starttls_sends_no_password(pump: ReactorPump) -> None:
    def refuse(dialogue: Dialogue) -> None:
        request = dialogue.must_come()
        dialogue.send(result(request.number, EXTENDED_RESPONSE, 2))
        dialogue.wait_for_end()

    def lie(dialogue: Dialogue) -> None:
        """Say yes and go on in clear text."""
        request = dialogue.must_come()
        dialogue.send(result(request.number, EXTENDED_RESPONSE, 0))
        dialogue.send(result(2, BIND_RESPONSE, 0))
        dialogue.peer.recv(4096)

    for script in (refuse, lie):
        with bench(pump, script, start_tls=True) as (made, server):
            made.unavailable()
        assert set(server.kinds()) == {EXTENDED}
        assert not any(SERVICE_PASSWORD.encode() in one.octets for one in server.requests)


def test_servers_are_tried_in_order(pump: ReactorPump) -> None:
    def busy(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            if request.kind == BIND:
                dialogue.send(result(request.number, BIND_RESPONSE, 51))

    with bench(pump, busy, serve_alice) as (made, server):
        made.log_in()
        made.log_in()
    # The service account was busy there once; people bind where the search was answered.
    assert server.kinds() == [BIND, UNBIND]


def test_A9_passwords_are_in_no_log_error_or_repr(pump: ReactorPump, logged: list[str]) -> None:
    def garble(dialogue: Dialogue) -> None:
        if dialogue.connection == 0:
            serve_alice(dialogue)
        else:
            dialogue.next()
            dialogue.send(b"\xff" * 100)

    password = "person-secret-0815"
    with bench(pump, garble) as (made, _):
        with pytest.raises(DirectoryUnavailable) as error:
            made.log_in(password)
        shown = "".join(traceback.format_exception(error.value))
        assert error.value.__suppress_context__
        assert error.value.__cause__ is None
        everything = [*logged, shown, repr(made.directory), repr(made.settings)]
        with pytest.raises(WrongCredentials):
            made.log_in(password, "no\x1body\u2028")
    for text in everything:
        assert password not in text
        assert SERVICE_PASSWORD not in text


def test_A9_logins_and_diagnostics_are_escaped_in_logs(
    pump: ReactorPump, logged: list[str]
) -> None:
    with bench(pump, person_bind(1, "evil\r\n\x1b[2Jline\u2028" + "x" * 10_000)) as (made, _):
        made.unavailable()
    reasons = [event for event in logged if "evil" in event]
    assert reasons
    for event in reasons:
        assert "\x1b" not in event
        assert "\u2028" not in event
        assert len(event) < 3_000
