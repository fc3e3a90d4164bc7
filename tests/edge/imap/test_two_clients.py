"""Two clients in one mailbox: what each hears of the other, and when (RFC 3501 section 7.4.1)."""

from __future__ import annotations

import pytest

from gateway.core.errors import StoreUnavailable
from tests.support.imap_client import Bench


def test_new_messages_are_told_with_any_command(bench: Bench) -> None:
    one, two = bench.select(), bench.select()
    bench.deliver(1)
    assert one.say(b"NOOP") == [b"* 1 EXISTS", b"* 1 RECENT", b"T OK Done"]
    assert two.say(b"SEARCH ALL") == [
        b"* SEARCH",
        b"* 1 EXISTS",
        b"* 1 RECENT",
        b"T OK Searched",
    ]
    assert one.say(b"NOOP") == [b"T OK Done"]


def test_recent_is_for_the_session_that_selects_first(bench: Bench) -> None:
    bench.deliver(2)
    assert b"* 2 RECENT" in bench.log_in().say(b"EXAMINE INBOX")
    assert b"* 2 RECENT" in bench.log_in().say(b"SELECT INBOX")
    assert b"* 0 RECENT" in bench.log_in().say(b"SELECT INBOX")


def test_flags_reach_the_other_and_not_back(bench: Bench) -> None:
    bench.deliver(2)
    one, two = bench.select(), bench.select()
    assert one.say(b"STORE 1 +FLAGS (\\Flagged)") == [
        b"* 1 FETCH (FLAGS (\\Flagged \\Recent))",
        b"T OK Flags changed",
    ]
    assert one.say(b"NOOP") == [b"T OK Done"]
    assert two.say(b"NOOP") == [b"* 1 FETCH (FLAGS (\\Flagged))", b"T OK Done"]


def test_uid_store_tells_uids(bench: Bench) -> None:
    bench.deliver(2)
    client = bench.select()
    assert client.say(b"UID STORE 2:9 FLAGS \\Seen") == [
        b"* 2 FETCH (UID 2 FLAGS (\\Seen \\Recent))",
        b"T OK Flags changed",
    ]
    assert client.say(b"UID STORE 9 FLAGS \\Seen") == [b"T OK No messages to change"]


def test_store_modes(bench: Bench) -> None:
    bench.deliver(1, flags=frozenset({"\\Seen"}))
    client = bench.select(verb=b"SELECT")
    assert client.say(b"STORE 1 +FLAGS \\Draft \\Answered")[0] == (
        b"* 1 FETCH (FLAGS (\\Seen \\Answered \\Draft \\Recent))"
    )
    assert client.say(b"STORE 1 -FLAGS (\\Seen)")[0] == (
        b"* 1 FETCH (FLAGS (\\Answered \\Draft \\Recent))"
    )
    assert client.say(b"STORE 1 FLAGS ()")[0] == b"* 1 FETCH (FLAGS (\\Recent))"


def test_silent_store_is_silent_for_the_one_who_asked(bench: Bench) -> None:
    bench.deliver(2)
    one, two = bench.select(), bench.select()
    assert one.say(b"STORE 1:2 +FLAGS.SILENT (\\Deleted)") == [b"T OK Flags changed"]
    assert one.say(b"NOOP") == [b"T OK Done"]
    assert len(two.say(b"NOOP")) == 3


def test_silent_store_still_tells_what_others_did(bench: Bench) -> None:
    bench.deliver(2)
    one, two = bench.select(), bench.select()
    two.say(b"STORE 1 +FLAGS (\\Flagged)")
    assert one.say(b"STORE 1 +FLAGS.SILENT (\\Seen)") == [
        b"* 1 FETCH (FLAGS (\\Flagged \\Recent))",
        b"T OK Flags changed",
    ]


def test_silent_store_tells_a_change_that_slipped_in_between(bench: Bench) -> None:
    bench.deliver(2)
    one, two = bench.select(), bench.select()
    bench.store.hold("store_flags")
    one.feed(b"a STORE 1 +FLAGS.SILENT (\\Seen)\r\n")
    waiting = bench.store.held.pop("store_flags")
    two.say(b"STORE 1 +FLAGS.SILENT (\\Flagged)")
    waiting[0].callback(None)
    assert one.lines() == [b"* 1 FETCH (FLAGS (\\Seen \\Flagged \\Recent))", b"a OK Flags changed"]


def test_a_new_keyword_is_announced_before_it_is_used(bench: Bench) -> None:
    bench.deliver(1)
    one, two = bench.select(), bench.select()
    announced = b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Work)"
    one.say(b"STORE 1 +FLAGS ($Work)")
    for lines in (two.say(b"FETCH 1 FLAGS"), bench.log_in().say(b"SELECT INBOX")):
        assert lines[0] == announced
    assert announced not in two.say(b"FETCH 1 FLAGS")


