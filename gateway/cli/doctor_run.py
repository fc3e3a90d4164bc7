"""The doctor's round: which directories, each of them, the picture, what the gateway keeps, and
what it all comes to.

Owns the order and the command's own connections. The directories are asked from here, so it works
while the gateway is stopped; what only a running one knows is asked of it, and said to be missing
if none runs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from gateway.cli.doctor_kept import NOBODY_TOLD, KeptTold, gateway_told, kept_told
from gateway.cli.loop import Loop
from gateway.core.account import Account
from gateway.core.ids import AccountId
from gateway.core.log_text import escaped, shown
from gateway.core.settings.directory import DirectorySettings
from gateway.core.settings.load import Loaded
from gateway.core.settings.model import Settings, each_directory
from gateway.core.settings.paths import directory_picture
from gateway.delivery.dns.services import ServicesByDns, make_resolver
from gateway.directory.doctor.by_file import InFile
from gateway.directory.doctor.by_ldap import AtServers
from gateway.directory.doctor.person import Asked, Learnt
from gateway.directory.doctor.pictured import last_seen, picture_told
from gateway.directory.doctor.step import Look, Step, Tell, skipped
from gateway.directory.doctor.verdict import Conclusion, conclude
from gateway.directory.picture.briefs import Depiction
from gateway.directory.presets.from_settings import check_schemas, schema_from
from gateway.directory.several import marked_id
from gateway.store.picture.file import PictureFile
from gateway.wire.address import AddressSyntax, parse_mailbox

FIRST = "directory"
"""What the directory that has no name is called."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says."""

    login: str
    only: str | None = None
    protocol: str = ""
    ip: str = ""
    password: bytes | None = field(default=None, repr=False)


@dataclass(slots=True)
class Examination:
    """What was found.

    Args:
        roots: what each server shows of itself.
        status: of the running gateway; None: none answered.
    """

    login: str
    steps: list[Step] = field(default_factory=list)
    conclusions: Sequence[Conclusion] = ()
    learnt: Learnt | None = None
    roots: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    status: Mapping[str, Any] | None = None

    @property
    def would_log_in(self) -> bool:
        return bool(self.conclusions) and all(each.would for each in self.conclusions)

    def as_json(self) -> dict[str, object]:
        directory = self.learnt.directory or FIRST if self.learnt is not None else None
        return {
            "login": self.login,
            "version": metadata.version("mail-gateway"),
            "at": int(time.time()),
            "directory": directory,
            "would_log_in": self.would_log_in,
            "conclusions": [each.as_json() for each in self.conclusions],
            "steps": [each.as_json() for each in self.steps],
        }


def directories_named(loaded: Loaded, only: str | None) -> None:
    """Whether the settings can be used, and the directory is there.

    Raises: SettingsError, click.UsageError.
    """
    check_schemas(loaded.settings, loaded.origins)
    names = [name or FIRST for name, _ in each_directory(loaded.settings)]
    if only is not None and only not in names:
        raise click.UsageError(f"--directory {only}: there is {', '.join(names)}")


def examine(loaded: Loaded, wanted: Wanted, config_path: str | None, tell: Tell) -> Examination:
    """Raises: GatewayError."""
    found = Examination(wanted.login)

    def told(step: Step) -> None:
        found.steps.append(step)
        tell(step)

    settings = loaded.settings
    chosen = _chosen(settings, wanted, told)
    loop = Loop()
    try:
        learnt = _ask_all(chosen, settings, wanted, found, loop, told)
        seen = _picture(settings, learnt, wanted.login, loop, told)
    finally:
        loop.close()
    found.learnt = learnt
    found.status = gateway_told(settings, learnt.directory, told)
    account = learnt.account or seen
    kept: KeptTold = NOBODY_TOLD
    if account is not None:
        account_id = marked_id(AccountId(account.account_id), learnt.directory)
        kept = kept_told(config_path, account_id, wanted.login, wanted.ip, learnt.state, told)
    else:
        told(skipped("kept", "", "nobody is known of whom the gateway could keep anything"))
    # In an outage nobody is let in whom the picture has as disabled.
    serves = kept.outage_serves and seen is not None and seen.enabled and not seen.locked
    found.conclusions = conclude(
        learnt, settings, kept.kept(serves), protocol=wanted.protocol, ip=wanted.ip
    )
    return found


# -- which directories


