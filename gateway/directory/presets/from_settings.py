"""A directory's schema as the settings have it: the preset's row with single fields replaced.

Owns what each setting changes, and what is expected of it. Never reads files and never talks to a
server, so that a configuration can be checked with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from gateway.core.errors import SettingsError, SettingsProblem
from gateway.core.settings.directory import DirectorySettings
from gateway.core.settings.explain import show
from gateway.core.settings.model import Settings, each_directory
from gateway.directory.presets.table import PRESETS
from gateway.directory.schema import Schema
from gateway.directory.states import DaysOver, Effect, LongAgo, Passed, StateRule
from gateway.directory.templates import dn_template, filter_template
from gateway.directory.times import DAY_S, TimeForm
from gateway.wire.ldap.filters import Filter, FilterSyntax, check_evaluable, parse

NONE = "-"
"""In the place of attributes or a filter: none, where the preset has some."""

_EXPECTED = {
    "login_attributes": 'names of attributes such as ["uid"]',
    "login_filter": 'a filter such as "(&(mail={login})(mailEnabled=TRUE))"',
    "login_dn": 'a DN such as "uid={login},ou=people,dc=example,dc=com"',
    "address_attributes": 'names of attributes such as ["mail"]',
    "prefixed_address_attributes": 'names of attributes such as ["proxyAddresses"]',
    "display_attributes": 'names of attributes such as ["displayName"]',
    "quota_attributes": 'names of attributes such as ["mailQuota"]',
    "next_hop_attributes": 'names of attributes such as ["mailHost"]',
    "routing_address_attributes": 'names of attributes such as ["mailRoutingAddress"]',
    "forwarding_attributes": 'names of attributes such as ["mailForwardingAddress"]',
    "forwarding_link_attributes": 'names of attributes such as ["altRecipient"]',
    "disabled_filter": 'a filter as in RFC 4515 such as "(employeeType=left)"',
    "locked_filter": 'a filter as in RFC 4515 such as "(mailAccess=off)"',
    "last_login_attribute": 'the name of an attribute such as "lastLoginTime"',
    "id_attribute": 'the name of an attribute such as "entryUUID"',
    "secret_attribute": 'the name of an attribute such as "authPassword"',
    "certificate_attribute": 'the name of an attribute such as "mailCertificateName"',
    "member_of_attributes": 'names of attributes such as ["memberOf"]',
    "group_member_attributes": 'names of attributes such as ["member"]',
    "person_filter": 'a filter as in RFC 4515 such as "(objectClass=person)"',
    "group_leave_out_filter": 'a filter as in RFC 4515 such as "(employeeType=left)"',
    "group_filter": 'a filter as in RFC 4515 such as "(objectClass=groupOfNames)"',
}
_FIELDS = {
    "person_filter": "person",
    "group_filter": "group",
    "group_member_attributes": "member_attributes",
}
"""What a setting is called in ``Schema``, where that differs."""
_NEEDED = frozenset(("person_filter", "id_attribute", "login_attributes"))
_DC = re.compile(r"\s*dc\s*=\s*([^,]+?)\s*\Z", re.IGNORECASE)


def schema_from(
    settings: DirectorySettings, origins: Mapping[str, str], key: str = "directory"
) -> Schema:
    """The schema in force.

    Args:
        origins: where each setting came from, for error lines.
        key: of the section in the configuration.

    Raises:
        SettingsError: with every setting that is no attribute name or no filter.
    """
    schema = PRESETS[settings.preset]
    problems: list[SettingsProblem] = []
    for name, expected in _EXPECTED.items():
        value: Any = getattr(settings, name)
        if not value:
            continue
        try:
            schema = _changed(schema, name, value)
        except FilterSyntax as error:
            found = f"{show(value)} ({error})"
            source = origins.get(f"{key}.{name}", "configuration")
            problems.append(SettingsProblem(source, f"{key}.{name}", found, expected))
    if problems:
        raise SettingsError(problems)
    return _with_switches(schema, settings)


def check_schemas(settings: Settings, origins: Mapping[str, str]) -> None:
    """Raises: SettingsError, with the mistakes in all directories."""
    problems: list[SettingsProblem] = []
    for name, section in each_directory(settings):
        key = f'directories."{name}"' if name else "directory"
        try:
            schema_from(section, origins, key)
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(problems)


def _changed(schema: Schema, name: str, value: Any) -> Schema:
    """Raises: FilterSyntax."""
    if value in (NONE, (NONE,)) and name not in _NEEDED:
        value = () if name.endswith("_attributes") else ""
    match name:
        case "login_filter":
            return replace(schema, login_filter=filter_template(value))
        case "login_dn":
            return replace(schema, login_dn=dn_template(value))
        case "disabled_filter" | "locked_filter":
            effect = Effect.DISABLED if name == "disabled_filter" else Effect.LOCKED
            others = tuple(rule for rule in schema.states if rule.effect is not effect)
            own = (StateRule(effect, _evaluable(value), f"by directory.{name}"),) if value else ()
            return replace(schema, states=(*others, *own))
        case "last_login_attribute":
            form = schema.last_login[1] if schema.last_login else TimeForm.GENERALISED
            return replace(schema, last_login=(value, form) if value else None)
        case "group_leave_out_filter":
            return _with_words(schema, left_out=_evaluable(value) if value else None)
        case "id_attribute":
            # Active Directory's ids are octets; another attribute there is most likely text.
            same = value.lower() == schema.id_attribute.lower()
            octets = schema.id_is_octets if same else value.lower() == "objectguid"
            return replace(schema, id_attribute=value, id_is_octets=octets)
        case _ if name.endswith("_filter"):
            change: Any = parse(value) if value else None
            return replace(schema, **{_FIELDS.get(name, name): change})
        case _:
            return replace(schema, **{_FIELDS.get(name, name): value})


def _evaluable(text: str) -> Filter:
    """Of entries that are here already; one that never holds would let pass whom it is to stop."""
    wanted = parse(text)
    check_evaluable(wanted)
    return wanted


def _with_switches(schema: Schema, settings: DirectorySettings) -> Schema:
    if settings.group_leave_out_disabled:
        schema = _with_words(schema, leaves_out_disabled=True)
    more: list[StateRule] = []
    if settings.shadow_expiry:
        more += SHADOW
    if settings.inactive_days and schema.last_login is not None:
        name, form = schema.last_login
        words = f"no login for {settings.inactive_days} days ({name})"
        test = LongAgo(name, form, settings.inactive_days * DAY_S)
        more.append(StateRule(Effect.LOCKED, test, words))
    # Who says which attributes logins are in means these alone.
    says_more = settings.login_attributes or settings.login_filter or settings.login_dn
    by_address = {"yes": True, "no": False}.get(settings.login_by_address, not says_more)
    return replace(
        schema,
        states=(*schema.states, *more),
        logs_in_by_address=by_address,
        windows_domains=tuple(dict.fromkeys(_windows_domains(schema, settings))),
    )


SHADOW = (
    # shadow(5), RFC 2307 section 3
    StateRule(
        Effect.DISABLED,
        Passed("shadowExpire", TimeForm.DAYS),
        "the account has expired (shadowExpire)",
    ),
    StateRule(
        Effect.LOCKED,
        DaysOver("shadowLastChange", "shadowMax"),
        "the password has expired (shadowMax)",
    ),
)


def _windows_domains(schema: Schema, settings: DirectorySettings) -> Iterator[str]:
    if not schema.account_name_attribute:
        return
    if settings.netbios_domain:
        yield settings.netbios_domain.casefold()
    # The DNS name of a domain is in the DN of its root (MS-ADTS section 6.1.1.1.4, RFC 2247).
    labels = [_DC.match(part) for part in settings.base_dn.split(",")]
    name = ".".join(found[1] for found in labels if found is not None)
    if name:
        yield name.casefold()


def _with_words(schema: Schema, **changes: Any) -> Schema:
    return replace(schema, about_groups=replace(schema.about_groups, **changes))
