"""One examination at servers, by what it told."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from gateway.core.findings import Outcome
from gateway.core.settings.directory import DirectorySettings
from gateway.directory.doctor.by_ldap import AtServers
from gateway.directory.doctor.person import Asked, Learnt
from gateway.directory.doctor.step import Step
from gateway.directory.presets.from_settings import schema_from
from tests.support.reactor_pump import ReactorPump
from tests.support.samba_ad import SambaAd
from tests.support.samba_people import BASE, PASSWORD
from tests.support.samba_people import READER_DN as SAMBA_READER
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd

DOMAINS = frozenset(("example.test",))


@dataclass
class Examined:
    steps: list[Step] = field(default_factory=list)
    learnt: Learnt = Learnt("", answered=False)  # noqa: RUF009 - a frozen value

    def of(self, name: str) -> list[Step]:
        return [each for each in self.steps if each.name == name]

    def one(self, name: str) -> Step:
        (step,) = self.of(name)
        return step

    @property
    def failed(self) -> list[str]:
        return [each.name for each in self.steps if each.outcome is Outcome.FAILED]

    @property
    def skipped(self) -> list[str]:
        return [each.name for each in self.steps if each.outcome is Outcome.SKIPPED]

    @property
    def text(self) -> str:
        lines: list[str] = []
        for each in self.steps:
            lines += [each.name, each.about, each.found, *each.more, each.advice, str(each.facts)]
        return "\n".join(lines)


def examined(
    pump: ReactorPump, section: DirectorySettings, login: str, password: bytes | None = None
) -> Examined:
    found = Examined()
    servers = AtServers(
        "",
        section,
        schema_from(section, {}),
        reactor=pump.reactor,
        wall_clock=time.time,
        finds=None,
        tell=found.steps.append,
    )
    found.learnt = pump.wait(servers.ask(Asked(login, DOMAINS, password)))
    return found


def of_slapd(slapd: Slapd, **changes: object) -> DirectorySettings:
    return DirectorySettings.model_validate(
        {
            "kind": "ldap",
            "uri": slapd.tls_uri,
            "base_dn": SUFFIX,
            "bind_dn": READER_DN,
            "bind_password": READER_PASSWORD,
            "ca_file": str(slapd.ca_file),
            **changes,
        }
    )


def of_samba(samba_ad: SambaAd) -> DirectorySettings:
    return DirectorySettings.model_validate(
        {
            "kind": "ldap",
            "preset": "ad",
            "uri": samba_ad.tls_uri,
            "base_dn": BASE,
            "bind_dn": SAMBA_READER,
            "bind_password": PASSWORD,
            "ca_file": str(samba_ad.ca_file),
        }
    )
