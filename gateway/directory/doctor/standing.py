"""How a person stands with the directory: account state, lock-out, groups, the password.

Owns these looks. At most one password is tried, once, and never if another failure would lock the
person (SECURITY L22); what becomes of it is told in words, itself never.

Limits: GROUPS_S for groups; MOST_GROUPS are told.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gateway.core.account import Account
from gateway.core.errors import GatewayError, WrongCredentials
from gateway.core.log_text import escaped
from gateway.core.login_reasons import LoginReason
from gateway.core.ports.may_ask import PasswordState
from gateway.directory.dn import dn_key
from gateway.directory.doctor.step import Look, Step, shortened, skipped
from gateway.directory.entries import Entry, account_id_from
from gateway.directory.groups.around import groups_around
from gateway.directory.groups.asking import Entries
from gateway.directory.groups.told import texts
from gateway.directory.ldap.asking import Asks, LdapFailed
from gateway.directory.ldap.lockout import Lockouts
from gateway.directory.ldap.patience import within
from gateway.directory.ldap.results import Verdict, judge
from gateway.directory.logins import check_offer
from gateway.directory.schema import Schema
from gateway.directory.states import state_of

GROUPS_S = 20.0
MOST_GROUPS = 20

_AGAINST = {
    LoginReason.WRONG_PASSWORD: "type it again; if it is right, was it changed at another server?",
    LoginReason.DISABLED: "enable the account in the directory",
    LoginReason.ACCOUNT_EXPIRED: "change the account's end in the directory",
    LoginReason.PASSWORD_EXPIRED: "let the person set a new password; mail programs cannot",
    LoginReason.MUST_CHANGE: "let the person set a new password; mail programs cannot",
    LoginReason.LOCKED: "unlock the account, or wait until the lock ends; then look for the program"
    " that tries an old password",
    LoginReason.NOT_NOW: "look at the account's logon hours",
    LoginReason.NOT_FROM_HERE: "let the account log on to this host (userWorkstations)",
    LoginReason.NO_PASSWORD: "set a password in the directory",
    LoginReason.RULES: "look at the password policy",
    LoginReason.GONE: "the entry went away meanwhile, or this server lacks it: look at replication",
}


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a password. Args: why: it was not right."""

    verdict: Verdict | None
    why: str = ""


UNTRIED = Tried(None)


def state_told(entry: Entry, account: Account, schema: Schema, look: Look) -> Step:
    """Whether the entry lets the person log in, which rules say so, and until when."""
    now = schema.wall_clock()
    lines: list[str] = []
    for rule in schema.states:
        state = state_of(entry.attributes, (rule,), now)
        shown_there = [name for name in rule.attributes if entry.attributes.get(name.lower())]
        if state.condition:
            until = f", until {_moment(state.until)}" if state.until > now + 90 else ""
            lines.append(f"{rule.effect.value}: {escaped(rule.words)}{until}")
        elif state.until > now:
            lines.append(
                f"will hold from {_moment(state.until)}: {escaped(rule.words)}"
                f" ({', '.join(shown_there)})"
            )
    names = {name.lower(): name for rule in schema.states for name in sorted(rule.attributes)}
    looked_at = list(names.values())
    seen = [name for name in looked_at if entry.attributes.get(name.lower())]
    lines.append(
        f"looked at {', '.join(looked_at) or 'nothing'}; the entry shows"
        f" {', '.join(seen) or 'none of them'}"
    )
    facts = {"enabled": account.enabled, "locked": account.locked, "why": account.condition}
    if not account.enabled:
        text = f"disabled: {escaped(account.condition)}"
        advice = "enable the account in the directory; mail still comes as the settings say"
        return look.failed(text, advice, lines, **facts)
    if account.locked:
        text = f"may not log in for now: {escaped(account.condition)}"
        advice = "unlock it or set a new password in the directory; mail comes as ever"
        return look.failed(text, advice, lines, **facts)
    return look.ok("enabled, not locked, nothing has expired", lines, **facts)


