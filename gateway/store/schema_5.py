"""The fifth step of the index: a queue by destinations, and what sending keeps.

Owns data definitions, as ``schema`` does; what must hold between the queue's tables is in
``queue_parts``.
"""

from __future__ import annotations

_KNOWN = (
    # What a process has to remember of the configuration and of what it did, by name.
    """CREATE TABLE known (
        name TEXT NOT NULL PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID""",
)

_QUEUE = (
    # Where each recipient goes. The configuration is asked again later (``destinations``).
    "ALTER TABLE queue_recipients ADD COLUMN destination TEXT NOT NULL DEFAULT ''",
    """UPDATE queue_recipients
        SET destination = CASE next_hop WHEN '' THEN domain ELSE next_hop END""",
    # What waits of a message for one destination: states are those of ``queue_parts``.
    """CREATE TABLE queue_parts (
        queue_id BIGINT NOT NULL,
        destination TEXT NOT NULL,
        rank INTEGER NOT NULL,
        turn BIGINT NOT NULL,
        state INTEGER NOT NULL,
        due_at BIGINT NOT NULL,
        lease_owner TEXT NOT NULL,
        first_number INTEGER NOT NULL,
        last_number INTEGER NOT NULL,
        PRIMARY KEY (queue_id, destination)
    ) WITHOUT ROWID""",
    # No clock is at hand here, so what is due waits for whoever looks for what has become due.
    """INSERT INTO queue_parts (queue_id, destination, rank, turn, state, due_at, lease_owner,
            first_number, last_number)
        SELECT r.queue_id, r.destination, -q.priority, q.created_at * 1000,
            CASE q.hold WHEN '' THEN 1 ELSE 3 END, min(r.next_attempt_at), '',
            min(r.number), max(r.number)
        FROM queue_recipients AS r JOIN queue AS q ON q.queue_id = r.queue_id
        GROUP BY r.queue_id, r.destination, q.priority, q.created_at, q.hold""",
    "CREATE INDEX queue_ready ON queue_parts (destination, rank, turn, queue_id) WHERE state = 0",
    "CREATE INDEX queue_later ON queue_parts (due_at) WHERE state = 1",
    "CREATE INDEX queue_leased ON queue_parts (due_at) WHERE state = 2",
    # Those with something to send: look_at 0 is in line by turn, else not before that time.
    """CREATE TABLE queue_destinations (
        destination TEXT NOT NULL PRIMARY KEY,
        look_at BIGINT NOT NULL,
        turn BIGINT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX queue_in_line ON queue_destinations (look_at, turn)",
    # Of the message itself only a hold has a time; 0 where it is not held.
    "DROP INDEX queue_due",
    "UPDATE queue SET due_at = 0 WHERE hold = ''",
    "ALTER TABLE queue RENAME COLUMN due_at TO held_until",
    "ALTER TABLE queue DROP COLUMN lease_owner",
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
        larger_octets BIGINT NOT NULL,
        reason TEXT NOT NULL,
        made_by TEXT NOT NULL,
        made_at BIGINT NOT NULL
    )""",
    "INSERT INTO counters (name, value) VALUES ('hold_rule', 0)",
    # The last rule there was when somebody released the message: it passes all up to that one.
    "ALTER TABLE queue ADD COLUMN rules_passed BIGINT NOT NULL DEFAULT 0",
)

_TLS = (
    # Policies of other domains (MTA-STS), as fetched.
    """CREATE TABLE sts_policies (
        domain TEXT NOT NULL PRIMARY KEY,
        policy_id TEXT NOT NULL,
        policy TEXT NOT NULL,
        fetched_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        used_at BIGINT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX sts_policies_by_expiry ON sts_policies (expires_at)",
    "INSERT INTO counters (name, value) VALUES ('sts_policies', 0)",
    """CREATE TRIGGER sts_policy_added AFTER INSERT ON sts_policies BEGIN
            UPDATE counters SET value = value + 1 WHERE name = 'sts_policies';
        END""",
    """CREATE TRIGGER sts_policy_removed AFTER DELETE ON sts_policies BEGIN
            UPDATE counters SET value = value - 1 WHERE name = 'sts_policies';
        END""",
    # TLS sessions with other servers by day (Unix time / 86400); result is empty where all went
    # well. Domains whose reports up to a day are made.
    """CREATE TABLE tls_sessions (
        day BIGINT NOT NULL,
        domain TEXT NOT NULL,
        policy_kind TEXT NOT NULL,
        policy_domain TEXT NOT NULL,
        policy TEXT NOT NULL,
        result TEXT NOT NULL,
        host TEXT NOT NULL,
        receiving_ip TEXT NOT NULL,
        sending_ip TEXT NOT NULL,
        reason TEXT NOT NULL,
        sessions BIGINT NOT NULL,
        PRIMARY KEY (day, domain, policy_kind, policy_domain, policy, result, host, receiving_ip,
            sending_ip, reason)
    ) WITHOUT ROWID""",
    """CREATE TABLE tls_reported (
        domain TEXT NOT NULL PRIMARY KEY,
        day BIGINT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX tls_reported_by_day ON tls_reported (day)",
)

VERSION_5: tuple[str, ...] = (*_KNOWN, *_QUEUE, *_SUPPRESSIONS, *_HOLD_RULES, *_TLS)
