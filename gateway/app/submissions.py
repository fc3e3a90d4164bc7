"""What doors need for mail of our own people, from the settings.

Owns which setting reaches which part; never decides anything at run time.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from gateway.core.errors import SettingsError, SettingsProblem
from gateway.core.ports.directory import Directory
from gateway.core.settings.groups import refused_senders_of, senders_of
from gateway.core.settings.model import Settings
from gateway.directory.threads import WorkerThreads
from gateway.edge.smtp.services import SubmissionRules, SubmissionServices
from gateway.policy.group_rules import GroupRules, Rule
from gateway.policy.limit_notices import LimitNotices
from gateway.policy.person_limits import PersonBounds, PersonLimits
from gateway.policy.posting import GroupPosting
from gateway.policy.send_as import BrokenRules, RulesFile, SendAs, rules_from
from gateway.policy.senders import Senders
from gateway.routing.domains import DomainRouter
from gateway.store.store import Store


def send_as_from(settings: Settings, reactor: Any) -> SendAs:
    """The administrator's rules; reads their file, which blocks.

    Raises:
        SettingsError: the file cannot be used.
    """
    section = settings.submission
    rules = rules_from(section.send_as)
    if not section.send_as_file:
        return SendAs(rules)
    threads = WorkerThreads(
        "send-as", threads=1, waiting=100, call_from_thread=reactor.callFromThread
    )
    try:
        file = RulesFile(Path(section.send_as_file), timers=reactor, in_thread=threads.submit)
    except (OSError, BrokenRules) as error:
        text = (error.strerror if isinstance(error, OSError) else None) or str(error)
        expected = "lines with a login and the addresses it may send as"
        problem = SettingsProblem(section.send_as_file, "submission.send_as_file", text, expected)
        raise SettingsError([problem]) from None
    return SendAs(rules, file)


def group_rules(settings: Settings, directory: Directory) -> GroupRules:
    """Whom the rules about groups mean."""
    ours = {name.casefold() for name in settings.domains}
    ours.update(alias.casefold() for each in settings.domains.values() for alias in each.aliases)
    return GroupRules(directory, lambda domain: domain.casefold() in ours)


def posting_from(settings: Settings, meaning: GroupRules) -> GroupPosting:
    """Who may write to groups."""
    rules = {name: Rule.of(each.post) for name, each in settings.groups.items()}
    return GroupPosting(meaning, rules=rules, default=settings.recipients.group_post)


def submission_from(
    settings: Settings,
    *,
    store: Store,
    router: DomainRouter,
    directory: Directory,
    send_as: SendAs,
    meaning: GroupRules,
) -> SubmissionServices:
    """Everything together."""
    section = settings.submission
    bounds = PersonBounds(
        section.messages_per_hour,
        section.messages_per_day,
        section.recipients_per_hour,
        section.recipients_per_day,
        section.most_waiting,
    )
    groups = None if section.send_as_groups == "no" else directory
    rules = SubmissionRules(
        section.from_check, section.missing_from, section.add_sender, section.show_login
    )
    senders = Senders(
        router,
        groups=groups,
        send_as=send_as,
        rules={
            name: Rule.of(senders_of(each), refused_senders_of(each))
            for name, each in settings.groups.items()
        },
        meaning=meaning,
        members_may=section.send_as_groups == "members",
    )
    if not bounds.any:
        return SubmissionServices(senders, rules)
    notices = LimitNotices(
        store, hostname=settings.hostname, ask=settings.postmaster, wall_clock=time.time
    )
    return SubmissionServices(senders, rules, PersonLimits(store.submissions, bounds), notices)