def test_expunge_is_told_highest_number_first(bench: Bench) -> None:
    bench.deliver(4)
    one, two = bench.select(), bench.select()
    one.say(b"STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    told = [b"* 3 EXPUNGE", b"* 1 EXPUNGE"]
    assert one.say(b"EXPUNGE") == [*told, b"* 2 RECENT", b"T OK Removed"]
    assert two.say(b"NOOP") == [*told, b"T OK Done"]
    assert one.say(b"UID SEARCH ALL") == [b"* SEARCH 2 4", b"T OK Searched"]


@pytest.mark.parametrize("verb", [b"COPY", b"MOVE"])
def test_taking_only_what_is_gone_is_no_success(bench: Bench, verb: bytes) -> None:
    bench.deliver(2)
    one, two = bench.select(), bench.select()
    two.say(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
    two.say(b"EXPUNGE")
    assert one.say(verb + b" 1 Archive") == [
        b"* 1 EXPUNGE",
        b"* 1 RECENT",
        b"T NO [EXPUNGEISSUED] The messages no longer exist",
    ]
    assert one.last(b"STATUS Archive (MESSAGES)") == b"T OK Status told"
    # UIDs that do not exist are no error (RFC 3501 section 6.4.8).
    assert one.last(b"UID " + verb + b" 1 Archive") == b"T OK No messages to take"


def test_I15_no_message_moves_while_numbers_are_in_use(bench: Bench) -> None:
    bench.deliver(3)
    one, two = bench.select(), bench.select()
    two.say(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
    two.say(b"EXPUNGE")
    bench.deliver(1)
    assert one.say(b"FETCH 2 UID") == [
        b"* 2 FETCH (UID 2)",
        b"* 4 EXISTS",
        b"* 4 RECENT",
        b"T OK Fetched",
    ]
    assert one.say(b"SEARCH ALL") == [b"* SEARCH 2 3 4", b"T OK Searched"]
    assert one.say(b"FETCH 1:2 UID") == [
        b"* 2 FETCH (UID 2)",
        b"T NO [EXPUNGEISSUED] Some of the messages no longer exist",
    ]
    assert one.say(b"STORE 1:2 +FLAGS (\\Seen)")[-1] == (
        b"T NO [EXPUNGEISSUED] Some of the messages no longer exist"
    )
    # The UID forms use no numbers (RFC 3501 section 7.4.1).
    assert one.say(b"UID FETCH 3 FLAGS") == [
        b"* 3 FETCH (UID 3 FLAGS (\\Recent))",
        b"* 1 EXPUNGE",
        b"* 3 RECENT",
        b"T OK Fetched",
    ]
    assert one.say(b"FETCH 1 UID")[0] == b"* 1 FETCH (UID 2)"


def test_I15_a_message_that_came_and_went_unheard_is_never_told(bench: Bench) -> None:
    one, two = bench.select(), bench.select()
    bench.deliver(1, flags=frozenset({"\\Deleted"}))
    assert two.say(b"EXPUNGE")[-1] == b"T OK Removed"
    assert one.say(b"NOOP") == [b"T OK Done"]
    bench.deliver(1)
    assert one.say(b"NOOP")[0] == b"* 1 EXISTS"
    assert one.say(b"UID SEARCH ALL")[0] == b"* SEARCH 2"


@pytest.mark.parametrize("verb", [b"SELECT", b"EXAMINE"])
def test_I15_what_select_has_told_stands_until_the_next_command(bench: Bench, verb: bytes) -> None:
    """Clients take EXISTS and UNSEEN of its reply for the mailbox they begin with."""
    bench.deliver(3)
    one, two = bench.select(), bench.log_in()
    selects, held = bench.store.select, []

    async def slow_select(*args: object, **options: object) -> object:
        held.append(await selects(*args, **options))  # type: ignore[arg-type]
        one.say(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
        one.say(b"EXPUNGE")
        return held[-1]

    bench.store.select = slow_select  # type: ignore[assignment, method-assign]
    lines = two.say(verb + b" INBOX")
    assert b"* 3 EXISTS" in lines
    assert not any(line.endswith(b"EXPUNGE") for line in lines)
    assert two.say(b"NOOP")[0] == b"* 1 EXPUNGE"


def test_uid_expunge_takes_only_what_is_named(bench: Bench) -> None:
    bench.deliver(4, flags=frozenset({"\\Deleted"}))
    client = bench.select()
    assert client.say(b"UID EXPUNGE 2:3") == [
        b"* 3 EXPUNGE",
        b"* 2 EXPUNGE",
        b"* 2 RECENT",
        b"T OK Removed",
    ]
    assert client.say(b"UID EXPUNGE 77") == [b"T OK No messages to remove"]


def test_close_removes_silently_and_unselect_does_not(bench: Bench) -> None:
    bench.deliver(2, flags=frozenset({"\\Deleted"}))
    one, two = bench.select(), bench.select()
    assert two.say(b"UNSELECT") == [b"T OK Left the mailbox"]
    assert bench.select(verb=b"EXAMINE").say(b"CLOSE") == [b"T OK Left the mailbox"]
    assert one.say(b"SEARCH ALL")[0] == b"* SEARCH 1 2"
    assert one.say(b"CLOSE") == [b"T OK Left the mailbox"]
    assert b"* 0 EXISTS" in two.say(b"SELECT INBOX")
    assert one.last(b"SEARCH ALL").startswith(b"T BAD")


def test_copy_and_move_say_where_messages_went(bench: Bench) -> None:
    bench.deliver(4)
    one, two = bench.select(), bench.select()
    assert one.say(b"COPY 2:3 Archive") == [b"T OK [COPYUID 1006 2:3 1:2] Copied"]
    assert one.say(b"UID COPY 77 Archive") == [b"T OK No messages to take"]
    assert one.say(b"MOVE 1,4 Archive") == [
        b"* OK [COPYUID 1006 1,4 3:4] Moved",
        b"* 4 EXPUNGE",
        b"* 1 EXPUNGE",
        b"* 2 RECENT",
        b"T OK Moved",
    ]
    assert two.say(b"NOOP") == [b"* 4 EXPUNGE", b"* 1 EXPUNGE", b"T OK Done"]
    assert one.say(b"UID MOVE 2 Archive")[0] == b"* OK [COPYUID 1006 2 5] Moved"
    for verb in (b"COPY", b"MOVE"):
        assert one.last(verb + b" 1 Nowhere").startswith(b"T NO [TRYCREATE]")


def test_copy_into_the_selected_mailbox_shows_the_copies(bench: Bench) -> None:
    bench.deliver(1)
    assert bench.select().say(b"COPY 1 INBOX") == [
        b"* 2 EXISTS",
        b"* 2 RECENT",
        b"T OK [COPYUID 1001 1 2] Copied",
    ]


def test_examine_changes_nothing(bench: Bench) -> None:
    bench.deliver(1)
    client = bench.select(verb=b"EXAMINE")
    for command in (b"STORE 1 +FLAGS (\\Seen)", b"EXPUNGE", b"MOVE 1 Trash", b"UID EXPUNGE 1"):
        assert client.last(command).startswith(b"T NO [READ-ONLY]")
    assert client.last(b"COPY 1 Trash").startswith(b"T OK [COPYUID")


def test_I13_the_selected_mailbox_is_deleted_by_somebody_else(bench: Bench) -> None:
    one, two = bench.select(b"Archive"), bench.select(b"Archive")
    assert two.say(b"DELETE Archive") == [b"T OK Mailbox deleted"]
    assert two.last(b"SEARCH ALL").startswith(b"T BAD")  # it knows, and has nothing selected
    assert one.say(b"NOOP") == [b"* BYE The selected mailbox was deleted"]
    assert one.closed


def test_trouble_with_changes_does_not_undo_a_command(bench: Bench) -> None:
    bench.deliver(1)
    client = bench.select()
    bench.store.fail("changes", StoreUnavailable())
    assert client.last(b"STORE 1 +FLAGS.SILENT (\\Seen)") == b"T OK Flags changed"
    bench.store.fail("changes", None)
    assert client.last(b"NOOP") == b"T OK Done"


def test_a_failing_store_is_no_and_an_unexpected_error_has_an_id(
    bench: Bench, recorded_failures: list[object]
) -> None:
    bench.deliver(1)
    client = bench.select()
    bench.store.fail("search", StoreUnavailable())
    assert client.say(b"SEARCH ALL")[-1].startswith(b"T NO [UNAVAILABLE] ")
    bench.store.fail("search", RuntimeError("secret path /var/lib"))
    answer = client.say(b"SEARCH ALL")[-1]
    assert answer.startswith(b"T NO [SERVERBUG] Internal error ")
    assert b"secret" not in answer
    assert len(recorded_failures) == 1
    assert client.say(b"NOOP") == [b"T OK Done"]


def test_searches_mix_numbers_uids_and_recent(bench: Bench) -> None:
    bench.deliver(2)
    bench.select()
    bench.deliver(3, b"Subject: large\r\n\r\n" + b"x" * 500 + b"\r\n")
    client = bench.select()
    assert client.say(b"SEARCH RECENT")[0] == b"* SEARCH 3 4 5"
    assert client.say(b"UID SEARCH OLD LARGER 10")[0] == b"* SEARCH 1 2"
    assert client.say(b"SEARCH OR 1 UID 4:*")[0] == b"* SEARCH 1 4 5"
    assert client.say(b"SEARCH 6") == [b"T BAD There is no message of that number"]
    assert client.last(b"SEARCH CHARSET KOI8-X ALL").startswith(b"T NO [BADCHARSET")
