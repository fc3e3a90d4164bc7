"""People and their app passwords as the administrator reads them.

Owns the form only. What comes from the directory or a label is shown without what a terminal would
obey.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.cli.plain import plain
from gateway.cli.progress import mebibytes, table
from gateway.cli.queue_shown import cut
from gateway.cli.trace import moment

LOGIN_WIDTH, ADDRESS_WIDTH, LABEL_WIDTH, WHY_WIDTH = 24, 36, 28, 40
_HEADINGS = ("login", "address", "state", "size", "last login")
# Wide enough for most, so that the columns of several pages stand below each other.
_FRAME = ("x" * LOGIN_WIDTH, "x" * ADDRESS_WIDTH, "enabled", "100,000.0 MiB", "2026-01-01 00:00:00")

_DELIVERED = {
    "mailbox": "goes into the mailbox",
    "members": "goes to the members, and not into the mailbox",
    "both": "goes into the mailbox and to the members",
}

Row = Mapping[str, Any]


def listing(people: Sequence[Row], *, headings: bool) -> str:
    """A page; long ones of several pages keep their columns."""
    lines = table([_FRAME, *map(_cells, people)], _HEADINGS).splitlines()
    return "\n".join([lines[0], *lines[2:]] if headings else lines[2:])


def _cells(row: Row) -> tuple[str, ...]:
    size = mebibytes(row["octets"]) if row["octets"] is not None else "-"
    last = moment(row["last_login_at"])[:19] if row["last_login_at"] else "-"
    state = row["state"] + (f": {row['condition']}" if row["condition"] else "")
    return (
        cut(plain(row["login"]), LOGIN_WIDTH),
        cut(plain(row["address"]) or "-", ADDRESS_WIDTH),
        cut(plain(state), WHY_WIDTH),
        size,
        last,
    )


def app_passwords(rows: Sequence[Row]) -> str:
    """A table."""
    headings = ("number", "label", "begins", "for", "from", "made", "by", "last used", "expires")
    return table([_app_password(row) for row in rows], headings)


def _app_password(row: Row) -> tuple[object, ...]:
    used = "never"
    if row["used_at"]:
        used = f"{_day(row['used_at'])} {row['used_protocol']} from {row['used_from']}"
    end = _day(row["expires_at"]) if row["expires_at"] else "never"
    return (
        str(row["number"]),
        cut(plain(row["label"]), LABEL_WIDTH),
        f"{row['begins_with']}…",
        ",".join(row["protocols"]) or "all",
        ",".join(row["networks"]) or "anywhere",
        _day(row["made_at"]),
        plain(row["made_by"]),
        used,
        f"{end} (over)" if row["expired"] else end,
    )


def _day(at: float) -> str:
    return moment(at)[:16]


def details(person: Row) -> Iterator[str]:
    """All about one."""
    state = person["state"] + (f": {person['condition']}" if person["condition"] else "")
    yield plain(f"login       {person['login'] or '-'}")
    yield plain(f"id          {person['id']}")
    noted = person.get("noted") or {}
    if not person["login"] and noted.get("login"):
        yield plain(f"            once {noted['login']}, {noted['address'] or 'no address'}")
    if person["name"]:
        yield plain(f"name        {person['name']}")
    yield plain(f"state       {state}")
    if person.get("known_from"):
        yield plain(f"known from  {person['known_from']}")
    for title, key in (("disabled", "disabled_since"), ("gone", "gone_since")):
        if noted.get(key):
            yield f"{title:11} since {moment(noted[key])}"
    if noted.get("removed_at"):
        yield f"mailboxes   removed {moment(noted['removed_at'])}"
    yield plain(f"size        {_size(person)}")
    if person["quota"]["unreadable"]:
        yield plain(
            f"            the directory's quota is not usable: {person['quota']['unreadable']}"
        )
    shared = person.get("shared")
    if shared is not None:
        yield plain(f"opened as   {shared['name']}, by {shared['members']:,} members")
        yield plain(f"rights      {', '.join(f'{a}: {b}' for a, b in shared['rights'].items())}")
        yield plain(f"mail        {_DELIVERED[shared['deliver']]}")
    last = moment(person["last_login_at"]) if person["last_login_at"] else "none is known"
    yield f"last login  {last}"
    for title, lines in (
        ("addresses, and where their mail goes", _mail(person)),
        ("former addresses", _former(noted)),
        ("groups", _groups(person)),
        ("app passwords", _texts_of(person["app_passwords"])),
        ("refused lately", _refusals(person)),
    ):
        yield ""
        yield title
        for line in list(lines) or ["none"]:
            yield f"  {line}"


def _size(person: Row) -> str:
    if person["octets"] is None:
        return "no mailbox yet; it is made at the first login or message"
    told = f"{mebibytes(person['octets'])}, {person['messages']:,} messages"
    quota = person["quota"]
    bounds = [mebibytes(quota["octets"])] if quota["octets"] else []
    bounds += [f"{quota['messages']:,} messages"] if quota["messages"] else []
    return f"{told}; {quota['percent']} % of {' and '.join(bounds)}" if bounds else told


def _mail(person: Row) -> Iterator[str]:
    for way in person["mail_goes"]:
        to = "; ".join(way["to"]) or f"nowhere: {way['trouble']}"
        yield plain(f"{way['address']}: {to}")


def _former(noted: Row) -> Iterator[str]:
    for each in noted.get("former_addresses", ()):
        yield plain(f"{each['address']}: since {moment(each['since'])}")


def _groups(person: Row) -> Iterator[str]:
    for group in person["groups"]:
        yield plain(f"{group['address']}  {group['name']}")
    if person["groups_trouble"]:
        yield plain(f"not known: {person['groups_trouble']}")


def _texts_of(rows: Sequence[Row]) -> list[str]:
    return app_passwords(rows).splitlines() if rows else []


def _refusals(person: Row) -> Iterator[str]:
    for each in person["refusals"]:
        yield plain(
            f"{moment(each['at'])}  {each['protocol']} from {each['from']}: {each['reason']}"
        )
