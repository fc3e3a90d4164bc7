"""What the sessions of one SMTP door have in common. Values only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.edge.connection import Door
from gateway.edge.smtp.journal import Journal
from gateway.edge.smtp.services import SmtpServices
from gateway.wire.smtp_extensions import Offer

Handler = Callable[[Any, Any], None]
"""Answers one kind of event: gets the session and the event."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Made once per door.

    Args:
        offer: what they have to offer before anything is known of a client.
        answers: the handler for each event of the core.
    """

    door: Door
    services: SmtpServices
    journal: Journal
    offer: Offer
    answers: Mapping[type, Handler]
