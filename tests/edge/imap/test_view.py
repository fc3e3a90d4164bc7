"""The view against a simple model: whatever others do and whenever news may be told, the client's
idea of the mailbox follows from the replies alone."""

from __future__ import annotations

from itertools import chain

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.ids import AccountId, MailboxId, ModSeq, Uid
from gateway.core.mailboxes import ChangedFlags, Changes, Mailbox, MailboxEvent, Selection
from gateway.core.messages import MessageRow
from gateway.core.uids import UidRuns
from gateway.core.uidset import contains, from_sorted
from gateway.edge.imap.view import MailboxView
from gateway.wire.imap.sequence import SequenceSet

ALL = SequenceSet(((1, 0),))


def view_of(uids: list[int], modseq: int = 1) -> MailboxView:
    mailbox = Mailbox(
        MailboxId(1),
        AccountId("a"),
        "INBOX",
        7,
        Uid(max(uids, default=0) + 1),
        ModSeq(modseq),
    )
    return MailboxView(
        Selection(mailbox, UidRuns(from_sorted(uids)), Uid(1), 0, ()), read_only=False
    )


class Server:
    """The mailbox as it is, with a journal."""

    def __init__(self, uids: list[int]) -> None:
        self.flags = dict.fromkeys(uids, frozenset[str]())
        self.changed = dict.fromkeys(uids, 1)
        self.vanished: dict[int, int] = {}
        self.modseq = 1
        self.next_uid = max(uids, default=0) + 1

    def act(self, action: str, number: int) -> None:
        self.modseq += 1
        if action == "arrive":
            self.flags[self.next_uid] = frozenset()
            self.changed[self.next_uid] = self.modseq
            self.next_uid += 1 + number % 3
        elif self.flags:
            uid = sorted(self.flags)[number % len(self.flags)]
            if action == "expunge":
                del self.flags[uid], self.changed[uid]
                self.vanished[uid] = self.modseq
            else:
                self.flags[uid] ^= {"\\Seen"}
                self.changed[uid] = self.modseq

    def changes(self, since: int) -> Changes:
        return Changes(
            ModSeq(self.modseq),
            tuple(
                ChangedFlags(Uid(uid), self.flags[uid], ModSeq(self.changed[uid]))
                for uid in sorted(self.flags)
                if self.changed[uid] > since
            ),
            from_sorted(sorted(uid for uid, at in self.vanished.items() if at > since)),
        )


ACTIONS = st.tuples(
    st.sampled_from(["arrive", "expunge", "flag", "take", "tell", "tell without expunge"]),
    st.integers(0, 50),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 40), unique=True), st.lists(ACTIONS, max_size=40))
def test_I15_the_client_follows_from_the_replies_alone(
    uids: list[int], actions: list[tuple[str, int]]
) -> None:
    uids.sort()
    server, view = Server(uids), view_of(uids)
    client: list[frozenset[str] | None] = [frozenset() for _ in uids]  # None: not asked yet

    def tell(may_expunge: bool) -> None:
        news = view.news(may_expunge=may_expunge)
        assert may_expunge or not news.expunged
        for seq in chain.from_iterable(news.expunged):
            del client[seq - 1]
        if news.exists is not None:
            client.extend([None] * (news.exists - len(client)))
        for seq, change in news.flags:
            client[seq - 1] = change.flags
        assert len(client) == view.exists

    for action, number in actions:
        if action == "take":
            view.take(server.changes(view.highest_modseq))
        elif action.startswith("tell"):
            tell(action == "tell")
        else:
            server.act(action, number)
    view.take(server.changes(view.highest_modseq))
    tell(True)
    assert list(view.uids) == sorted(server.flags)
    for uid, known in zip(view.uids, client, strict=True):
        assert known is None or known == server.flags[uid]


