"""The fifth step of the index: a queue by destinations, and what sending keeps.

Owns data definitions, as ``schema`` does.
"""

from __future__ import annotations

_KNOWN = (
    # What a process has to remember of the configuration and of what it did, by name.
    """CREATE TABLE known (
        name TEXT NOT NULL PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID""",
)

_SUPPRESSIONS = (
    # Addresses elsewhere that were refused for good, and how often in a row (core.suppression).
    """CREATE TABLE suppressions (
        address TEXT NOT NULL PRIMARY KEY,
        failures BIGINT NOT NULL,
        first_at BIGINT NOT NULL,
        last_at BIGINT NOT NULL,
        suppressed_at BIGINT NOT NULL,
        status TEXT NOT NULL,
        reply TEXT NOT NULL,
        remote TEXT NOT NULL,
        made_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        turned_away BIGINT NOT NULL
    ) WITHOUT ROWID""",
)

_HOLD_RULES = (
    # What an administrator wants held, now and later (core.hold_rules).
    """CREATE TABLE hold_rules (
        rule_id INTEGER NOT NULL PRIMARY KEY,
        sender TEXT NOT NULL,
        recipient TEXT NOT NULL,
        destination TEXT NOT NULL,
        min_octets BIGINT NOT NULL,
        reason TEXT NOT NULL,
        made_by TEXT NOT NULL,
        made_at BIGINT NOT NULL
    )""",
    "INSERT INTO counters (name, value) VALUES ('hold_rule', 0)",
    # The last rule there was when somebody released the message: it passes all up to that one.
    "ALTER TABLE queue ADD COLUMN rules_passed BIGINT NOT NULL DEFAULT 0",
)

VERSION_5: tuple[str, ...] = (*_KNOWN, *_SUPPRESSIONS, *_HOLD_RULES)