def _chosen(settings: Settings, wanted: Wanted, tell: Tell) -> list[tuple[str, DirectorySettings]]:
    """Those that may have the login, in the order in which they are asked."""
    look = Look("directory", "", time.monotonic)
    every = list(each_directory(settings))
    if wanted.only is not None:
        chosen = [each for each in every if (each[0] or FIRST) == wanted.only]
        why = "as the command line says"
    else:
        chosen, why = _for_login(every, wanted.login)
    names = [name or FIRST for name, _ in chosen]
    if not chosen:
        advice = "name the domain in domains of a directory, or take domains away from one"
        tell(look.failed(why, advice))
    elif len(every) == 1:
        tell(look.ok(_called(chosen[0][1]), directories=names))
    else:
        tell(look.ok(f"{', then '.join(names)}: {why}", directories=names))
    return chosen


def _for_login(
    every: Sequence[tuple[str, DirectorySettings]], login: str
) -> tuple[list[tuple[str, DirectorySettings]], str]:
    """As ``several`` chooses."""
    try:
        domain = parse_mailbox(login).domain.lower()
    except AddressSyntax:
        return list(every), "a bare name may be anybody's; the first that has it counts"
    named = [each for each in every if domain in each[1].domains]
    if named:
        return named, f"as domains says of {escaped(domain, 100)}"
    return list(every), f"no directory names {escaped(domain, 100)}; the first that has it counts"


def _called(section: DirectorySettings) -> str:
    if section.kind == "ldif":
        return f"the file {section.path}"
    servers = [*section.uri]
    if section.domain:
        servers.append(f"the servers of {section.domain}")
    return ", ".join(servers)


# -- each of them


def _ask_all(
    chosen: Sequence[tuple[str, DirectorySettings]],
    settings: Settings,
    wanted: Wanted,
    found: Examination,
    loop: Loop,
    tell: Tell,
) -> Learnt:
    """The first that knows the login or cannot be asked ends it, as at logins."""
    own_domains = frozenset(
        each for domain, of in settings.domains.items() for each in (domain, *of.aliases)
    )
    asked = Asked(wanted.login, own_domains, wanted.password)
    learnt = Learnt("", answered=True, why_not="no directory may have this login")
    for index, (name, section) in enumerate(chosen):
        if len(chosen) > 1:
            tell(Look("directory", name or FIRST, time.monotonic).ok(_called(section)))
        schema = schema_from(section, {})
        if section.kind == "ldif":
            in_file = InFile(name, section, schema, reactor=loop.reactor, tell=tell)
            learnt = loop.run(in_file.ask(asked))
        else:
            finds = ServicesByDns(make_resolver(settings.outbound, loop.reactor))
            at_servers = AtServers(
                name,
                section,
                schema,
                reactor=loop.reactor,
                wall_clock=time.time,
                finds=finds,
                tell=tell,
            )
            learnt = loop.run(at_servers.ask(asked))
            found.roots.update(at_servers.roots)
        if learnt.known or not learnt.answered:
            rest = [other or FIRST for other, _ in chosen[index + 1 :]]
            if rest:
                why = "has the login" if learnt.known else "cannot be asked"
                text = f"not asked, as {name or FIRST} comes first and {why}"
                tell(skipped("directory", ", ".join(rest), text))
            break
    return learnt


# -- the picture


def _picture(
    settings: Settings, learnt: Learnt, login: str, loop: Loop, tell: Tell
) -> Account | None:
    """Who the picture has; None: nobody, or there is none."""
    section = dict(each_directory(settings))[learnt.directory]
    if section.kind != "ldap" or not section.picture:
        tell(skipped("picture", "", "the settings keep none of this directory"))
        return None
    path = directory_picture(Path(settings.state_dir))
    if not path.exists():
        tell(skipped("picture", "", f"there is none yet in {path}", "start the gateway once"))
        return None
    schema = schema_from(section, {})
    picture = PictureFile.open_reading(path)
    try:
        look = Look("picture", "", time.monotonic)
        account = learnt.account
        account_id = account.account_id if account is not None else None
        if account_id is None and not learnt.answered:
            seen = last_seen(picture, learnt.directory, schema, login, loop.reactor, time.time)
            account_id = seen.account_id if seen is not None else None
        if account_id is None:
            tell(skipped("picture", "", f"nobody to look for by the login {shown(login)}"))
            return None
        depicts = Depiction(learnt.directory, schema)
        seen, step = picture_told(
            picture,
            learnt.directory,
            depicts,
            account_id,
            account,
            time.time(),
            section.refresh_s,
            look,
        )
        tell(step)
        return seen
    finally:
        picture.close()
