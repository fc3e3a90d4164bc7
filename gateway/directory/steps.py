"""Steps by which an administrator finds out what a directory's server does and what is wrong.

Owns single looks, each of which ends in findings: reaching and binding, the base, which preset
fits, who is found and what can be made of them. Whoever calls them owns the order. They ask as the
gateway does, by the same code; a server that does not answer is a finding, never an exception.

Limits: SAMPLE entries are read and judged, COUNTED people counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from gateway.core.account import Account
from gateway.core.errors import DirectoryMistake
from gateway.core.findings import Finding, Findings
from gateway.core.log_text import escaped
from gateway.core.settings.directory import DirectorySettings
from gateway.directory.entries import Entry, account_from, addresses_from
from gateway.directory.ldap.asking import Asks, LdapFailed, Listening, Server
from gateway.directory.ldap.results import NO_SUCH_ENTRY, SIZE_LIMIT_EXCEEDED, SUCCESS
from gateway.directory.presets.table import KINDS
from gateway.directory.recognition import Recognised, recognise
from gateway.directory.schema import Schema
from gateway.wire.ldap.controls import PAGED_RESULTS, page_of, paged
from gateway.wire.ldap.filters import Filter, Present
from gateway.wire.ldap.messages import Control, Scope, SearchEntry, SearchRequest

SAMPLE = 500
COUNTED = 50_000
PAGE = 1000
_TOLD = 3
_ANY = Present("objectClass")

_ADVICE = (
    # By what stands in a reason; the first that does.
    ("service account was refused", "look at directory.bind_dn and its password in {file}"),
    ("not tried again yet", "look at directory.bind_dn and its password in {file}"),
    ("certificate", "look at directory.ca_file and directory.tls_server_name"),
    ("TLS", "does the server speak TLS on this port? see directory.uri and directory.start_tls"),
    ("connecting", "is the server up, and does every firewall let this host through?"),
    ("DNS", "look at directory.domain, directory.site and the name servers of this host"),
)


@dataclass(slots=True)
class People:
    """What became of those that were found.

    Args:
        several: more people than were read.
        usable: accounts of those that can be used.
        unusable: why not, with how many.
        example: an entry for each reason.
    """

    several: bool = False
    usable: list[Account] = field(default_factory=list)
    unusable: Counter[str] = field(default_factory=Counter)
    example: dict[str, str] = field(default_factory=dict)


async def reached(
    asks: Asks, settings: DirectorySettings, findings: Findings, name: str
) -> tuple[Listening | None, Finding]:
    """Whether a server can be reached, proves itself, and takes the service account.

    Args:
        asks: that server, or all.
        name: of it, for where it does not even say its own.
    """
    try:
        listening = await asks.listening()
    except LdapFailed as failed:
        return None, findings.failed(_named(failed.reason, name), _advice(failed.reason, settings))
    server = listening.server
    found = f"{server.name}: bound {server.bound}, {server.protection}"
    return listening, findings.ok(found)


async def base_found(
    listening: Listening, settings: DirectorySettings, findings: Findings
) -> Finding:
    """Whether the entry is there below which people are searched."""
    base, server = settings.base_dn, listening.server
    try:
        found = await listening.search(SearchRequest(base, Scope.BASE, _ANY, ("1.1",)))
    except LdapFailed as failed:
        return findings.failed(failed.reason, "ask again; if it stays so, look at the server's log")
    code = found.result.code
    if code == SUCCESS and found.entries:
        return findings.ok(f"{server.name}: {escaped(base)} found")
    contexts = ", ".join(map(escaped, server.values("namingContexts")[:5]))
    there = f"it has {contexts}" if contexts else "it does not show what it has"
    if code in (SUCCESS, *NO_SUCH_ENTRY):
        return findings.failed(
            f"{server.name}: base_dn {escaped(base)} is not there, or"
            f" {_who(settings)} may not read it; {there}",
            "set directory.base_dn to an entry above all people that the service account can read",
        )
    diagnostic = escaped(found.result.diagnostic, 200)
    return findings.failed(
        f"{server.name}: base_dn {escaped(base)} cannot be read: result code {code}: {diagnostic}",
        "let the service account read it" if code == 50 else "look at the server's log",
    )


def preset_fits(server: Server, preset: str, findings: Findings) -> Finding:
    """Whether the preset of the settings is that of such a server."""
    fitting = recognise(server.root)
    if not fitting:
        return findings.ok(
            f"{server.name}: its root DSE does not tell of what kind it is; preset {preset}"
        )
    best = fitting[0]
    chosen = next((each for each in fitting if each.preset == preset), None)
    if chosen is not None or preset == "custom":
        return findings.ok(f"{server.name}: {KINDS[best.preset]}, as {best.why}; preset {preset}")
    if best.preset == "custom":
        return findings.ok(f"{server.name}: {best.why}; preset {preset}")
    return findings.warning(
        f"{server.name}: {KINDS[best.preset]}, as {best.why}; preset {preset} is another's",
        _set_preset(best),
    )


def _set_preset(best: Recognised) -> str:
    return f'set directory.preset = "{best.preset}"; "custom" if this is meant to be so'


async def counted(listening: Listening, base_dn: str, wanted: Filter) -> tuple[int, bool]:
    """How many match, as far as they can be counted, and whether there are more.

    Raises: LdapFailed.
    """
    count = 0

    def heard(entry: SearchEntry, controls: Sequence[Control]) -> None:
        nonlocal count
        count += 1

    request = SearchRequest(base_dn, Scope.SUBTREE, wanted, ("1.1",))
    if not listening.server.supports(PAGED_RESULTS):
        found = await listening.search(request, heard=heard)
        return count, found.result.code == SIZE_LIMIT_EXCEEDED
    cookie = b""
    while count < COUNTED:
        found = await listening.search(request, (paged(PAGE, cookie),), heard=heard)
        page = page_of(found.controls)
        if found.result.code == SIZE_LIMIT_EXCEEDED:
            return count, True
        if found.result.code != SUCCESS:
            raise LdapFailed(f"result code {found.result.code}: {escaped(found.result.diagnostic)}")
        cookie = page.cookie if page is not None else b""
        if not cookie:
            return count, False
    return count, True


async def people_in(listening: Listening, base_dn: str, schema: Schema) -> People:
    """The first people that are found, as the gateway sees them.

    Raises: LdapFailed.
    """
    request = SearchRequest(base_dn, Scope.SUBTREE, schema.person, schema.requested, most=SAMPLE)
    people = People()
    read = 0

    def heard(entry: SearchEntry, controls: Sequence[Control]) -> None:
        nonlocal read
        read += 1
        if read > SAMPLE:  # some servers take no notice of the limit
            people.several = True
            return
        try:
            people.usable.append(account_from(Entry(entry.dn, entry.attributes), schema))
        except DirectoryMistake as mistake:
            reason = str(mistake.fields.get("reason"))
            people.unusable[reason] += 1
            people.example.setdefault(reason, entry.dn)

    found = await listening.search(request, heard=heard)
    if found.result.code not in (SUCCESS, SIZE_LIMIT_EXCEEDED):
        raise LdapFailed(f"result code {found.result.code}: {escaped(found.result.diagnostic)}")
    people.several |= found.result.code == SIZE_LIMIT_EXCEEDED
    return people


def people_usable(
    people: People, schema: Schema, own_domains: Collection[str], findings: Findings, name: str
) -> list[Finding]:
    """What is to be said of them.

    Args:
        name: of the server.
    """
    read = len(people.usable) + people.unusable.total()
    if not read:
        return [
            findings.failed(
                f"{name}: nobody is found by {schema.person}",
                "look at directory.preset, directory.person_filter and directory.base_dn, and"
                " whether the service account may read people",
            )
        ]
    told: list[Finding] = []
    for reason, count in people.unusable.most_common(_TOLD):
        example = escaped(people.example[reason])
        text = f"{name}: {count} of {read} people cannot be used: {reason}, such as {example}"
        advice = "let the service account read these attributes, or name others in the settings"
        all_of_them = count == read
        told.append((findings.failed if all_of_them else findings.warning)(text, advice))
    if not people.usable:
        return told
    ours = [each for each in people.usable if _is_ours(each, own_domains)]
    disabled = sum(not each.enabled for each in people.usable)
    locked = sum(each.locked for each in people.usable)
    text = (
        f"{name}: of {'the first ' if people.several else ''}{read} people {len(ours)} have an"
        f" address in a domain of ours, {disabled} are disabled, {locked} may not log in for now"
    )
    if ours:
        return [*told, findings.ok(text)]
    advice = "look at directory.address_attributes and at [domains]: nobody would get mail"
    return [*told, findings.warning(text, advice)]


def shared_addresses(people: People, findings: Findings, name: str) -> list[Finding]:
    """Addresses that several have, and that therefore reach nobody (SECURITY L5)."""
    owners = Counter(address for each in people.usable for address in set(each.addresses))
    shared = sorted(address for address, count in owners.items() if count > 1)
    if not shared:
        return []
    text = f"{name}: addresses of several people, which reach nobody ({len(shared)}): "
    listed = ", ".join(map(escaped, shared[:_TOLD]))
    more = "" if len(shared) <= _TOLD else ", …"
    return [findings.warning(f"{text}{listed}{more}", "give each address to one person")]


async def groups_usable(
    listening: Listening, base_dn: str, schema: Schema, findings: Findings
) -> list[Finding]:
    """How many groups there are, and how many have an address. Raises: LdapFailed."""
    if schema.group is None:
        return []
    addressed = total = 0

    def heard(entry: SearchEntry, controls: Sequence[Control]) -> None:
        nonlocal addressed, total
        if total == SAMPLE:
            return
        total += 1
        addressed += bool(addresses_from(Entry(entry.dn, entry.attributes), schema))

    names = (*schema.address_attributes, *schema.prefixed_address_attributes)
    request = SearchRequest(base_dn, Scope.SUBTREE, schema.group, names, most=SAMPLE)
    found = await listening.search(request, heard=heard)
    more = found.result.code == SIZE_LIMIT_EXCEEDED or total == SAMPLE
    first = "the first " if more else ""
    name = listening.server.name
    return [findings.ok(f"{name}: of {first}{total} groups {addressed} have a mail address")]


def netbios_fits(
    names: Sequence[str], settings: DirectorySettings, findings: Findings, name: str
) -> Finding:
    """Whether DOMAIN of ``DOMAIN\\user`` is known.

    Args:
        names: of the domain, as it tells them.
        name: of the server.
    """
    own = settings.netbios_domain
    if own and names and own.casefold() not in names:
        return findings.failed(
            f"{name}: directory.netbios_domain is {escaped(own)}, and the domain is called"
            f" {' or '.join(map(escaped, names))}",
            f'set directory.netbios_domain = "{escaped(names[0].upper())}", or leave it out',
        )
    if names or own:
        known = own.upper() or names[0].upper()
        return findings.ok(f"{name}: people may log in as {escaped(known)}\\user")
    return findings.warning(
        f"{name}: the NetBIOS name of the domain cannot be read",
        "set directory.netbios_domain, or nobody logs in as DOMAIN\\user",
    )


def _is_ours(account: Account, own_domains: Collection[str]) -> bool:
    return any(address.rpartition("@")[2] in own_domains for address in account.addresses)


def _named(reason: str, name: str) -> str:
    return reason if name in reason else f"{name}: {reason}"


def _who(settings: DirectorySettings) -> str:
    return escaped(settings.bind_dn) if settings.bind_dn else "nobody without a password"


def _advice(reason: str, settings: DirectorySettings) -> str:
    file = settings.bind_password_file or "directory.bind_password"
    for mark, advice in _ADVICE:
        if mark in reason:
            return advice.format(file=escaped(file))
    return "look at the server's log"
