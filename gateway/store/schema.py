"""The tables of the index, as numbered steps; step n brings a store from version n-1 to n.

Owns the data definitions of the SQLite engine. The statements that read and write these tables
keep to what PostgreSQL speaks too. A step that has been released is never edited.

Invariants (``verify`` checks them):
- ``messages`` is keyed by (mailbox, uid). ``created_modseq`` never falls as the UID rises, so new
  messages since a MODSEQ are found from the highest UID down; only messages changed afterwards are
  in the index by MODSEQ, which spares every delivery an index entry.
- the counters of a mailbox are exact in every committed state.
- the counters of an account are the sums of its mailboxes'.
- ``blobs.refs`` is the number of rows of ``messages``, ``queue`` and ``vault`` that point to the
  blob.
- ``expunged`` holds every UID below ``uid_next`` that no message has; neighbours are one stretch,
  which has the highest MODSEQ of theirs, so there is never more than one between two messages.
- ``mailboxes.old_messages`` is the number of messages below ``recent_from``.
- ``queued_messages`` and ``queued_recipients`` among the ``counters`` are the rows of the queue,
  ``held_messages`` those with a ``hold``.
- a row of ``queue`` is due at ``due_at``: the earliest attempt, or the end of its lease.
"""

from __future__ import annotations

from gateway.store.schema_5 import VERSION_5
from gateway.store.schema_6 import VERSION_6

