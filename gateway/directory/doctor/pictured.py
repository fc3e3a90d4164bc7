"""What the picture of the directory holds of a person, beside what the servers say now.

Owns the comparison, by fields and without their values. The picture may be missing, other than the
settings, or old; none of that keeps anybody from logging in while a server answers.
"""

from __future__ import annotations

from gateway.core.account import Account
from gateway.core.errors import DirectoryMistake, StoreUnavailable
from gateway.core.ids import AccountId
from gateway.core.log_text import escaped
from gateway.core.ports.clock import Timers, WallClock
from gateway.core.ports.picture import ReadsPicture
from gateway.directory.doctor.step import Look, Step
from gateway.directory.ldap.seldom import Seldom
from gateway.directory.picture.lookup import Lookup, Pictured
from gateway.directory.picture.source import Depicts
from gateway.directory.schema import Schema

_FIELDS = {
    "login": "login",
    "addresses": "addresses",
    "display_name": "name",
    "enabled": "enabled",
    "locked": "locked",
    "allowance": "quota",
    "elsewhere": "where mail goes",
}
OLD_S = 600.0


def picture_told(
    picture: ReadsPicture,
    source: str,
    depicts: Depicts,
    account_id: AccountId,
    now: Account | None,
    clock_s: float,
    refresh_s: float,
    look: Look,
) -> tuple[Account | None, Step]:
    """Who the picture has under this id.

    Args:
        source: the name of the directory.
        now: as the servers have them; None: nobody could say.
        clock_s: Unix time.
    """
    advice = "is the gateway running? `gateway status` says how its picture is kept fresh"
    try:
        state = picture.state(source)
        kept = picture.entry(source, account_id)
    except StoreUnavailable as error:
        return None, look.warning(f"the picture cannot be read: {escaped(error)}", advice)
    if not state.refreshed_at and kept is None:
        return None, look.warning("there is no picture yet", advice)
    age_s = max(0.0, clock_s - state.refreshed_at)
    age = f"the picture is {_age(age_s)} old" if state.refreshed_at else "the picture is unfinished"
    facts: dict[str, object] = {"age_s": round(age_s), "complete": bool(state.listed_at)}
    if kept is None:
        text = f"not in it yet; {age}"
        wait = f"who is new is asked of the servers; wait for the next refresh ({refresh_s:g} s)"
        return None, look.warning(text, wait if age_s < OLD_S else advice, (), **facts)
    try:
        account = depicts.account(kept)
    except DirectoryMistake as mistake:
        return None, look.warning(f"{escaped(mistake)}; {age}", advice, (), **facts)
    if now is None:
        return account, look.ok(f"in it; {age}", (), **facts)
    differing = [
        words for field, words in _FIELDS.items() if getattr(account, field) != getattr(now, field)
    ]
    facts["differing"] = differing
    if differing:
        text = f"in it, with another {', '.join(differing)} than the servers have now; {age}"
        wait = f"wait for the next refresh (every {refresh_s:g} s); `gateway status` tells of it"
        return account, look.warning(text, wait if age_s < OLD_S else advice, (), **facts)
    old = state.stopped or age_s > OLD_S
    text = f"in it, the same as the servers have now; {age}"
    if old:
        return account, look.warning(text, advice, (), **facts)
    return account, look.ok(text, (), **facts)


def _age(seconds: float) -> str:
    for unit_s, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit_s:
            return f"{int(seconds / unit_s)} {name}"
    return f"{seconds:.0f} s"


def last_seen(
    picture: ReadsPicture,
    source: str,
    schema: Schema,
    login: str,
    timers: Timers,
    wall_clock: WallClock,
) -> Account | None:
    """Whose the login was, as the gateway asks while no server answers."""
    lookup = Lookup(
        Pictured(picture, source, schema),
        Seldom(timers),
        wall_clock=wall_clock,
        monotonic=timers.seconds,
    )
    try:
        return lookup.called(login)
    except DirectoryMistake:
        return None
