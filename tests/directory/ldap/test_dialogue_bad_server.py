"""One connection in memory to a server that is silent, drips, floods, babbles or goes away.

Each ends in LdapFailed with a reason fit for a log, and with a connection nobody uses again.
"""

from __future__ import annotations

import pytest
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from gateway.directory.ldap.asking import Found
from gateway.wire.ldap.messages import ExtendedRequest
from tests.directory.bad_server import (
    BIND,
    BIND_RESPONSE,
    EXTENDED_RESPONSE,
    SEARCH,
    SEARCH_DONE,
    UNBIND,
    alice,
    ber,
    entry,
    message,
    reference,
    result,
    text,
)
from tests.directory.ldap.talk import Talk, outcome, reason

ABANDON = 0x50


def notice(diagnostic: str, oid: bytes = b"1.3.6.1.4.1.1466.20036") -> bytes:
    parts = [ber(0x0A, b"\x34"), text(""), text(diagnostic), ber(0x8A, oid)]
    return message(0, EXTENDED_RESPONSE, *parts)


# --- silence -------------------------------------------------------------------------------------


def test_F4_L10_an_answer_has_a_deadline_however_it_drips() -> None:
    talk = Talk()
    asked = talk.search(deadline_s=8)
    octets = alice(1)
    for at in range(63):
        talk.clock.advance(0.125)
        talk.say(octets[at : at + 1])
    assert not asked.called
    talk.clock.advance(0.125)
    assert reason(asked) == "ldap://bad: searching: no answer in 8 s"
    assert talk.kinds() == [SEARCH, ABANDON, UNBIND]  # it may have died without a word
    assert not talk.dialogue.usable


def test_L10_entries_one_by_one_do_not_put_the_end_off() -> None:
    talk = Talk()
    asked = talk.search(deadline_s=8)
    for _ in range(8):
        talk.clock.advance(1)
        if not asked.called:
            talk.say(alice(1))
    assert "no answer in 8 s" in reason(asked)


def test_what_is_heard_has_a_limit_of_silence() -> None:
    talk = Talk()
    asked = talk.search(deadline_s=8, heard=lambda found, controls: None)
    for _ in range(20):
        talk.clock.advance(7)
        talk.say(alice(1))
    assert not asked.called
    talk.clock.advance(8)
    assert "no answer in 8 s" in reason(asked)


def test_one_late_answer_leaves_the_others_their_time_and_then_it_closes() -> None:
    talk = Talk()
    late, other = talk.search(deadline_s=2), talk.search(deadline_s=8)
    talk.clock.advance(2)
    assert "no answer in 2 s" in reason(late)
    assert "not used any more" in reason(talk.search())
    talk.say(result(2, SEARCH_DONE, 0))
    outcome(other)
    assert talk.kinds() == [SEARCH, SEARCH, ABANDON, UNBIND]
    assert talk.transport.disconnecting


def test_L9_a_bind_without_an_answer_is_not_sent_again() -> None:
    talk = Talk()
    answer = talk.bind()
    talk.clock.advance(8)
    assert reason(answer) == "ldap://bad: binding: no answer in 8 s"
    assert talk.aborted
    assert talk.kinds() == [BIND]


# --- too much ------------------------------------------------------------------------------------


def test_F4_an_answer_may_have_so_many_octets_in_all() -> None:
    talk = Talk()
    small = len(alice(1))
    asked = talk.search(reply_limit_octets=3 * small)
    talk.say(alice(1), alice(1))
    talk.say(alice(1))
    assert not asked.called
    talk.say(alice(1))
    assert reason(asked) == "ldap://bad: searching: an answer longer than is taken"
    assert talk.aborted


def test_F4_references_count_as_well() -> None:
    talk = Talk()
    asked = talk.search(reply_limit_octets=1000)
    talk.say(*[reference(1, "ldap://x") for _ in range(100)])
    assert "longer than is taken" in reason(asked)


def test_F4_what_is_heard_has_no_bound_in_all_but_each_message_has() -> None:
    heard: list[str] = []
    talk = Talk(message_limit_octets=500)
    asked = talk.search(heard=lambda found, controls: heard.append(found.dn))
    for _ in range(100):
        talk.say(alice(1))
    assert (len(heard), asked.called) == (100, False)
    talk.say(entry(1, "cn=x", {"photo": [b"\0" * 600]})[:10])
    assert "at most 500 are taken" in reason(asked)
    assert talk.aborted


def test_F4_a_message_that_never_ends_is_not_kept() -> None:
    talk = Talk()
    asked = talk.search()
    talk.say(b"\x30\x84\x7f\xff\xff\xff")
    assert "garbage: a message of 2147483647 octets" in reason(asked)
    for _ in range(100):
        talk.say(b"\0" * 65536)
    assert talk.aborted


