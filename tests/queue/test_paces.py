"""Which pace a destination has by the settings."""

from __future__ import annotations

from gateway.app.paces import outbound_paces
from gateway.core.messages import LOCAL
from gateway.queue.paces import Pace, Paces
from tests.core.test_policy_settings import loaded

SETTINGS = """
[outbound]
connections_per_destination = 8
messages_per_minute = 600
[outbound.destinations."slow.example"]
connections = 2
messages_per_minute = 30
[outbound.destinations."*.slow.example"]
connections = 1
lifetime_s = 3600
[outbound.destinations."a.example"]
next_hop = "smtp://relay.example:26"
connections = 5
retry_after_s = [7]
[outbound.destinations."*.b.example"]
next_hop = "smtp://relay.example:26"
connections = 3
messages_per_minute = 60
"""


def paces() -> Paces:
    return outbound_paces(loaded(SETTINGS).outbound)


def test_the_nearest_name_counts() -> None:
    found = [paces().of(name) for name in ("slow.example", "x.y.slow.example", "other.example")]
    assert [each.connections for each in found] == [2, 1, 8]
    assert [each.messages_per_minute for each in found] == [30, 600, 600]


def test_servers_that_take_the_mail_of_several_have_the_slowest_pace() -> None:
    (chain,) = paces()._chains
    assert chain.startswith("smtp://relay.example:26")
    assert (paces().of(chain).connections, paces().of(chain).messages_per_minute) == (3, 60)


def test_waits_and_lifetime_are_the_recipient_domain_s_wherever_its_mail_goes() -> None:
    (chain,) = paces()._chains
    assert paces().schedule(chain, "a.example").delays_s == (7,)
    assert paces().schedule("smtp://other:25", "x.slow.example").lifetime_s == 3600
    assert paces().schedule("other.example", "other.example").delays_s[0] == 60
    assert Paces().schedule("y.example", "y.example") == Pace().schedule


def test_nothing_limits_the_rate_of_mail_for_people_here() -> None:
    assert paces().of(LOCAL).messages_per_minute == 0


def test_D7_the_longest_wait_of_all_is_known() -> None:
    slowest = loaded('[outbound.destinations."y.example"]\nretry_after_s = [70000]\n').outbound
    assert outbound_paces(slowest).longest_delay_s > 70_000
