"""Policies from their settings: a check object for each table, in order.

Owns which settings reach which check, and the mistakes that show only now: a list's file that
cannot be read, or has lines that are no entries. Lists that several checks name are read once.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import SettingsError, SettingsProblem
from gateway.core.networks import named
from gateway.core.ports.clock import Timers, WallClock
from gateway.core.ports.greylist import GreylistStore
from gateway.core.settings import policies as settings
from gateway.core.settings.listen import ListenSettings
from gateway.core.shared_counters import Rate, SharedCounters
from gateway.policy.checks import Check
from gateway.policy.dns import Dns
from gateway.policy.dns_lists import DnsListCheck, Thresholds
from gateway.policy.dns_zones import Zone, ZoneSettings
from gateway.policy.engine import Policy
from gateway.policy.entries import BrokenList, read_entries
from gateway.policy.greylist import GreylistCheck, GreylistTimes
from gateway.policy.ground import Ground, at
from gateway.policy.header import HeaderCheck
from gateway.policy.hello import HelloActions, HelloCheck
from gateway.policy.list_files import InThread, ListFile
from gateway.policy.lists import EntriesSource, Inline, ListCheck
from gateway.policy.open_connections import ConnectionsCheck, OpenLimits
from gateway.policy.rates import RateCheck
from gateway.policy.reverse_dns import ReverseDnsCheck
from gateway.policy.sender_domain import SenderDomainCheck
from gateway.policy.verdicts import Action

DAY_S = 86_400
UNBOUNDED = 2**31

PoliciesInSettings = Mapping[str, Sequence[settings.Checks]]
Lists = Mapping[str, tuple[EntriesSource, str]]
"""By the place of the check in the settings: its entries, and where they stand, for people."""


def names_in_use(listeners: Iterable[ListenSettings]) -> tuple[str, ...]:
    """The policies that listeners have, each once, sorted."""
    return tuple(
        sorted(
            {
                listen.policy or listen.protocol
                for listen in listeners
                if listen.protocol in settings.GUARDED
            }
        )
    )


def connection_bounds(policies: PoliciesInSettings, names: Iterable[str]) -> list[tuple[int, int]]:
    """``total`` and ``per_address`` of each check of open connections, in order: whoever makes the
    memory in which several processes count makes a table for each."""
    return [
        (check.total or UNBOUNDED, check.per_address or UNBOUNDED)
        for name in names
        for check in policies.get(name, ())
        if isinstance(check, settings.ConnectionsCheck)
    ]


def read_lists(
    found: PoliciesInSettings,
    names: Iterable[str],
    *,
    timers: Timers,
    in_thread: InThread,
    source: str = "settings",
) -> Lists:
    """The lists of these policies, each file read once.

    Args:
        source: the configuration's name, for mistakes.

    Raises:
        SettingsError: files that cannot be read, lines that are no entries.
    """
    lists: dict[str, tuple[EntriesSource, str]] = {}
    files: dict[tuple[str, str], ListFile] = {}
    problems: list[SettingsProblem] = []
    for name in names:
        for index, check in enumerate(found.get(name, ())):
            if not isinstance(check, settings.ListCheck):
                continue
            place = f"policies.{name}[{index}]"
            try:
                if not check.file:
                    inline = read_entries(check.of, check.entries, len(check.entries))
                    lists[place] = Inline(inline), f"{place}.entries"
                    continue
                key = (check.file, check.of)
                if key not in files:
                    path = Path(check.file)
                    files[key] = ListFile(path, check.of, timers=timers, in_thread=in_thread)
                lists[place] = files[key], check.file
            except BrokenList as broken:
                problems += [
                    SettingsProblem(check.file or source, f"{place}.file", *mistake)
                    for mistake in broken.mistakes
                ]
            except OSError as error:
                text = f'"{error.filename}" ({error.strerror})'
                expected = "a file that the gateway's user can read"
                problems.append(SettingsProblem(source, f"{place}.file", text, expected))
    if problems:
        raise SettingsError(problems)
    return lists


@dataclass(frozen=True, slots=True)
class PolicyMaker:
    """What checks stand on.

    Args:
        hostname: ours.
        networks: the table [networks].
        counters: of rates.
        open_limits: of each check of open connections, as ``connection_bounds`` lists them.
        lists: as ``read_lists`` has read them.
    """

    hostname: str
    networks: Mapping[str, Sequence[str]]
    counters: SharedCounters
    open_limits: Iterator[OpenLimits]
    dns: Callable[[], Dns]
    greylist: GreylistStore
    timers: Timers
    wall_clock: WallClock
    lists: Lists

    def policies(self, found: PoliciesInSettings, names: Iterable[str]) -> dict[str, Policy]:
        """The policies of these names."""
        return {
            name: Policy(
                name,
                [
                    self._check(check, f"policies.{name}[{index}]")
                    for index, check in enumerate(found.get(name, ()))
                ],
            )
            for name in names
        }

    def _check(self, check: settings.Checks, place: str) -> Check:
        ground = Ground(
            check.name or check.check,
            named(check.exempt, self.networks),
            check.on_trouble == "defer",
        )
        match check:
            case settings.ListCheck():
                stage = check.stage or settings.KNOWN_FROM[check.of]
                source, where = self.lists[place]
                return ListCheck(ground, source, where, Action(check.action), at(stage), check.text)
            case settings.RateCheck():
                rate = Rate(check.limit, check.per_s, check.burst or check.limit)
                return RateCheck(
                    ground, self.counters, place, check.of, check.per, rate, Action(check.action)
                )
            case settings.ConnectionsCheck():
                return ConnectionsCheck(ground, next(self.open_limits))
            case settings.HelloCheck():
                actions = HelloActions(
                    own_name=Action(check.own_name),
                    bare_ip=Action(check.bare_ip),
                    not_fqdn=Action(check.not_fqdn),
                    literal_mismatch=Action(check.literal_mismatch),
                )
                return HelloCheck(ground, actions, self.hostname.casefold(), at(check.stage))
            case settings.GreylistCheck():
                times = GreylistTimes(
                    wait_s=check.wait_s,
                    come_within_s=check.come_within_s,
                    keep_s=check.keep_days * DAY_S,
                    by_recipient=check.by_recipient,
                    trust_after=check.trust_after,
                )
                return GreylistCheck(ground, self.greylist, times, self.wall_clock)
            case settings.HeaderCheck():
                action = Action(check.action)
                return HeaderCheck(ground, check.field, check.pattern, action, check.text)
        return self._dns_check(check, ground)

    def _dns_check(
        self,
        check: settings.ReverseDnsCheck | settings.SenderDomainCheck | settings.DnsListCheck,
        ground: Ground,
    ) -> Check:
        match check:
            case settings.ReverseDnsCheck():
                return ReverseDnsCheck(
                    ground,
                    self.dns(),
                    self.timers,
                    no_name=Action(check.no_name),
                    mismatch=Action(check.mismatch),
                    stages=at(check.stage),
                    timeout_s=check.timeout_s,
                )
            case settings.SenderDomainCheck():
                return SenderDomainCheck(
                    ground,
                    self.dns(),
                    self.timers,
                    missing=Action(check.missing),
                    null_mx=Action(check.null_mx),
                    timeout_s=check.timeout_s,
                )
            case _:
                dns = self.dns()
                return DnsListCheck(
                    ground,
                    [Zone(_zone(each), dns, self.timers) for each in check.lists],
                    dns,
                    self.timers,
                    thresholds=Thresholds(
                        check.reject_at, check.defer_at, check.quarantine_at, check.tag_at
                    ),
                    stages=at(check.stage or check.earliest),
                    list_timeout_s=check.list_timeout_s,
                    timeout_s=check.timeout_s,
                )


def _zone(zone: settings.DnsZone) -> ZoneSettings:
    answers = tuple(ipaddress.IPv4Network(answer) for answer in zone.answers)
    return ZoneSettings(zone.zone, zone.of, zone.weight, answers)
