"""What the gateway itself knows of a person and of the directory's servers, as steps of the doctor.

Owns asking for it and its words: at the running gateway, or on its store while it is stopped. What
cannot be had is told as missing, and is never taken for "there is none".
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.cli.control_client import ControlClient
from gateway.cli.queue_access import Call, at_gateway
from gateway.cli.trace import moment
from gateway.core.errors import GatewayError
from gateway.core.ids import AccountId
from gateway.core.log_text import escaped
from gateway.core.ports.may_ask import PasswordState
from gateway.core.settings.model import Settings
from gateway.core.settings.paths import control_socket
from gateway.directory.doctor.step import Look, Tell, skipped
from gateway.directory.doctor.verdict import Kept

STATUS_LIMIT_S = 10.0
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class KeptTold:
    """Args:
    app_passwords: usable ones, by the protocols they are for; None: nobody could say.
    outage_serves: a password is kept that would serve in an outage.
    """

    app_passwords: Sequence[Sequence[str]] | None = None
    outage_serves: bool = False
    paused: str = ""

    def kept(self, outage_ok: bool) -> Kept:
        return Kept(self.app_passwords, outage_ok, self.paused)


NOBODY_TOLD = KeptTold()


# -- the servers, as the gateway sees them


def gateway_told(settings: Settings, directory: str, tell: Tell) -> Mapping[str, Any] | None:
    """The status of the running gateway; None: none answers."""
    look = Look("gateway", "", time.monotonic)
    client = ControlClient(control_socket(Path(settings.state_dir)), STATUS_LIMIT_S)
    try:
        status = client.get("/v1/status")
    except GatewayError as error:
        why = f"which servers it takes for down, and who is paused, is not known: {error}"
        tell(skipped("gateway", "", why))
        return None
    rows = [each for each in status.get("directories", ()) if each["name"] == directory]
    if not rows:
        tell(look.ok("it runs, and tells nothing of this directory's servers"))
        return status
    (row,) = rows[:1]
    lines = [
        f"{each['name']} {each['state']} since {moment(each['since'])[:19]}"
        + (", in use" if each["in_use"] else "")
        + (f": {each['last_error']}" if each["state"] in ("down", "suspect") else "")
        for each in row["servers"]
    ]
    trouble = f": {row['trouble']}" if row["trouble"] else ""
    if not row["answers"]:
        advice = "it probes them again within 30 s; `gateway status` and its log say more"
        tell(look.failed(f"it takes all servers for down{trouble}", advice, lines))
    elif row["degraded"]:
        advice = "look at the server that is down; the gateway goes back to it by itself"
        tell(look.warning(f"it does not use the preferred server{trouble}", advice, lines))
    else:
        tell(look.ok(f"it runs, and uses the preferred server{trouble}", lines))
    return status


# -- the person


def kept_told(
    config_path: str | None,
    account_id: AccountId,
    login: str,
    ip: str,
    state: PasswordState,
    tell: Tell,
) -> KeptTold:
    """App passwords, the password kept for outages, refusals, notes, and whether the directory
    would be asked."""
    lockout = state.lockout
    question = {
        "id": account_id,
        "login": login,
        "ip": ip,
        "changed": state.changed,
        "failures": state.failures,
        "threshold": lockout.threshold if lockout is not None else None,
        "window_s": lockout.window_s if lockout is not None else 0.0,
    }
    answers: list[dict[str, Any]] = []

    def work(call: Call) -> None:
        answers.append(call("known", question))

    try:
        at_gateway(config_path, "people", "gateway.cli.people_store", work)
    except (GatewayError, OSError) as error:
        text = f"what the gateway keeps of this person is not known: {escaped(error)}"
        tell(skipped("kept", "", text))
        return NOBODY_TOLD
    (answer,) = answers
    _app_passwords(answer, tell)
    _outage(answer, tell)
    _throttle(answer, ip, tell)
    _refusals(answer, tell)
    _notes(answer, tell)
    return KeptTold(answer["app_passwords"], bool(answer["kept_password_serves"]), _paused(answer))


def _look(name: str) -> Look:
    return Look(name, "", time.monotonic)


def _app_passwords(answer: Mapping[str, Any], tell: Tell) -> None:
    usable, expired = answer["app_passwords"], answer["app_passwords_expired"]
    more = [f"{expired} more have expired"] if expired else []
    text = f"{len(usable)} app passwords that can be used" if usable else "no app password"
    tell(_look("app passwords").ok(text, more, usable=len(usable), expired=expired))


def _outage(answer: Mapping[str, Any], tell: Tell) -> None:
    look = _look("outage")
    age_s, days = answer["kept_password_age_s"], answer["outage_days"]
    if not days:
        tell(look.ok("login.outage_days = 0: nobody logs in while the directory is away"))
    elif age_s is None:
        tell(
            look.ok(
                "no password is kept for outages; at servers it is after the next login that works"
            )
        )
    else:
        count = age_s // DAY_S
        age = "less than a day ago" if not count else f"{count} days ago"
        serves = answer["kept_password_serves"]
        how = "serves while the directory is away" if serves else f"is too old after {days} days"
        text = f"the password that the directory confirmed {age} {how}"
        tell(look.ok(text, (), age_s=age_s, serves=serves))


def _paused(answer: Mapping[str, Any]) -> str:
    return f"the directory is not asked now: {answer['paused']}" if answer["paused"] else ""


def _throttle(answer: Mapping[str, Any], ip: str, tell: Tell) -> None:
    if not answer["running"]:
        tell(skipped("throttle", "", "no gateway runs, and what it has counted ends with it"))
        return
    where = f"from {ip}" if ip else "from where the person is known (see --ip)"
    if answer["paused"]:
        advice = "wait, and look for the program that tries an old password; `gateway trace` helps"
        tell(_look("throttle").failed(f"{_paused(answer)}, {where}", advice))
    else:
        tell(_look("throttle").ok(f"the directory would be asked, {where}"))


def _refusals(answer: Mapping[str, Any], tell: Tell) -> None:
    rows = answer["refusals"]
    lines = [
        f"{moment(each['at'])[:19]} {each['protocol']} from {each['from']}: {each['reason']}"
        for each in rows
    ]
    text = f"{len(rows)} lately" if rows else "none lately"
    tell(_look("refusals").ok(text, lines, refusals=rows))


def _notes(answer: Mapping[str, Any], tell: Tell) -> None:
    notes, look = answer["notes"], _look("notes")
    if notes is None:
        tell(look.ok("nothing is noted of a mailbox of this person"))
        return
    lines = [f"had the address {escaped(each)}" for each in notes["former_addresses"]]
    since = notes["gone_since"] or notes["disabled_since"]
    if not since:
        tell(look.ok("noted as in the directory and enabled", lines))
        return
    what = "gone" if notes["gone_since"] else "disabled"
    advice = "`gateway user reconcile --dry-run` tells what becomes of people who are away"
    text = f"noted as {what} since {moment(since)[:19]}"
    tell(look.warning(text, advice, lines))