# --- nonsense ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"HTTP/1.1 400 Bad\r\n", "garbage: no LDAP message: 48 54"),
        (result(7, SEARCH_DONE, 0), "an answer to message 7, which nobody waits for"),
        (result(0, SEARCH_DONE, 0), "an answer to message 0, which nobody waits for"),
        (result(1, BIND_RESPONSE, 0), "BindResponse is no answer to searching"),
        (result(1, EXTENDED_RESPONSE, 0), "ExtendedResponse is no answer to searching"),
        (message(1, 0x42), "UnknownResponse is no answer to searching"),
        (message(1, SEARCH_DONE, b"\x0a\x01"), "garbage: an element longer than what holds it"),
        (message(1, SEARCH_DONE), "garbage: the octets end"),
    ],
)
def test_L15_L23_nonsense_ends_the_connection(octets: bytes, words: str) -> None:
    talk = Talk()
    asked, other = talk.search(), talk.search()
    talk.say(octets)
    assert words in reason(asked)
    assert words in reason(other)
    assert words in talk.ended[0]
    assert talk.aborted
    assert (talk.timers, talk.dialogue.usable) == (0, False)
    assert words.split(":")[0] in reason(talk.search())


@pytest.mark.parametrize("octets", [alice(1), result(1, SEARCH_DONE, 0)])
def test_L15_a_bind_is_answered_by_a_bind_response_alone(octets: bytes) -> None:
    talk = Talk()
    answer = talk.bind()
    talk.say(octets)
    assert "is no answer to binding" in reason(answer)


def test_a_second_answer_is_one_that_nobody_waits_for() -> None:
    talk = Talk()
    asked = talk.search()
    done = result(1, SEARCH_DONE, 0)
    talk.say(done + done)
    outcome(asked)
    assert talk.ended == ["an answer to message 1, which nobody waits for"]


def test_what_came_before_garbage_counts() -> None:
    talk = Talk()
    asked, other = talk.search(), talk.search()
    talk.say(alice(1), result(1, SEARCH_DONE, 0), b"garbage")
    assert len(outcome(asked).entries) == 1
    assert "garbage" in reason(other)


def test_garbage_behind_an_entry_that_somebody_takes_time_for() -> None:
    talk = Talk()
    doing: Deferred[None] = Deferred()
    asked = talk.search(heard=lambda found, controls: doing)
    talk.say(alice(1), b"garbage")
    assert not asked.called
    doing.callback(None)
    assert "garbage" in reason(asked)


# --- ends ----------------------------------------------------------------------------------------


def test_the_server_may_give_notice() -> None:
    """RFC 4511 section 4.4.1."""
    talk = Talk()
    asked = talk.search()
    talk.say(notice("restarting\r\n\x1b[2J"))
    assert reason(asked) == (
        "ldap://bad: searching: the server disconnects: 52 restarting\\r\\n\\x1b[2J"
    )
    assert talk.aborted


def test_other_notices_are_for_others() -> None:
    talk = Talk()
    asked = talk.search()
    talk.say(notice("", b"1.2.3"), result(1, SEARCH_DONE, 0))
    outcome(asked)
    assert talk.dialogue.usable


@pytest.mark.parametrize("begun", [b"", alice(1)[:20]], ids=["between", "in the middle"])
def test_L9_a_connection_that_is_lost_takes_its_requests_along(begun: bytes) -> None:
    talk = Talk()
    asked = talk.search()
    whoami = talk.dialogue.extended(ExtendedRequest("1.3.6.1.4.1.4203.1.11.3"), deadline_s=8)
    talk.say(begun)
    talk.hang_up(ConnectionLost())
    assert "searching: the connection was lost" in reason(asked)
    assert "asking: the connection was lost" in reason(whoami)
    assert "the connection was lost" in talk.ended[0]
    assert talk.timers == 0
    assert "the connection was lost" in reason(talk.search())


def test_what_tls_says_at_the_end_is_told_in_words() -> None:
    """TLS 1.3 refuses a client's certificate behind the handshake."""
    talk = Talk()
    asked = talk.search()
    talk.hang_up(SSL.Error([("SSL routines", "", "tlsv13 alert certificate required")]))
    assert "was lost: TLS: tlsv13 alert certificate required" in reason(asked)


def test_A9_reasons_are_bounded_and_escaped() -> None:
    talk = Talk()
    asked = talk.search()
    talk.say(notice("\n" * 400))
    words = reason(asked)
    assert len(words) < 2000
    assert words.isprintable()


def test_who_is_told_of_the_end_may_ask_again() -> None:
    """The one who waits hears of it while the connection ends, and may go elsewhere at once."""
    talk = Talk()
    again: list[Deferred[Found]] = []

    def ask_again(failure: Failure) -> None:
        again.append(talk.search())

    talk.search().addErrback(ask_again)
    talk.say(b"garbage")
    assert "garbage" in reason(again[0])
    assert (talk.dialogue.pending, talk.timers) == (0, 0)
