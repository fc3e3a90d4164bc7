"""Policies as the settings make them: every kind, the mistakes of lists' files, what is shared."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from gateway.core.errors import SettingsError
from gateway.core.settings.load import load
from gateway.core.settings.model import Settings
from gateway.core.settings.policies import KINDS
from gateway.core.shared_counters import SLOTS, SharedCounters
from gateway.policy.connections import ConnectionLimits
from gateway.policy.dns import Dns
from gateway.policy.engine import Policy
from gateway.policy.from_settings import (
    UNBOUNDED,
    PolicyMaker,
    connection_bounds,
    names_in_use,
    read_lists,
)
from gateway.policy.verdicts import Stage
from tests.policy.facts import facts, now
from tests.support.fake_resolver import FakeResolver

REFERENCE = (Path(__file__).parents[2] / "etc" / "gateway.toml").read_text()


def settings(text: str = REFERENCE) -> Settings:
    return load(text, source="f", environ={}, read_secret=lambda _: "x").settings


def with_policies(policies: str) -> Settings:
    return settings(
        REFERENCE.split("# checks of who sends")[0] + policies + "[tls]\nself_signed=true"
    )


def policies_of(found: Settings, *names: str) -> dict[str, Policy]:
    clock: Any = Clock()
    lists = read_lists(found.policies, names, timers=clock, in_thread=clock.callLater)
    bounds = connection_bounds(found.policies, sorted(found.policies))
    maker = PolicyMaker(
        hostname="mail.example.test",
        networks=found.networks,
        counters=SharedCounters(array("d", bytes(8 * SLOTS)), b"k", lambda: 1000.0),
        open_limits=iter([ConnectionLimits(*each) for each in bounds]),
        dns=lambda: Dns(FakeResolver(), clock),
        greylist=Any,  # type: ignore[arg-type]  # nobody asks it here
        timers=clock,
        wall_clock=lambda: 0.0,
        lists=lists,
    )
    return maker.policies(found.policies, names)


def test_every_kind_of_the_reference_becomes_a_check() -> None:
    found = settings()
    policy = policies_of(found, "example")["example"]
    checks = {check.name for stage in Stage for check in policy.by_stage[stage]}
    assert checks == set(KINDS)
    assert [check.name for check in policy.by_stage[Stage.CONTENT]] == ["header"]


def test_only_policies_that_listeners_have_are_made() -> None:
    found = settings()
    assert names_in_use(found.listen) == ("smtp", "submission")


def test_a_named_network_is_exempt() -> None:
    found = with_policies(
        '[[policies.smtp]]\ncheck = "rate"\nof = "connections"\nlimit = 1\nexempt = "192.0.2.9"\n'
        '[[policies.smtp]]\ncheck = "connections"\nname = "few"\ntotal = 1\n'
    )
    assert connection_bounds(found.policies, ["smtp"]) == [(1, UNBOUNDED)]
    policy = policies_of(found, "smtp")["smtp"]
    rate, few = policy.by_stage[Stage.CONNECT]
    assert [now(rate, facts(), Stage.CONNECT) for _ in range(3)] == [None] * 3
    assert now(few, facts(), Stage.CONNECT) is None
    about = facts()
    about.client.connection_id = "c2"
    refused = now(few, about, Stage.CONNECT)
    assert refused is not None and refused.check == "few"


def test_mistakes_in_lists_files_are_told_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("192.0.2.1\nnonsense\n")
    text = "".join(
        f'[[policies.smtp]]\ncheck = "list"\nof = "ip"\nfile = "{tmp_path}/{name}"\n'
        for name in ("bad", "missing")
    )
    found = with_policies(text)
    with pytest.raises(SettingsError) as caught:
        policies_of(found, "smtp")
    one, two = map(str, caught.value.problems)
    assert "policies.smtp[0].file: found 'nonsense' in line 2; expected an address" in one
    assert "policies.smtp[1].file: found" in two and "No such file" in two


def test_a_file_that_two_checks_name_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("192.0.2.0/24\n")
    one = f'check = "list"\nof = "ip"\nfile = "{tmp_path}/list"\naction = "tag"\n'
    found = with_policies(f"[[policies.smtp]]\n{one}[[policies.submission]]\n{one}")
    policies = policies_of(found, "smtp", "submission")
    checks: list[Any] = [each.by_stage[Stage.CONNECT][0] for each in policies.values()]
    assert checks[0]._source is checks[1]._source
    verdict = now(checks[0], facts(), Stage.CONNECT)
    assert verdict is not None and verdict.inputs["list"] == f"{tmp_path}/list"
