"""Would this person log in, by which protocol, and why or why not: what all looks come to.

Owns the conclusion, in the order in which the gateway itself decides. Never asks anybody. Without a
password that was tried it is about somebody who types the right one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.core.log_text import escaped
from gateway.core.networks import named
from gateway.core.settings.model import Settings
from gateway.directory.doctor.person import Learnt
from gateway.directory.ldap.results import Verdict

PROTOCOLS = ("submission", "imap", "pop3")
_PASSWORDS = frozenset(("PLAIN", "LOGIN"))


@dataclass(frozen=True, slots=True)
class Kept:
    """What the gateway keeps of the person, as far as anybody could tell.

    Args:
        app_passwords: usable ones, each with the protocols it is for (none: all); None: nobody
            could say.
        outage_ok: the password that worked last serves while the directory is away.
        paused: why nobody is asked about the person now; empty: they are, or nobody could say.
    """

    app_passwords: Sequence[Sequence[str]] | None = None
    outage_ok: bool = False
    paused: str = ""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Of one protocol. Args: why: in words, in both cases."""

    protocol: str
    would: bool
    why: str

    def as_json(self) -> Mapping[str, object]:
        return {"protocol": self.protocol, "would_log_in": self.would, "why": self.why}


def conclude(
    learnt: Learnt, settings: Settings, kept: Kept, *, protocol: str, ip: str
) -> list[Conclusion]:
    """Args:
    protocol: only this one; empty: all that are listened for.
    ip: where the person logs in from; empty: somewhere that no setting names.
    """
    served = [each for each in PROTOCOLS if any(one.protocol == each for one in settings.listen)]
    wanted = [protocol] if protocol else served
    if not wanted:
        return [Conclusion("", False, "no listener takes logins: see listen in the configuration")]
    would, why = _by_password(learnt, kept)
    return [
        Conclusion(each, False, f"nobody listens for {each}")
        if each not in served
        else _of(each, would, why, learnt, settings, kept, ip)
        for each in wanted
    ]


def _of(
    protocol: str,
    would: bool,
    why: str,
    learnt: Learnt,
    settings: Settings,
    kept: Kept,
    ip: str,
) -> Conclusion:
    section = settings.app_passwords
    apps = kept.app_passwords or ()
    usable = sum(not each or protocol in each for each in apps) if section.enabled else 0
    account = learnt.account
    may_at_all = account is not None and account.enabled and not account.locked
    exempt = bool(ip) and named(section.exempt, settings.networks).contains(ip)
    allowed = settings.login.mechanisms
    closed = ""
    if section.only and not exempt:
        where = ip or "elsewhere than app_passwords.exempt"
        closed = f"only app passwords are taken from {where}"
    elif allowed and _PASSWORDS.isdisjoint(allowed):
        closed = f"login.mechanisms are {', '.join(allowed)}: no mechanism sends a password"
    if not closed:
        return Conclusion(protocol, would, why)
    if usable and may_at_all:
        several = "one of the app passwords" if usable > 1 else "the app password"
        return Conclusion(protocol, True, f"with {several} ({usable}); {closed}")
    if kept.app_passwords is None and section.enabled and may_at_all:
        return Conclusion(protocol, False, f"{closed}, and nobody could say whether there is one")
    return Conclusion(protocol, False, f"{closed}, and there is none for {protocol}")


def _by_password(learnt: Learnt, kept: Kept) -> tuple[bool, str]:
    account = learnt.account
    if not learnt.answered:
        if kept.outage_ok:
            return True, f"{learnt.why_not}; with the password that worked last"
        return False, f"{learnt.why_not}, and nothing that is kept lets anybody in meanwhile"
    if account is None:
        return False, learnt.why_not
    if not account.enabled:
        return False, f"disabled: {escaped(account.condition)}"
    if account.locked:
        return False, f"may not log in for now: {escaped(account.condition)}"
    lockout, failures = learnt.state.lockout, learnt.state.failures or 0
    threshold = lockout.threshold if lockout is not None else 0
    if threshold and failures >= threshold and learnt.tried.verdict is not Verdict.RIGHT:
        return False, f"the directory counts {failures} failures and has locked the account"
    if learnt.tried.verdict is Verdict.WRONG:
        return False, learnt.tried.why
    if learnt.tried.verdict is Verdict.NONE:
        return False, "the directory gave no verdict on the password"
    if kept.paused:
        return False, kept.paused
    if learnt.tried.verdict is Verdict.RIGHT:
        return True, "the password is right"
    return True, "with the right password; none was tried"
