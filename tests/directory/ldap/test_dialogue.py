"""One connection in memory: answers find their requests, binds are alone, entries may take time."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed

from gateway.directory.ldap.answers import MOST_ABANDONED, MOST_PENDING
from gateway.directory.ldap.asking import BindAnswer, Found
from gateway.wire.ldap.filters import Equal
from gateway.wire.ldap.messages import (
    BindRequest,
    Control,
    ExtendedRequest,
    Result,
    Scope,
    SearchEntry,
    SearchRequest,
)
from tests.directory.bad_server import (
    BIND,
    BIND_RESPONSE,
    EXTENDED,
    EXTENDED_RESPONSE,
    SEARCH,
    SEARCH_DONE,
    UNBIND,
    alice,
    ber,
    entry,
    integer,
    message,
    reference,
    result,
    text,
)
from tests.directory.ldap.talk import Talk, outcome, reason

ABANDON = 0x50
PAGED = ber(0x30, text("1.2.840.113556.1.4.319"), text(b"\x30\x05\x02\x01\x00\x04\x00"))


def dns(found: Found) -> list[str]:
    return [each.dn for each in found.entries]


def test_answers_find_their_requests_in_any_order() -> None:
    talk = Talk()
    first, second = talk.search(), talk.search()
    assert talk.dialogue.pending == 2
    talk.say(entry(2, "cn=b", {}), entry(1, "cn=a", {}), result(2, SEARCH_DONE, 4))
    talk.say(entry(1, "cn=c", {}))
    assert dns(outcome(second)) == ["cn=b"]
    talk.say(result(1, SEARCH_DONE, 0))
    found = outcome(first)
    assert (dns(found), found.result) == (["cn=a", "cn=c"], Result(0))
    assert (talk.dialogue.pending, talk.timers) == (0, 0)
    assert talk.dialogue.usable


def test_controls_travel_both_ways() -> None:
    talk = Talk()
    found = talk.search(controls=(Control("1.2.3", True, b"x"),))
    assert b"1.2.3" in talk.transport.value()
    done = ber(0x65, ber(0x0A, b"\0"), text(""), text(""))
    talk.say(ber(0x30, integer(1), done, ber(0xA0, PAGED)))
    assert [each.oid for each in outcome(found).controls] == ["1.2.840.113556.1.4.319"]


def test_F3_L6_references_to_other_servers_are_left_out() -> None:
    talk = Talk()
    found = talk.search()
    talk.say(reference(1, "ldap://thief/"), alice(1), result(1, SEARCH_DONE, 10, "", "ldap://t/"))
    answer = outcome(found)
    assert len(answer.entries) == 1
    assert answer.result == Result(10, referrals=("ldap://t/",))
    assert talk.kinds() == [SEARCH]


# --- binds ---------------------------------------------------------------------------------------


def test_a_bind_is_answered_whatever_the_answer_is() -> None:
    talk = Talk()
    answer = talk.bind()
    talk.say(result(1, BIND_RESPONSE, 49, "80090308: data 52e"))
    assert outcome(answer) == BindAnswer(Result(49, diagnostic="80090308: data 52e"))
    assert talk.dialogue.usable


def test_a_bind_is_alone_on_its_connection() -> None:
    """RFC 4511 section 4.2.1."""
    talk = Talk()
    binding = talk.bind()
    assert "a bind is under way" in reason(talk.search())
    assert "alone" in reason(talk.bind())
    talk.say(result(1, BIND_RESPONSE, 0))
    outcome(binding)
    searching = talk.search()
    assert "alone" in reason(talk.bind())
    talk.say(result(2, SEARCH_DONE, 0))
    outcome(searching)
    assert talk.kinds() == [BIND, SEARCH]


@pytest.mark.parametrize(("dn", "password"), [("cn=x", b""), ("", b"x")])
def test_L1_a_name_without_a_password_is_not_sent(dn: str, password: bytes) -> None:
    talk = Talk()
    assert "a DN and a password, or neither" in reason(talk.bind(dn, password))
    assert talk.sent() == []


def test_an_anonymous_bind_and_one_by_certificate() -> None:
    talk = Talk()
    talk.bind("", b"")
    assert talk.sent()[-1][2] == bytes.fromhex("020103 0400 8000")
    other = Talk()
    external = BindRequest("", mechanism="EXTERNAL", credentials=b"")
    answer = other.dialogue.bind(external, deadline_s=8)
    assert b"EXTERNAL" in other.transport.value()
    other.say(result(1, BIND_RESPONSE, 0))
    assert outcome(answer).result.code == 0


def test_F3_L14_nothing_keeps_a_password_that_was_sent() -> None:
    talk = Talk()
    answer = talk.bind(password="pässNBSPwörd\u00a0".encode())
    assert "pässNBSPwörd\u00a0".encode() in talk.transport.value()
    talk.transport.clear()
    seen: set[int] = set()
    todo: list[object] = [talk.dialogue, answer]
    while todo:
        thing = todo.pop()
        if id(thing) in seen or thing is talk.transport:
            continue
        seen.add(id(thing))
        assert "NBSP" not in repr(thing)
        todo += list(getattr(thing, "__dict__", {}).values())
        todo += [getattr(thing, name, None) for name in getattr(type(thing), "__slots__", ())]
        if isinstance(thing, dict):
            todo += list(thing.values())


# --- others --------------------------------------------------------------------------------------


def test_extended_operations() -> None:
    talk = Talk()
    answer = talk.dialogue.extended(ExtendedRequest("1.3.6.1.4.1.4203.1.11.3"), deadline_s=8)
    assert talk.kinds() == [EXTENDED]
    talk.say(message(1, EXTENDED_RESPONSE, b"\x0a\x01\x00", text(""), text(""), ber(0x8B, b"u:a")))
    assert outcome(answer).value == b"u:a"


def test_what_cannot_be_written_is_refused_without_its_text() -> None:
    talk = Talk()
    bad = SearchRequest("dc=x", Scope.BASE, Equal("uid", "s3cret\ud800"), ())
    asked = talk.dialogue.search(bad, deadline_s=8, reply_limit_octets=1000)
    assert reason(asked) == "ldap://bad: searching: cannot be written: FilterSyntax"
    surrogate = BindRequest("s3cret\ud800", b"s3cret")
    words = reason(talk.dialogue.bind(surrogate, deadline_s=8))
    assert "s3cret" not in words
    assert (talk.sent(), talk.dialogue.pending, talk.timers) == ([], 0, 0)
    talk.bound()  # and it is as usable as before


def test_L10_requests_that_wait_are_bounded() -> None:
    talk = Talk()
    asked = [talk.search() for _ in range(MOST_PENDING)]
    assert f"{MOST_PENDING} requests are waiting" in reason(talk.search())
    talk.say(result(7, SEARCH_DONE, 0))
    outcome(asked[6])
    talk.search()
    assert len(talk.sent()) == MOST_PENDING + 1


def test_goodbye_is_said_and_the_rest_fails() -> None:
    talk = Talk()
    asked = talk.search()
    talk.dialogue.close()
    talk.dialogue.close()
    assert reason(asked) == "ldap://bad: searching: closed"
    assert talk.kinds() == [SEARCH, UNBIND]
    assert talk.transport.disconnecting
    assert "not used any more" in reason(talk.search())
    talk.say(alice(1))  # too late to matter
    talk.hang_up()
    assert (talk.ended, talk.timers) == (["closed"], 0)


def test_a_goodbye_that_does_not_get_through_is_cut_off() -> None:
    talk = Talk()
    talk.dialogue.close()
    talk.clock.advance(1.0)
    assert talk.aborted


def test_it_tells_when_it_was_last_used() -> None:
    talk = Talk()
    talk.clock.advance(3)
    asked = talk.search()
    assert talk.dialogue.last_used_at == 3
    talk.clock.advance(2)
    talk.say(result(1, SEARCH_DONE, 0))
    outcome(asked)
    assert talk.dialogue.last_used_at == 5


# --- nobody waits any more -----------------------------------------------------------------------


def test_a_search_that_nobody_waits_for_is_abandoned() -> None:
    """RFC 4511 section 4.11; its answers may still come."""
    talk = Talk()
    asked, other = talk.search(), talk.search()
    asked.cancel()
    with pytest.raises(CancelledError):
        outcome(asked)
    assert talk.sent()[-1][1:] == (ABANDON, b"\x01")
    talk.say(alice(1), reference(1, "ldap://x"), result(1, SEARCH_DONE, 0))
    talk.say(result(2, SEARCH_DONE, 0))
    outcome(other)
    assert talk.dialogue.usable
    talk.say(alice(1))  # behind its end there is nothing any more
    assert talk.ended == ["an answer to message 1, which nobody waits for"]


def test_a_bind_that_nobody_waits_for_ends_the_connection() -> None:
    talk = Talk()
    answer = talk.bind()
    answer.cancel()
    with pytest.raises(CancelledError):
        outcome(answer)
    assert talk.aborted
    assert not talk.dialogue.usable


def test_abandoned_searches_are_bounded() -> None:
    """Most servers say no more of them, so that they would be remembered for ever."""
    talk = Talk()
    other = talk.search()
    for number in range(MOST_ABANDONED):
        assert talk.dialogue.usable, number
        asked = talk.search()
        asked.cancel()
        with pytest.raises(CancelledError):
            outcome(asked)
    assert not talk.dialogue.usable
    talk.say(result(1, SEARCH_DONE, 0))
    outcome(other)
    assert talk.kinds()[-1] == UNBIND


def test_L22_what_has_no_time_left_is_not_sent() -> None:
    talk = Talk()
    binding = talk.dialogue.bind(BindRequest("cn=x", b"x"), deadline_s=0.0)
    assert "no time is left" in reason(binding)
    assert "no time is left" in reason(talk.search(deadline_s=-1.0))
    assert talk.sent() == []
    talk.bound()


def test_message_numbers_end_some_day() -> None:
    """RFC 4511 section 4.1.1.1: they have 31 bits."""
    talk = Talk()
    last = 2**31 - 10_000
    talk.dialogue._last_id = last - 1
    asked = talk.search()
    assert not talk.dialogue.usable
    talk.say(result(last, SEARCH_DONE, 0))
    outcome(asked)
    assert talk.kinds() == [SEARCH, UNBIND]


# --- entries as they come ------------------------------------------------------------------------


def test_entries_are_heard_as_they_arrive() -> None:
    heard: list[tuple[str, list[str]]] = []

    def hear(found: SearchEntry, controls: object) -> None:
        assert isinstance(controls, tuple)
        heard.append((found.dn, [each.oid for each in controls]))

    talk = Talk()
    asked = talk.search(heard=hear)
    talk.say(entry(1, "cn=a", {}))
    assert heard == [("cn=a", [])]
    intermediate = message(1, 0x79, ber(0x80, b"1.3.6.1.4.1.4203.1.9.1.4"), ber(0x81, b"\x80\0"))
    talk.say(intermediate, reference(1, "ldap://x"))
    talk.say(ber(0x30, integer(1), ber(0x64, text("cn=b"), ber(0x30)), ber(0xA0, PAGED)))
    assert heard[1:] == [
        ("", ["1.3.6.1.4.1.4203.1.9.1.4"]),
        ("cn=b", ["1.2.840.113556.1.4.319"]),
    ]
    talk.say(result(1, SEARCH_DONE, 0))
    assert outcome(asked).entries == ()


def test_who_hears_may_stop_it() -> None:
    def hear(found: SearchEntry, controls: object) -> None:
        raise ValueError(found.dn)

    talk = Talk()
    asked = talk.search(heard=hear)
    talk.say(entry(1, "cn=a", {}), entry(1, "cn=b", {}))
    with pytest.raises(ValueError, match="cn=a"):
        outcome(asked)
    assert talk.kinds() == [SEARCH, ABANDON]
    assert talk.dialogue.usable


class Slow:
    """Takes time for each entry."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.doing: Deferred[None] = Deferred()

    def __call__(self, found: SearchEntry, controls: object) -> Deferred[None]:
        self.heard.append(found.dn)
        self.doing = Deferred()
        return self.doing


