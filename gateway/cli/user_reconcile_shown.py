"""The report of ``gateway user reconcile`` as the administrator reads it. Owns the form only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.cli.plain import plain
from gateway.cli.progress import mebibytes, table
from gateway.cli.trace import moment

Row = Mapping[str, Any]


def named(row: Row) -> str:
    """A person who may be gone."""
    return row["login"] or row["address"] or f"id:{row['id']}"


def report(told: Row) -> Iterator[str]:
    """All of it; parts without anything in them are left out."""
    compared = told["compared"]
    yield f"{compared['looked_at']:,} people with mailboxes or notes were looked for"
    if compared["unfinished"]:
        yield plain(f"not everybody: {compared['unfinished']}")
    would = "would be noted" if told["dry_run"] else "noted"
    if compared["changes"]:
        yield f"{compared['changes']:,} changes {would}:"
        yield from (plain(f"  {each}") for each in compared["events"])
    yield from _held(told)
    away = told["away"]
    gone = [each for each in away if each["gone_since"]]
    disabled = [each for each in away if not each["gone_since"]]
    yield from _table("gone from the directory", "gone_since", gone)
    yield from _table("disabled", "disabled_since", disabled)
    yield from _moved(told["moved"])
    yield from _shared(told["pictures"])
    people = sum(each["people"] for each in told["pictures"])
    if people:
        without = max(0, people - compared["with_mailboxes"])
        yield f"\n{without:,} of {people:,} people in the directory have no mailbox yet"
    if not (away or told["moved"]):
        yield "nobody is gone or disabled, and nobody has moved lately"


def _held(told: Row) -> Iterator[str]:
    for name, what in told["accepted"].items():
        yield plain(f"accepted{f' in {name}' if name else ''}: {what}")
    if told["compared"]["held"]:
        yield plain(f"not believed without --accept: {told['compared']['held']}")
    for each in told["pictures"]:
        if each["stopped"] and each["name"] not in told["accepted"]:
            where = f" in {each['name']}" if each["name"] else ""
            yield plain(f"held back{where} until --accept: {each['stopped']}")


def _table(title: str, since: str, rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    yield f"\n{title}"
    cells = [
        (
            plain(named(each)),
            plain(each["address"]) or "-",
            moment(each[since])[:16],
            _size(each),
            f"id:{plain(each['id'])}",
        )
        for each in rows
    ]
    yield from (
        f"  {line}"
        for line in table(cells, ("login", "address", "since", "size", "id")).splitlines()
    )


def _size(row: Row) -> str:
    if row["removed_at"]:
        return f"deleted {moment(row['removed_at'])[:10]}"
    return "no mailbox" if row["octets"] is None else mebibytes(row["octets"])


def _moved(rows: Sequence[Row]) -> Iterator[str]:
    if rows:
        yield "\nformer addresses of the last 30 days"
        for each in rows:
            owner = each["login"] or f"id:{each['id']}"
            yield plain(f"  {each['address']}: {owner}, since {moment(each['since'])[:16]}")


def _shared(pictures: Sequence[Row]) -> Iterator[str]:
    shared = [(each["name"], one) for each in pictures for one in each["shared"]]
    if shared:
        yield "\nwhat several people have, so that it is nobody's"
        for _, one in shared:
            yield plain(f"  {one['what']} {one['key']}: {', '.join(one['owners'])}")
