"""The trace: one contract for the fake and the real one, and what the real one promises besides."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.core.ids import AccountId
from gateway.core.messages import NewMessage
from gateway.core.new_ids import id_source
from gateway.core.ports.trace import TraceStore
from gateway.core.trace import MAX_KEY, TraceRecord, search_key
from gateway.store import trace_notes
from gateway.store.trace_form import MAX_FIELDS, Term, decode, encode
from gateway.store.trace_notes import Note, Notes
from gateway.store.transaction import Transaction
from tests.store.house import ALICE, CAROL, NOW, House
from tests.support.pump import Pump
from tests.support.trace_fakes import FakeTrace

Find = Callable[..., Sequence[TraceRecord]]


class Bench:
    """A trace, and a way to ask it at once for what was noted."""

    def __init__(self, trace: TraceStore, wait: Callable[[Any], Any]) -> None:
        self.trace = trace
        self._wait = wait

    def note(self, *records: TraceRecord) -> None:
        for record in records:
            self.trace.note(record)

    def find(self, term: str, **narrowed: int) -> list[TraceRecord]:
        return list(self._wait(self.trace.find(term, **narrowed)))

    def kinds(self, term: str, **narrowed: int) -> list[str]:
        return [record.kind for record in self.find(term, **narrowed)]


@pytest.fixture(params=["fake", "real", "packed"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "fake":
        yield Bench(FakeTrace(), Pump().wait)
        return
    with House(tmp_path) as house:

        def wait(coroutine: Any) -> Any:
            commit(house)
            if request.param == "packed":
                pack_all(house)
            return house.wait(coroutine)

        yield Bench(house.store.trace, wait)
        house.verify()


def commit(house: House) -> None:
    """Whatever is written takes the notes along."""
    house.wait(house.store.ensure_account(AccountId("somebody")))
    house.wait(house.store.set_subscribed(AccountId("somebody"), "INBOX", True))


def pack_all(house: House) -> None:
    """Join all fresh rows, however few they are."""
    from gateway.store import trace_care

    care = house.store._machinery.trace_care
    before = trace_care.JOIN_OCTETS
    trace_care.JOIN_OCTETS = 1
    try:
        while not all(keys for keys, _ in rows(house)):
            house.wait(care.run())
    finally:
        trace_care.JOIN_OCTETS = before


def rows(house: House) -> list[tuple[bytes, bytes]]:
    connection = sqlite3.connect(house.layout.index)
    try:
        return connection.execute("SELECT keys, records FROM traces ORDER BY trace_row").fetchall()
    finally:
        connection.close()


def record(
    trace_id: str, kind: str = "refused", *keys: str, at: float = NOW, **fields: Any
) -> TraceRecord:
    return TraceRecord(trace_id, at, kind, tuple(map(search_key, keys)), fields)


def test_an_id_finds_its_step_and_a_connections_id_all_of_its_messages(bench: Bench) -> None:
    bench.note(
        record("0abc", "refused", at=NOW),
        record("0abc-1", "accepted", at=NOW + 1),
        record("0abc-11", "accepted", at=NOW + 2),
        record("0abcd-1", "accepted", at=NOW + 3),
    )
    assert [one.trace_id for one in bench.find("0abc")] == ["0abc", "0abc-1", "0abc-11"]
    assert [one.trace_id for one in bench.find("0abc-1")] == ["0abc-1"]
    assert [one.trace_id for one in bench.find(" [0abc-1]")] == ["0abc-1"], "as replies have it"
    assert bench.find("0ab") == []
    assert bench.find("") == bench.find("<>") == []


@pytest.mark.parametrize(
    "term",
    [
        "Alice@Example.Test",
        "<alice@example.test>",
        " alice@example.test ",
        "<ID-1@Far.Test>",
        "id-1@far.test",
        "192.0.2.9",
        "[192.0.2.9]",
        "2001:0db8:0::9",
        "0000001F",
        "0000001f",
        "é" * 40 + "@" + "ü" * 60 + ".test",
    ],
)
def test_each_key_finds_the_message_with_all_that_became_of_it(bench: Bench, term: str) -> None:
    keys = (
        "<alice@example.test>", "<ID-1@Far.Test>", "192.0.2.9", "2001:db8::9", "0000001F",
        "É" * 40 + "@" + "Ü" * 60 + ".test",
    )  # fmt: skip
    bench.note(
        record("0abc-1", "accepted", *keys, at=NOW),
        record("0abd-1", "accepted", "bob@example.test", at=NOW),
        record("0abc-1", "delivered", at=NOW + 7, reply="250 ok"),
    )
    assert bench.kinds(term) == ["accepted", "delivered"]
    assert bench.kinds("bob@example.test") == ["accepted"]
    assert bench.find("carol@example.test") == []


def test_what_became_of_a_message_is_found_however_late_it_happened(bench: Bench) -> None:
    """Its id says when it began, so only what is older need not be looked at."""
    early, late = (id_source(lambda at=at: at, 1)() for at in (NOW - 9 * 86_400, NOW))
    bench.note(
        record(f"{early}-1", "accepted", "alice@example.test", at=NOW - 9 * 86_400),
        record(f"{early}-1", "deferred", at=NOW - 5 * 86_400),
        record(f"{late}-1", "accepted", "alice@example.test", at=NOW),
        record(f"{early}-1", "expired", "alice@example.test", at=NOW + 1),
    )
    everything = ["accepted", "deferred", "accepted", "expired"]
    assert bench.kinds("alice@example.test") == everything
    assert bench.kinds("alice@example.test", since=NOW + 1) == ["expired"]


def test_time_and_number_narrow_what_is_found(bench: Bench) -> None:
    bench.note(*(record(f"0abc-{n}", str(n), "192.0.2.9", at=NOW + n) for n in range(10)))
    assert bench.kinds("192.0.2.9") == [str(n) for n in range(10)]
    assert bench.kinds("192.0.2.9", since=NOW + 8) == ["8", "9"]
    assert bench.kinds("192.0.2.9", until=NOW + 1) == ["0", "1"]
    assert bench.kinds("192.0.2.9", since=NOW + 2, until=NOW + 3) == ["2", "3"]
    assert bench.kinds("192.0.2.9", limit=2) == ["8", "9"], "the latest ones"
    assert bench.find("192.0.2.9")[0].at == NOW


HOSTILE = "a\r\nb\0c\x1b[31m\x1f\x1e\u2028\ud800 ' \" \\ <script>"


def test_A9_hostile_text_ends_no_record_and_forges_none(bench: Bench) -> None:
    forged = "\n0aaa-9\x1f1.0\x1fdelivered\x1f{}\x1falice@example.test\x1f"
    bench.note(
        record("0abc", "refused", HOSTILE, forged, hello=HOSTILE, why=forged, verdicts=[
            {"check": forged, "reason": HOSTILE, HOSTILE: HOSTILE}
        ]),
    )  # fmt: skip
    assert bench.find("0aaa-9") == bench.find("alice@example.test") == []
    (found,) = bench.find("0abc")
    assert found.fields["hello"] == HOSTILE, "it is kept as it was, and shown by who shows it"
    assert [one.trace_id for one in bench.find(HOSTILE)] == ["0abc"]
    assert [one.trace_id for one in bench.find(forged)] == ["0abc"]


# -- the real one


def test_a_record_has_a_bound_and_says_that_it_was_cut() -> None:
    verdicts = [{"check": str(n), "reason": "r" * 5000, "x" * 70: "y"} for n in range(500)]
    fields = {"hello": "h" * 9000, "many": ["w" * 900] * 900, "verdicts": verdicts, "size": 7}
    line = encode(TraceRecord("0abc-1", NOW, "refused", ("k",), fields))  # type: ignore[arg-type]
    assert len(line) < MAX_FIELDS + 200
    found = decode(line)
    assert found.fields["size"] == 7
    cut = found.fields["verdicts"]
    assert isinstance(cut, list) and isinstance(cut[-1], dict)
    assert int(cut[-1]["more"]) == 500 - len(cut) + 1
    assert str(found.fields["hello"]).endswith("...")
    flood = {f"{n}" * 50: "v" * 50 for n in range(1000)}
    assert len(encode(TraceRecord("0abc", NOW, "x", (), flood))) < MAX_FIELDS + 200


def test_a_thousand_recipients_are_all_found() -> None:
    keys = tuple(search_key(f"person-{n}-of-a-large-group@example.test") for n in range(1000))
    line = encode(TraceRecord("0abc-1", NOW, "accepted", keys))
    for key in (keys[0], keys[-1]):
        assert [one.trace_id for one in Term(key).records_in(line)] == ["0abc-1"]


def test_keys_are_short_whatever_they_are_made_of() -> None:
    assert search_key("<A@B>") == "a@b"
    assert len(search_key("x" * 5000)) <= MAX_KEY
    assert search_key("x" * 5000) != search_key("x" * 5001)


def traced(house: House, trace_id: str, *keys: str, **more: Any) -> NewMessage:
    message = house.message(trace_id, ALICE, **more)
    return replace(message, trace=record(trace_id, "accepted", *keys))


def test_a_batch_is_one_row_whatever_was_accepted_and_noted(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("before", ALICE)  # a start has commits of its own
        for number in range(5):
            house.store.trace.note(record(f"0abc{number}", "refused"))
        message = traced(house, "0abd-1", "a@b.test", remote=[CAROL])
        accepted = house.wait(house.store.accept(message))
        ((keys, records),) = rows(house)
        assert keys == b"", "hashed later, when nobody waits for it"
        assert records.count(b"\n") == 7
        found = house.wait(house.store.trace.find(accepted.queue_id))
        assert [one.kind for one in found] == ["accepted", "queued"]
        assert found[1].fields == {"queue_id": accepted.queue_id}


def test_a_message_that_is_not_kept_leaves_no_record(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("before", ALICE)
        doomed = house.start("doomed \ud800", ALICE)
        bad = replace(traced(house, "0abc-1"), ingest_id="bad \ud800")
        failed = house.pump.start(house.store.accept(bad))
        good = house.pump.start(house.store.accept(traced(house, "0abc-2")))
        house.pump.wait_for(good)
        for one in (doomed, failed):
            with pytest.raises(UnicodeEncodeError):
                house.pump.wait_for(one)
        again = traced(house, "0abc-2")
        house.wait(house.store.accept(again))  # the same ingest id once more
        found = house.wait(house.store.trace.find("0abc"))
        assert [one.trace_id for one in found] == ["0abc-2"]


def test_a_record_that_cannot_be_written_costs_no_mail(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        message = house.message("0abc-1", ALICE)
        odd = replace(message, trace=record("0abc-1", "accepted", odd=object()))
        house.wait(house.store.accept(odd))
        house.store.trace.note(record("0abd", "refused", odd=object()))
        assert house.wait(house.store.trace.find("0abc")) == ()


def test_notes_come_by_themselves_when_no_mail_takes_them_along(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.store.trace.note(record("0abc", "refused"))
        house.pump.until(lambda: house.wait(house.store.trace.find("0abc")))
        assert len(rows(house)) == 1


def test_notes_at_the_end_are_kept(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.store.trace.note(record("0abc", "refused"))
    with House(tmp_path) as house:
        assert len(house.wait(house.store.trace.find("0abc"))) == 1


def test_what_is_too_much_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_notes, "MAX_NOTES", 3)
    monkeypatch.setattr(trace_notes, "MAX_OCTETS", 100)
    notes = Notes(lambda: 0.0, lambda lost: Note(0.0, b"%d lost" % lost))
    assert notes.wait_s() is None
    assert [notes.add(Note(0.0, b"x" * 10)) for _ in range(4)] == [True, False, False, False]
    assert notes.wait_s() == trace_notes.WAIT_S
    assert [one.line for one in notes.take()] == [b"x" * 10] * 3 + [b"1 lost"]
    assert notes.take() == []
    assert notes.add(Note(0.0, b"x" * 60))
    assert not notes.add(Note(0.0, b"x" * 60))
    notes.lose(4)
    assert notes.take()[-1].line == b"5 lost"


def test_a_failed_commit_loses_notes_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with House(tmp_path) as house:
        house.deliver("before", ALICE)
        original, failures = Transaction.commit, [1]

        def commit_or_fail(tx: Transaction) -> None:
            if failures:
                failures.pop()
                raise sqlite3.OperationalError("disk I/O error")
            original(tx)

        monkeypatch.setattr(Transaction, "commit", commit_or_fail)
        house.store.trace.note(record("0abc", "refused"))
        house.pump.until(lambda: not failures)
        house.store.trace.note(record("0abd", "refused"))
        house.pump.until(lambda: house.wait(house.store.trace.find("0abd")))
        assert b"lost-gateway" in b"".join(records for _, records in rows(house))


def test_nothing_is_recorded_when_nothing_is_kept(tmp_path: Path) -> None:
    house = House.__new__(House)
    house.prepare(tmp_path)
    house.store = house.open_store(keep_traces_s=0)
    with house:
        house.store.trace.note(record("0abc", "refused"))
        house.wait(house.store.accept(traced(house, "0abc-1")))
        assert rows(house) == []