def test_who_hears_may_take_time_and_nothing_is_read_meanwhile() -> None:
    talk, slow = Talk(), Slow()
    asked = talk.search(heard=slow, deadline_s=8)
    other = talk.search(deadline_s=100)
    done = result(1, SEARCH_DONE, 0)
    talk.say(entry(1, "cn=a", {}), entry(1, "cn=b", {}), result(2, SEARCH_DONE, 0), done)
    assert slow.heard == ["cn=a"]
    assert talk.transport.producerState == "paused"
    talk.clock.advance(60)  # the server is not silent, we do not listen
    slow.doing.callback(None)
    assert slow.heard == ["cn=a", "cn=b"]
    assert not asked.called
    slow.doing.callback(None)
    assert talk.transport.producerState == "producing"
    outcome(asked)
    outcome(other)
    assert (talk.ended, talk.timers) == ([], 0)


def test_who_hears_may_be_done_at_once_however_many_there_are() -> None:
    heard: list[str] = []

    def hear(found: SearchEntry, controls: object) -> Deferred[None]:
        heard.append(found.dn)
        return succeed(None)

    talk = Talk()
    asked = talk.search(heard=hear)
    talk.say(*[entry(1, "cn=a", {})] * 5000, result(1, SEARCH_DONE, 0), b"garbage")
    outcome(asked)
    assert len(heard) == 5000
    assert "garbage" in talk.ended[0]


def test_who_hears_may_fail_late() -> None:
    talk, slow = Talk(), Slow()
    asked = talk.search(heard=slow)
    talk.say(entry(1, "cn=a", {}), entry(1, "cn=b", {}))
    slow.doing.errback(ValueError("full"))
    with pytest.raises(ValueError, match="full"):
        outcome(asked)
    assert slow.heard == ["cn=a"]
    assert talk.transport.producerState == "producing"
    assert talk.dialogue.usable


def test_the_connection_may_end_while_somebody_takes_time() -> None:
    talk, slow = Talk(), Slow()
    asked = talk.search(heard=slow)
    talk.say(entry(1, "cn=a", {}), entry(1, "cn=b", {}))
    talk.dialogue.close()
    assert "closed" in reason(asked)
    slow.doing.callback(None)
    assert slow.heard == ["cn=a"]