@given(
    st.lists(st.integers(1, 200), unique=True, max_size=60),
    st.lists(st.tuples(st.integers(0, 220), st.integers(0, 220)), min_size=1, max_size=8),
    st.integers(1, 7),
)
def test_I7_uid_sets_mean_what_exists(
    uids: list[int], items: list[tuple[int, int]], size: int
) -> None:
    uids.sort()
    view = view_of(uids)
    spans = view.spans_of(SequenceSet(tuple(items)), uid=True)
    last = uids[-1] if uids else 0
    bounds = [tuple(sorted((low or last, high or last))) for low, high in items]
    expected = [uid for uid in uids if any(low <= uid <= high for low, high in bounds)]
    assert [uid for start, end in spans for uid in uids[start:end]] == expected
    ranges = view.uid_ranges(spans)
    assert [uid for uid in uids if contains(ranges, uid)] == expected
    batches = list(view.batches(spans, size))
    counts = [sum(end - start for start, end in batch) for batch in batches]
    assert all(count == size for count in counts[:-1]) and sum(counts) == len(expected)
    assert [i for batch in batches for start, end in batch for i in range(start, end)] == [
        i for start, end in spans for i in range(start, end)
    ]
    assert view.seqs_of(expected) == [uids.index(uid) + 1 for uid in expected]


def row(uid: int) -> MessageRow:
    return MessageRow(Uid(uid), ModSeq(1), frozenset(), 0, 1, 1)  # type: ignore[arg-type]


def test_rows_are_numbered_even_if_some_are_gone() -> None:
    view = view_of([3, 5, 9])
    spans = view.spans_of(ALL, uid=False)
    assert [seq for seq, _ in view.numbered(spans, [row(3), row(5), row(9)])] == [1, 2, 3]
    assert [seq for seq, _ in view.numbered(spans, [row(3), row(9)])] == [1, 3]


def test_many_expunged_at_once() -> None:
    view = view_of(list(range(1, 301)))
    gone = tuple((uid, uid) for uid in range(2, 301, 2))
    view.take(Changes(ModSeq(2), (), gone))
    assert view.exists == 300
    told = chain.from_iterable(view.news(may_expunge=True).expunged)
    assert list(told) == list(range(300, 0, -2))
    assert list(view.uids) == list(range(1, 301, 2))


def test_a_feed_that_is_ahead_does_not_make_the_view_ask_for_ever() -> None:
    view = view_of([1])
    view.hint(MailboxEvent(AccountId("a"), MailboxId(1), ModSeq(9)))
    assert view.stale
    view.asking()
    view.take(Changes(ModSeq(4), (), ()))
    assert not view.stale


def test_what_another_session_removes_leaves_the_shared_uids_as_they_are() -> None:
    one = view_of(list(range(1, 11)))
    shared = one.uids
    one.take(Changes(ModSeq(2), (), ((2, 3), (7, 90))))
    assert one.uids is shared
    assert one.news(may_expunge=False).expunged == ()
    assert (one.exists, one.seq_of(8)) == (10, 8)
    one.take(Changes(ModSeq(3), (), ((1, 4),)))  # repeats what is known
    told = list(chain.from_iterable(one.news(may_expunge=True).expunged))
    assert told == [10, 9, 8, 7, 4, 3, 2, 1]
    assert (list(one.uids), len(shared)) == ([5, 6], 10)
    assert one.news(may_expunge=True).expunged == ()


def test_a_muted_change_is_looked_for_once_however_many_messages_a_set_names() -> None:
    view = view_of(list(range(1, 101)))
    changes = tuple(ChangedFlags(Uid(uid), frozenset(), ModSeq(2)) for uid in range(1, 101))
    view.take(Changes(ModSeq(2), changes, ()))
    asked: list[int] = []

    def known(change: ChangedFlags) -> bool:
        asked.append(change.uid)
        return change.uid != 5

    odd = SequenceSet(tuple((uid, uid) for uid in range(1, 101, 2)))
    view.mute(view.spans_of(odd, uid=True), known)
    assert asked == list(range(1, 101, 2))
    left = [seq for seq, _ in view.news(may_expunge=True).flags]
    assert left == [2, 4, 5, *range(6, 101, 2)]