async def lockout_told(lockouts: Lockouts, entry: Entry, look: Look) -> tuple[PasswordState, Step]:
    """When the directory locks people, and how near this one is."""
    state = await lockouts.state_of(entry.attributes)
    lockout, failures = state.lockout, state.failures
    facts: dict[str, object] = {"failures": failures, "password_set": state.changed}
    counts = "it does not tell how many failures it counts" if failures is None else ""
    counts = counts or f"it counts {failures} {'failure' if failures == 1 else 'failures'} now"
    if lockout is None:
        return state, look.ok(
            f"the directory tells no lock-out policy; {counts}",
            ("login.asked_per_person bounds what the gateway asks",),
            **facts,
        )
    facts |= {"threshold": lockout.threshold, "window_s": lockout.window_s}
    if not lockout.threshold:
        return state, look.ok(f"the directory locks nobody; {counts}", (), **facts)
    within_s = f" within {lockout.window_s:g} s" if lockout.window_s else ""
    text = f"the directory locks at {lockout.threshold} failures{within_s}; {counts}"
    if failures is not None and failures >= lockout.threshold:
        advice = "unlock the account, or wait; then look for the program that tries an old password"
        return state, look.failed(text, advice, (), **facts)
    return state, look.ok(text, (), **facts)


async def groups_told(
    account: Account, entry: Entry, schema: Schema, entries: Entries, timers: Any, look: Look
) -> Step:
    """The groups with an address that the person is in, directly or through others."""
    if schema.group is None:
        return look.ok("the directory is asked for no groups")
    try:
        groups = await within(
            timers,
            GROUPS_S,
            groups_around(account, schema, entries),
            f"no answer in {GROUPS_S:g} s",
        )
        direct = await within(
            timers, GROUPS_S, _direct(account, entry, schema, entries), "no answer"
        )
    except LdapFailed as failed:
        reason = failed.reason
    except GatewayError as error:
        reason = escaped(error)
    except Exception as error:  # ambiguous, too many: of the directory's own
        reason = f"{type(error).__name__}: {escaped(error, 200)}"
    else:
        lines = [
            f"{escaped(each.name, 100)} <{escaped(each.addresses[0])}>,"
            f" {'directly' if each.group_id in direct else 'through another group'}"
            for each in groups
        ]
        count = f"{len(groups)} groups with an address" if groups else "in no group with an address"
        return look.ok(
            count,
            shortened(lines, MOST_GROUPS),
            groups=[
                {
                    "name": each.name,
                    "address": each.addresses[0],
                    "direct": each.group_id in direct,
                }
                for each in groups
            ],
        )
    return look.warning(
        f"not known: {reason}", "logins work without; look at directory.group_filter and the server"
    )


async def _direct(
    account: Account, entry: Entry, schema: Schema, entries: Entries
) -> frozenset[str]:
    logins = [account.login] if schema.about_groups.member_logins else []
    found: list[object] = list(await entries.groups_with([entry.dn], account.addresses, logins))
    named = [text for name in schema.member_of_attributes for text in texts(entry, name)]
    if named:
        found += (await entries.named(named[:100])).values()
    return frozenset(_ids(found, schema))


def _ids(found: Iterable[object], schema: Schema) -> Iterable[str]:
    for each in found:
        if isinstance(each, Entry):
            yield account_id_from(each, schema) or dn_key(each.dn)


async def password_tried(
    login: str,
    password: bytes,
    entry: Entry,
    account: Account,
    state: PasswordState,
    asks: Asks,
    look: Look,
) -> tuple[Tried, Step]:
    """One bind as the person."""
    lockout, failures = state.lockout, state.failures
    if lockout is not None and lockout.threshold and failures == lockout.threshold - 1:
        return UNTRIED, skipped(
            "password",
            "",
            f"not tried: one more failure locks the account ({failures} of {lockout.threshold})",
            "wait until the directory counts fewer, or reset the password",
        )
    try:
        check_offer(login, password)
        answer = await asks.bind(entry.dn, password)
    except WrongCredentials:
        return Tried(Verdict.WRONG, LoginReason.WRONG_PASSWORD.words), look.failed(
            "no directory takes such a password: it is empty or too long", "type it again"
        )
    except LdapFailed as failed:
        return Tried(Verdict.NONE, "nobody could say"), look.failed(
            f"no verdict: {failed.reason}", "it may have been counted; look at the server's log"
        )
    judged = judge(answer, account)
    match judged.verdict:
        case Verdict.RIGHT:
            remark = (judged.remark,) if judged.remark else ()
            return Tried(Verdict.RIGHT), look.ok("right", remark)
        case Verdict.NONE:
            said = escaped(answer.result.diagnostic, 200)
            return Tried(Verdict.NONE, "nobody could say"), look.failed(
                f"no verdict: result code {answer.result.code}: {said}", "look at the server's log"
            )
    proven = ("the password itself is right",) if judged.proven else ()
    advice = _AGAINST.get(judged.reason, "look at the account in the directory")
    return Tried(Verdict.WRONG, judged.reason.words), look.failed(
        judged.reason.words, advice, proven
    )


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(min(at, 253_402_300_799)))
