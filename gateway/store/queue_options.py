"""The options of a queued message and its recipients as text in a column.

Owns the form: JSON of what differs from the defaults, empty for nothing, which is most mail. What a
newer gateway wrote there and this one does not know is left out.
"""

from __future__ import annotations

import json
from typing import Any

from gateway.core.envelope import (
    NO_OPTIONS,
    NOTHING_ASKED,
    BodyKind,
    DeliverBy,
    MessageOptions,
    Notify,
    RecipientOptions,
)

_BODIES = (BodyKind.SEVEN_BIT, BodyKind.EIGHT_BIT)
_KEPT_AS_THEY_ARE = (
    "smtputf8",
    "ret",
    "envid",
    "release_at",
    "priority",
    "require_tls",
    "tls_optional",
    "solicit",
)


def body_number(options: MessageOptions) -> int:
    """For the column ``eight_bit``. Binary content was made text before it came here."""
    return _BODIES.index(options.body)


def message_text(options: MessageOptions) -> str:
    """All but the body, which has its own column."""
    if _asks_for_nothing(options):
        return ""
    fields: dict[str, Any] = {}
    for name in _KEPT_AS_THEY_ARE:
        value = getattr(options, name)
        if value != getattr(NO_OPTIONS, name):
            fields[name] = value
    if options.deliver_by is not None:
        by = options.deliver_by
        fields["by"] = [by.at, by.or_return, by.trace]
    return json.dumps(fields, separators=(",", ":"))


def _asks_for_nothing(options: MessageOptions) -> bool:
    """As most mail does."""
    return not (
        options.smtputf8
        or options.ret
        or options.envid
        or options.priority
        or options.require_tls
        or options.tls_optional
        or options.solicit
        or options.release_at is not None
        or options.deliver_by is not None
    )


def message_options(text: str, body: int) -> MessageOptions:
    """What ``message_text`` and ``body_number`` made."""
    kind = _BODIES[body]
    if not text:
        return NO_OPTIONS if kind is NO_OPTIONS.body else MessageOptions(kind)
    fields: dict[str, Any] = json.loads(text)
    by = fields.get("by")
    return MessageOptions(
        body=kind,
        smtputf8=fields.get("smtputf8", False),
        ret=fields.get("ret", ""),
        envid=fields.get("envid", ""),
        deliver_by=DeliverBy(*by) if by else None,
        release_at=fields.get("release_at"),
        priority=fields.get("priority", 0),
        require_tls=fields.get("require_tls", False),
        tls_optional=fields.get("tls_optional", False),
        solicit=tuple(fields.get("solicit", ())),
    )


def recipient_text(options: RecipientOptions) -> str:
    if options is NOTHING_ASKED:
        return ""
    fields: dict[str, Any] = {}
    if options.notify is not None:
        fields["notify"] = options.notify.value
    if options.original:
        fields["original"] = options.original
    return json.dumps(fields, separators=(",", ":")) if fields else ""


def recipient_options(text: str) -> RecipientOptions:
    """What ``recipient_text`` made."""
    if not text:
        return NOTHING_ASKED
    fields: dict[str, Any] = json.loads(text)
    notify = fields.get("notify")
    return RecipientOptions(None if notify is None else Notify(notify), fields.get("original", ""))
