"""Concrete objects from settings: the one place that knows every class of the house.

Owns construction and who is given what; never decides anything at run time.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocolFactory

from gateway.auth.checkers import DirectoryChecker
from gateway.auth.realm import MailRealm
from gateway.core.ports.directory import Directory
from gateway.core.settings.model import ListenSettings, Settings
from gateway.edge.connection import Door
from gateway.edge.http.health import health_site
from gateway.edge.imap.door import ImapFactory, ImapServices
from gateway.edge.imap.limits import ImapLimits
from gateway.edge.pop3 import Pop3Factory, Pop3Services
from gateway.edge.sessions import Sessions
from gateway.edge.smtp import SmtpFactory, SmtpServices
from gateway.edge.smtp_limits import SmtpLimits
from gateway.policy.connections import ConnectionLimits
from gateway.queue.runner import QueueRunner
from gateway.routing.domains import Domain, DomainRouter
from gateway.store.store import Store
from gateway.wire.pop3 import Pop3Limits


@dataclass(frozen=True, slots=True)
class Parts:
    """What a running gateway consists of, besides its sockets."""

    store: Store
    directory: Directory
    portal: Portal
    router: DomainRouter
    sessions: Sessions
    queue: QueueRunner