VERSION_1 = (
    """CREATE TABLE counters (
        name TEXT NOT NULL PRIMARY KEY,
        value BIGINT NOT NULL
    ) WITHOUT ROWID""",
    """INSERT INTO counters (name, value)
        VALUES ('blob', 0), ('mailbox', 0), ('queue', 0), ('segment', 0), ('uid_validity', 0)""",
    """CREATE TABLE accounts (
        account_id TEXT NOT NULL PRIMARY KEY,
        inbox_id BIGINT NOT NULL,
        created_at BIGINT NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE mailboxes (
        mailbox_id INTEGER NOT NULL PRIMARY KEY,
        account_id TEXT NOT NULL,
        name TEXT NOT NULL,
        special_use TEXT NOT NULL,
        uid_validity BIGINT NOT NULL,
        uid_next BIGINT NOT NULL,
        highest_modseq BIGINT NOT NULL,
        recent_from BIGINT NOT NULL,
        messages BIGINT NOT NULL,
        unseen BIGINT NOT NULL,
        size_octets BIGINT NOT NULL,
        UNIQUE (account_id, name)
    )""",
    """CREATE TABLE subscriptions (
        account_id TEXT NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (account_id, name)
    ) WITHOUT ROWID""",
    """CREATE TABLE keywords (
        mailbox_id BIGINT NOT NULL,
        folded TEXT NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (mailbox_id, folded)
    ) WITHOUT ROWID""",
    """CREATE TABLE messages (
        mailbox_id BIGINT NOT NULL,
        uid BIGINT NOT NULL,
        modseq BIGINT NOT NULL,
        created_modseq BIGINT NOT NULL,
        flags INTEGER NOT NULL,
        keywords TEXT NOT NULL,
        internal_date BIGINT NOT NULL,
        size_octets BIGINT NOT NULL,
        blob_id BIGINT NOT NULL,
        PRIMARY KEY (mailbox_id, uid)
    ) WITHOUT ROWID""",
    """CREATE INDEX messages_changed ON messages (mailbox_id, modseq)
        WHERE modseq <> created_modseq""",
    """CREATE TABLE expunged (
        mailbox_id BIGINT NOT NULL,
        modseq BIGINT NOT NULL,
        uid BIGINT NOT NULL,
        PRIMARY KEY (mailbox_id, modseq, uid)
    ) WITHOUT ROWID""",
    # head: octets put before those in the file of a large message; empty for segment records.
    # checksums: CRC-32, 4 octets each, of the record or of each block of the file.
    """CREATE TABLE blobs (
        blob_id INTEGER NOT NULL PRIMARY KEY,
        refs BIGINT NOT NULL,
        size_octets BIGINT NOT NULL,
        segment_id BIGINT NOT NULL,
        segment_offset BIGINT NOT NULL,
        file_name TEXT NOT NULL,
        head BLOB NOT NULL,
        checksums BLOB NOT NULL
    )""",
    "CREATE INDEX blobs_dead ON blobs (blob_id) WHERE refs = 0",
    "CREATE UNIQUE INDEX blobs_by_file ON blobs (file_name) WHERE file_name <> ''",
    """CREATE TABLE segments (
        segment_id INTEGER NOT NULL PRIMARY KEY,
        live_blobs BIGINT NOT NULL,
        live_octets BIGINT NOT NULL
    )""",
    """CREATE TABLE summaries (
        blob_id INTEGER NOT NULL PRIMARY KEY,
        data BLOB NOT NULL
    )""",
    """CREATE TABLE ingests (
        ingest_id TEXT NOT NULL PRIMARY KEY,
        queue_id TEXT NOT NULL,
        accepted_at BIGINT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX ingests_by_age ON ingests (accepted_at)",
    """CREATE TABLE queue (
        queue_id INTEGER NOT NULL PRIMARY KEY,
        sender_local TEXT,
        sender_domain TEXT NOT NULL,
        blob_id BIGINT NOT NULL,
        content_offset BIGINT NOT NULL,
        size_octets BIGINT NOT NULL,
        eight_bit INTEGER NOT NULL,
        created_at BIGINT NOT NULL,
        due_at BIGINT NOT NULL,
        lease_owner TEXT NOT NULL
    )""",
    "CREATE INDEX queue_due ON queue (due_at)",
    """CREATE TABLE queue_recipients (
        queue_id BIGINT NOT NULL,
        number INTEGER NOT NULL,
        local_part TEXT NOT NULL,
        domain TEXT NOT NULL,
        next_hop TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        next_attempt_at BIGINT NOT NULL,
        reply TEXT NOT NULL,
        PRIMARY KEY (queue_id, number)
    ) WITHOUT ROWID""",
)

VERSION_2 = (
    # What lives in a segment, from its end (compaction). New records come last, so it is cheap.
    "CREATE INDEX blobs_by_place ON blobs (segment_id, segment_offset)",
)

VERSION_3 = (
    # Old ingest ids are found by walking: an index by age is written to by each delivery.
    "DROP INDEX ingests_by_age",
    # Segment ids are never given twice, also when several processes make segments.
    """UPDATE counters SET value = max(value, (SELECT coalesce(max(segment_id), 0) FROM segments))
        WHERE name = 'segment'""",
    # What an account keeps (kept exact by the triggers below), what it may keep (0: no bound), and
    # whether it has been warned since it was last below the mark.
    "ALTER TABLE accounts ADD COLUMN messages BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE accounts ADD COLUMN size_octets BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE accounts ADD COLUMN quota_messages BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE accounts ADD COLUMN quota_octets BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE accounts ADD COLUMN warned INTEGER NOT NULL DEFAULT 0",
    """UPDATE accounts SET
        messages = (SELECT coalesce(sum(b.messages), 0) FROM mailboxes AS b
            WHERE b.account_id = accounts.account_id),
        size_octets = (SELECT coalesce(sum(b.size_octets), 0) FROM mailboxes AS b
            WHERE b.account_id = accounts.account_id)""",
    """CREATE TRIGGER mailbox_counted AFTER UPDATE OF messages, size_octets ON mailboxes
        WHEN new.messages <> old.messages OR new.size_octets <> old.size_octets
        BEGIN
            UPDATE accounts SET messages = messages + new.messages - old.messages,
                size_octets = size_octets + new.size_octets - old.size_octets
            WHERE account_id = new.account_id;
        END""",
    """CREATE TRIGGER mailbox_removed AFTER DELETE ON mailboxes WHEN old.messages <> 0
        BEGIN
            UPDATE accounts SET messages = messages - old.messages,
                size_octets = size_octets - old.size_octets
            WHERE account_id = old.account_id;
        END""",
    # 80: core.quota.CALM_PERCENT.
    """CREATE TRIGGER account_calm
        AFTER UPDATE OF messages, size_octets, quota_messages, quota_octets ON accounts
        WHEN new.warned <> 0
            AND (new.quota_octets = 0 OR new.size_octets * 100 < new.quota_octets * 80)
            AND (new.quota_messages = 0 OR new.messages * 100 < new.quota_messages * 80)
        BEGIN
            UPDATE accounts SET warned = 0 WHERE account_id = new.account_id;
        END""",
    # Removed UIDs as stretches: all that are neighbours are one, with the highest MODSEQ of them.
    "ALTER TABLE expunged RENAME TO expunged_2",
    """CREATE TABLE expunged (
        mailbox_id BIGINT NOT NULL,
        modseq BIGINT NOT NULL,
        first_uid BIGINT NOT NULL,
        last_uid BIGINT NOT NULL,
        PRIMARY KEY (mailbox_id, first_uid)
    ) WITHOUT ROWID""",
    # Named below, as SQLite would look for a maximum along the key: through the mailbox's rows, for
    # every gap.
    "CREATE INDEX expunged_2_by_uid ON expunged_2 (mailbox_id, uid, modseq)",
    """INSERT INTO expunged (mailbox_id, modseq, first_uid, last_uid)
        SELECT mailbox_id,
            (SELECT coalesce(max(e.modseq), 1) FROM expunged_2 AS e INDEXED BY expunged_2_by_uid
                WHERE e.mailbox_id = gaps.mailbox_id AND e.uid > gaps.below AND e.uid < gaps.uid),
            below + 1, uid - 1
        FROM (SELECT mailbox_id, uid,
                lag(uid, 1, 0) OVER (PARTITION BY mailbox_id ORDER BY uid) AS below
            FROM (SELECT mailbox_id, uid FROM messages
                UNION ALL SELECT mailbox_id, uid_next FROM mailboxes) AS known) AS gaps
        WHERE uid > below + 1""",
    "DROP TABLE expunged_2",
    "CREATE INDEX expunged_by_modseq ON expunged (mailbox_id, modseq)",
    # How many messages lie below recent_from, so that STATUS can tell the others without counting.
    "ALTER TABLE mailboxes ADD COLUMN old_messages BIGINT NOT NULL DEFAULT 0",
    """UPDATE mailboxes SET old_messages = (SELECT count(*) FROM messages AS m
        WHERE m.mailbox_id = mailboxes.mailbox_id AND m.uid < mailboxes.recent_from)""",
    # Opening a mailbox and SEARCH UNSEEN look at what is unseen only, which is little.
    "CREATE INDEX messages_unseen ON messages (mailbox_id, uid) WHERE (flags & 1) = 0",
    # EXPUNGE looks at what is marked only.
    "CREATE INDEX messages_deleted ON messages (mailbox_id, uid) WHERE (flags & 8) <> 0",
    "CREATE INDEX segments_dead ON segments (segment_id) WHERE live_blobs = 0",
    # How much waits in the queue, so that nobody needs to count it.
    """INSERT INTO counters (name, value) VALUES
        ('queued_messages', (SELECT count(*) FROM queue)),
        ('queued_recipients', (SELECT count(*) FROM queue_recipients))""",
    """CREATE TRIGGER queue_message_added AFTER INSERT ON queue BEGIN
            UPDATE counters SET value = value + 1 WHERE name = 'queued_messages';
        END""",
    """CREATE TRIGGER queue_message_removed AFTER DELETE ON queue BEGIN
            UPDATE counters SET value = value - 1 WHERE name = 'queued_messages';
        END""",
    """CREATE TRIGGER queue_recipient_added AFTER INSERT ON queue_recipients BEGIN
            UPDATE counters SET value = value + 1 WHERE name = 'queued_recipients';
        END""",
    """CREATE TRIGGER queue_recipient_removed AFTER DELETE ON queue_recipients BEGIN
            UPDATE counters SET value = value - 1 WHERE name = 'queued_recipients';
        END""",
    # Deleted messages until their time is over; each row counts as a reference to its blob.
    """CREATE TABLE vault (
        vault_id INTEGER NOT NULL PRIMARY KEY,
        account_id TEXT NOT NULL,
        mailbox_name TEXT NOT NULL,
        uid BIGINT NOT NULL,
        flags INTEGER NOT NULL,
        keywords TEXT NOT NULL,
        internal_date BIGINT NOT NULL,
        size_octets BIGINT NOT NULL,
        blob_id BIGINT NOT NULL,
        deleted_at BIGINT NOT NULL
    )""",
    "CREATE INDEX vault_by_account ON vault (account_id, deleted_at)",
    "CREATE INDEX vault_by_age ON vault (deleted_at)",
    # What POP3 calls messages that came from another server; all others are called by their UID.
    """CREATE TABLE uidls (
        mailbox_id BIGINT NOT NULL,
        uid BIGINT NOT NULL,
        uidl TEXT NOT NULL,
        PRIMARY KEY (mailbox_id, uid)
    ) WITHOUT ROWID""",
    # What came from elsewhere, so that it comes once.
    """CREATE TABLE imports (
        account_id TEXT NOT NULL,
        origin TEXT NOT NULL,
        folder TEXT NOT NULL,
        message_key TEXT NOT NULL,
        PRIMARY KEY (account_id, origin, folder, message_key)
    ) WITHOUT ROWID""",
    # Mailboxes that have held nothing but what one folder elsewhere brought, under its UIDs.
    """CREATE TABLE kept_uids (
        mailbox_id INTEGER NOT NULL PRIMARY KEY,
        origin TEXT NOT NULL,
        folder TEXT NOT NULL,
        uid_next BIGINT NOT NULL
    )""",
)

VERSION_4 = (
    # What the sender asked for (``queue_options``), the id in the trace, and why a message is held
    # (empty: it is not). Held ones are due when the hold ends, or never.
    "ALTER TABLE queue ADD COLUMN options TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE queue ADD COLUMN message_id TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE queue ADD COLUMN hold TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE queue_recipients ADD COLUMN options TEXT NOT NULL DEFAULT ''",
    # The highest number that a recipient of it has ever had: none is given twice.
    "ALTER TABLE queue ADD COLUMN last_number INTEGER NOT NULL DEFAULT 0",
    # Whether the sender has heard that it takes longer.
    "ALTER TABLE queue_recipients ADD COLUMN told_of_delay INTEGER NOT NULL DEFAULT 0",
    # What is due is picked by priority; what is held is found apart from it, and is counted.
    "ALTER TABLE queue ADD COLUMN priority INTEGER NOT NULL DEFAULT 0",
    "DROP INDEX queue_due",
    "CREATE INDEX queue_due ON queue (priority, due_at) WHERE hold = ''",
    "CREATE INDEX queue_held ON queue (due_at) WHERE hold <> ''",
    "INSERT INTO counters (name, value) VALUES ('held_messages', 0)",
    """CREATE TRIGGER queue_held_added AFTER INSERT ON queue WHEN new.hold <> '' BEGIN
            UPDATE counters SET value = value + 1 WHERE name = 'held_messages';
        END""",
    """CREATE TRIGGER queue_held_changed AFTER UPDATE OF hold ON queue
        WHEN (new.hold = '') <> (old.hold = '') BEGIN
            UPDATE counters SET value = value + CASE WHEN new.hold = '' THEN -1 ELSE 1 END
                WHERE name = 'held_messages';
        END""",
    """CREATE TRIGGER queue_held_removed AFTER DELETE ON queue WHEN old.hold <> '' BEGIN
            UPDATE counters SET value = value - 1 WHERE name = 'held_messages';
        END""",
    # What happened: a row holds the records of one commit, and later of many. ``keys`` are sorted
    # hashes of what its records are found by.
    """CREATE TABLE traces (
        trace_row INTEGER NOT NULL PRIMARY KEY,
        first_at BIGINT NOT NULL,
        last_at BIGINT NOT NULL,
        keys BLOB NOT NULL,
        records BLOB NOT NULL
    )""",
    # Who was asked to come again later, and who came.
    """CREATE TABLE greylist (
        pair TEXT NOT NULL PRIMARY KEY,
        first_at BIGINT NOT NULL,
        last_at BIGINT NOT NULL,
        passed BIGINT NOT NULL,
        expires_at BIGINT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX greylist_by_expiry ON greylist (expires_at)",
    "INSERT INTO counters (name, value) VALUES ('greylist', 0)",
    """CREATE TRIGGER greylist_added AFTER INSERT ON greylist BEGIN
            UPDATE counters SET value = value + 1 WHERE name = 'greylist';
        END""",
    """CREATE TRIGGER greylist_removed AFTER DELETE ON greylist BEGIN
            UPDATE counters SET value = value - 1 WHERE name = 'greylist';
        END""",
    # What each person sent in an hour (Unix time / 3600).
    """CREATE TABLE submissions (
        account_id TEXT NOT NULL,
        hour BIGINT NOT NULL,
        messages BIGINT NOT NULL,
        recipients BIGINT NOT NULL,
        PRIMARY KEY (account_id, hour)
    ) WITHOUT ROWID""",
    "CREATE INDEX submissions_by_hour ON submissions (hour)",
)

STEPS: tuple[tuple[str, ...], ...] = (
    VERSION_1,
    VERSION_2,
    VERSION_3,
    VERSION_4,
    VERSION_5,
    VERSION_6,
)
"""Step i (from 0) brings the store to version i + 1."""
