"""Who has room at the door, and what telling and asking costs."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any, Literal, TypeVar

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import directlyProvides

from gateway.core.errors import OverQuota, StoreUnavailable
from gateway.core.ids import AccountId
from gateway.core.messages import NewMessage
from gateway.core.quota import Allowance, Quota, Usage
from gateway.policy.quota import QuotaPolicy
from gateway.policy.quota_warnings import QuotaWarner
from gateway.wire.quota_warning import size
from tests.support.quota_fakes import FakeQuotaStore
from tests.support.smtp_fakes import ALICE, BOB, NOW, FakeIntake

T = TypeVar("T")
FULL = Quota(octets=100)


def result(coroutine: Coroutine[Deferred[Any], Any, T]) -> T:
    """Of a coroutine that does not wait."""
    results: list[T] = []
    failures: list[Any] = []
    Deferred.fromCoroutine(coroutine).addCallbacks(results.append, failures.append)
    if failures:
        failures[0].raiseException()
    return results[0]


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    directlyProvides(observe, ILogObserver)
    observer: Any = observe
    globalLogPublisher.addObserver(observer)
    yield lines
    globalLogPublisher.removeObserver(observer)


def test_nobody_without_bounds_is_asked_about() -> None:
    store = FakeQuotaStore()
    policy = QuotaPolicy(store, check="data")
    result(policy.admit(ALICE, 10**12))
    result(policy.admit_message((ALICE.account_id,), 10**12))
    assert store.asked == [] and store.quotas == {ALICE.account_id: Quota()}


def test_the_directory_says_it_for_one_and_the_default_for_all_others() -> None:
    store = FakeQuotaStore()
    policy = QuotaPolicy(store, default=Quota(100, 7))
    result(policy.learn(replace(ALICE, allowance=Allowance(octets=5))))
    result(policy.learn(BOB))
    assert store.quotas == {ALICE.account_id: Quota(5, 7), BOB.account_id: Quota(100, 7)}
    assert policy.address_of(ALICE.account_id) == ALICE.primary_address


def test_the_size_announced_counts_and_a_full_mailbox_takes_nothing() -> None:
    store = FakeQuotaStore()
    policy = QuotaPolicy(store, default=FULL)
    store.kept[ALICE.account_id] = (40, 1)
    result(policy.admit(ALICE, 60))
    with pytest.raises(OverQuota):
        result(policy.admit(ALICE, 61))
    store.kept[BOB.account_id] = (100, 1)
    with pytest.raises(OverQuota):
        result(policy.admit(BOB, 0))


def test_what_was_promised_is_looked_at_again_only_if_the_setting_says_so() -> None:
    store = FakeQuotaStore()
    accounts = (ALICE.account_id, BOB.account_id)
    checks: tuple[Literal["rcpt", "data"], ...] = ("rcpt", "data")
    for check in checks:
        policy = QuotaPolicy(store, default=FULL, check=check)
        result(policy.learn(ALICE))
        result(policy.learn(BOB))
        store.kept[BOB.account_id] = (99, 1)
        if policy.promises:
            result(policy.admit_message(accounts, 10))
            continue
        with pytest.raises(OverQuota) as refused:
            result(policy.admit_message(accounts, 10))
        assert refused.value.account_ids == (BOB.account_id,)


def test_D10_a_store_in_trouble_refuses_nobody_here() -> None:
    store = FakeQuotaStore()
    policy = QuotaPolicy(store, default=FULL, check="data")
    store.fails = StoreUnavailable()
    result(policy.admit(ALICE, 1000))
    result(policy.admit_message((ALICE.account_id,), 1000))


def test_garbage_of_the_directory_is_told_once(logged: list[str]) -> None:
    policy = QuotaPolicy(FakeQuotaStore())
    for _ in range(3):
        result(policy.learn(replace(ALICE, allowance=Allowance(unreadable="'lots'"))))
    assert [line for line in logged if "'lots'" in line and "alice" in line] == logged


def warned(usage: Usage, address: str = "alice@example.test") -> tuple[NewMessage, str]:
    store, intake = FakeQuotaStore(), FakeIntake()

    class Known:
        def address_of(self, account_id: AccountId) -> str:
            return address

    warner = QuotaWarner(
        store,
        intake,
        Known(),
        hostname="mail.example.test",
        new_id=lambda: "id1",
        wall_clock=lambda: NOW,
    )
    stop = warner.start()
    store.watchers[0](ALICE.account_id, usage)
    (message,) = intake.accepted
    stop()
    assert store.watchers == []
    return message, intake.content().decode("ascii")


def test_the_warning_says_what_is_used_what_is_allowed_and_what_to_do(logged: list[str]) -> None:
    message, text = warned(Usage(int(4.6 * 2**30), 9_100, Quota(5 * 2**30, 10_000)))
    assert message.local == (ALICE.account_id,) and message.sender is None
    assert message.may_exceed_quota and message.remote == ()
    assert "4.6 GB of the 5.0 GB" in text and "9,100 of the 10,000 messages" in text
    assert "To: <alice@example.test>" in text and "Auto-Submitted: auto-generated" in text
    assert "Subject: Your mailbox is nearly full (91 percent)" in text
    assert "delete messages" in text and "administrator" in text
    assert "\n" not in text.replace("\r\n", "") and max(map(len, text.split("\r\n"))) < 79
    assert (
        "91 percent full: 4.6 GB of 5.0 GB, 9100 of 10000 messages" in logged[0]
        and "alice@example.test" in logged[0]
    )


@pytest.mark.parametrize("address", ["", "a@b\r\nBcc: x@y", "ü@example.test", "<x>@example.test"])
def test_S9_an_address_that_could_do_harm_is_left_out(address: str) -> None:
    _, text = warned(Usage(9, 9, Quota(10, 0)), address)
    assert "To: undisclosed-recipients:;\r\n" in text and "Bcc" not in text


def test_a_warning_that_cannot_be_kept_is_logged(logged: list[str]) -> None:
    store, intake = FakeQuotaStore(), FakeIntake()
    intake.fails = StoreUnavailable()
    policy = QuotaPolicy(store)
    QuotaWarner(
        store, intake, policy, hostname="h", new_id=lambda: "1", wall_clock=lambda: NOW
    ).start()
    store.watchers[0](ALICE.account_id, Usage(9, 9, Quota(10, 0)))
    assert "could not be warned" in logged[-1] and intake.accepted == []


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 octets"),
        (1023, "1023 octets"),
        (1536, "1.5 KB"),
        (640 << 10, "640 KB"),
        (5 << 30, "5.0 GB"),
    ],
)
def test_sizes_as_people_say_them(octets: int, text: str) -> None:
    assert size(octets) == text
