"""What the gateway makes of a person's entry, and which attribute gave what.

Owns the lines about it: login, id, addresses, name, quota, where mail goes. What an entry comes to
is ``entries``' affair, which is asked here value by value. Values that are not used are told with
why; other attributes never.

Limits: MOST_ADDRESSES and MOST_IGNORED lines.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from gateway.core.account import Account
from gateway.core.errors import DirectoryMistake
from gateway.core.log_text import escaped, shown
from gateway.directory.doctor.step import Look, Step, shortened
from gateway.directory.entries import (
    MAX_ADDRESS_OCTETS,
    MAX_ADDRESSES,
    Entry,
    account_from,
    addresses_from,
    links_of,
)
from gateway.directory.schema import Schema

MOST_ADDRESSES = 20
MOST_IGNORED = 10


def mapped(
    entry: Entry,
    schema: Schema,
    linked: Mapping[str, Entry],
    own_domains: Collection[str],
    look: Look,
) -> tuple[Account | None, Step]:
    """Args:
    linked: see ``account_from``.
    own_domains: whose mail comes here.
    """
    try:
        account = account_from(entry, schema, linked)
    except DirectoryMistake as mistake:
        reason = escaped(mistake.fields.get("reason", ""))
        return None, look.failed(
            f"the entry cannot be used: {reason}",
            "let the service account read this attribute, or name another one in the settings"
            " (directory.id_attribute, directory.login_attributes)",
        )
    used, ignored = _addresses(entry, schema, account)
    lines = [
        f"login {escaped(account.login)}, from {_first(entry, schema.login_attributes)}",
        f"id {escaped(account.account_id)}, from {schema.id_attribute}",
        *shortened(used, MOST_ADDRESSES),
        *shortened(ignored, MOST_IGNORED),
        f"name {escaped(account.display_name)}, from {_first(entry, schema.display_attributes)}"
        if account.display_name
        else "name: none",
        _quota(entry, schema, account),
        *_elsewhere(entry, schema, account),
    ]
    facts = {
        "login": account.login,
        "id": account.account_id,
        "addresses": list(account.addresses),
        "name": account.display_name,
    }
    text = f"{escaped(account.login)}, {account.primary_address or 'without any address'}"
    problems = list(_problems(account, schema, own_domains))
    if not problems:
        return account, look.ok(text, lines, **facts)
    found, advice = problems[0]
    return account, look.warning(f"{text}: {found}", advice, lines, **facts)


def _problems(
    account: Account, schema: Schema, own_domains: Collection[str]
) -> Iterator[tuple[str, str]]:
    names = ", ".join((*schema.address_attributes, *schema.prefixed_address_attributes))
    if account.elsewhere is not None and account.elsewhere.trouble:
        yield account.elsewhere.trouble, "mend the entry; until then mail for this person waits"
    if not account.addresses:
        yield (
            "no mail comes to this person",
            f"give the entry an address in {names}, or name the right attribute in"
            " directory.address_attributes",
        )
    elif not any(each.rpartition("@")[2] in own_domains for each in account.addresses):
        yield (
            "no address in a domain of ours",
            "look at [domains] in the configuration, and at the addresses",
        )
    if account.allowance.unreadable:
        yield (
            f"the quota {escaped(account.allowance.unreadable, 100)} is not understood",
            f"write a number of octets, or such as 5G, into {', '.join(schema.quota_attributes)}",
        )


def _addresses(entry: Entry, schema: Schema, account: Account) -> tuple[list[str], list[str]]:
    """Lines about those that are used, the primary one first, and about values that are not."""
    whence: dict[str, list[str]] = {}
    ignored: list[str] = []
    prefixed = {name.lower() for name in schema.prefixed_address_attributes}
    for name in (*schema.prefixed_address_attributes, *schema.address_attributes):
        for octets in entry.attributes.get(name.lower(), ()):
            alone = addresses_from(Entry(entry.dn, {name.lower(): (octets,)}), schema)
            for address in alone:
                whence.setdefault(address, []).append(name)
            if not alone:
                why = _why_not(octets, name.lower() in prefixed)
                ignored.append(f"not used: {shown(octets)} of {name}: {why}")
    used = []
    for number, address in enumerate(account.addresses):
        kind = "primary address" if number == 0 else "address"
        names = ", ".join(dict.fromkeys(whence.get(address, ["?"])))
        used.append(f"{kind} {escaped(address)}, from {names}")
    if len(whence) > len(account.addresses):
        ignored.append(f"not used: all addresses after the first {MAX_ADDRESSES}")
    return used, ignored


def _why_not(octets: bytes, prefixed: bool) -> str:
    head, colon, _ = octets.partition(b":")
    if prefixed and head.lower() != b"smtp":
        kind = f"of the kind {shown(head, 20)}" if colon else "without smtp: before it"
        return f"{kind}, which is no mail address"
    return "too long" if len(octets) > MAX_ADDRESS_OCTETS else "no mail address"


def _quota(entry: Entry, schema: Schema, account: Account) -> str:
    allowance = account.allowance
    name = _first(entry, schema.quota_attributes)
    if allowance.unreadable:
        return f"quota: not understood, from {name}"
    told = [f"{allowance.octets:,} octets"] if allowance.octets else []
    told += [f"{allowance.messages:,} messages"] if allowance.messages else []
    return f"quota {', '.join(told)}, from {name}" if told else "quota: the settings' own"


def _elsewhere(entry: Entry, schema: Schema, account: Account) -> Iterator[str]:
    elsewhere = account.elsewhere
    if elsewhere is None:
        yield "mail: to the mailbox here, or where its domain's goes"
        return
    if elsewhere.trouble:
        yield f"mail: waits, {escaped(elsewhere.trouble)}"
        return
    if elsewhere.next_hop:
        yield (
            f"mail: to {escaped(elsewhere.next_hop)}, from"
            f" {_first(entry, schema.next_hop_attributes)}"
        )
    if elsewhere.address is not None:
        yield (
            f"mail: to the address {escaped(elsewhere.address)}, from"
            f" {_first(entry, schema.routing_address_attributes)}"
        )
    if elsewhere.forwards:
        names = (*schema.forwarding_attributes, *schema.forwarding_link_attributes)
        copies = ", ".join(shortened([escaped(each) for each in elsewhere.forwards], 5))
        keeps = "and kept here" if elsewhere.keeps_copy else "and not kept here"
        links = len(links_of(entry, schema))
        yield f"mail: forwarded to {copies} {keeps}, from {_first(entry, names)}" + (
            f" ({links} entries)" if links else ""
        )


def _first(entry: Entry, names: Sequence[str]) -> str:
    """The first of these attributes that the entry has."""
    return next((name for name in names if entry.attributes.get(name.lower())), "nowhere")
