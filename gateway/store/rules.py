"""What must hold in the index, as questions that find what contradicts it.

Owns one statement for each invariant of ``schema``; each goes through its tables in the order of an
index, or sorts outside of memory, so a million messages are a matter of seconds. Never looks at
files (``octets``) and never changes anything (``repair`` does, by the rule's name).
"""

from __future__ import annotations

from gateway.store import bounds, queue_rules
from gateway.store.flags import SEEN
from gateway.store.queue_rules import Rule
from gateway.store.segments import HEADER


def _orphans(name: str, text: str, table: str, columns: str, test: str) -> Rule:
    return Rule(name, text, f"SELECT {columns} FROM {table} AS t WHERE {test}")  # noqa: S608 - own names only


_NO_MAILBOX = "NOT EXISTS (SELECT 1 FROM mailboxes AS b WHERE b.mailbox_id = t.mailbox_id)"
_NO_ACCOUNT = "NOT EXISTS (SELECT 1 FROM accounts AS a WHERE a.account_id = t.account_id)"
_NO_BLOB = "NOT EXISTS (SELECT 1 FROM blobs AS b WHERE b.blob_id = t.blob_id)"

_ID_COUNTERS = ("blob", "mailbox", "queue", "segment")
COUNTERS = (*_ID_COUNTERS, "uid_validity", "queued_messages", "queued_recipients", "held_messages")
_KNOWN_COUNTERS = " UNION ALL ".join(f"SELECT '{name}' AS name" for name in COUNTERS)

RULES: tuple[Rule, ...] = (
    # -- numbers that nobody can have given; before all that counts and compares
    Rule("octets' row", "octets {0} have a row that cannot be", bounds.BLOBS_OUTSIDE),
    Rule("segment row", "segment {0} has a number that cannot be", bounds.SEGMENTS.outside),
    Rule(
        "counter", "the counter {0} is missing, or has a number that cannot be",
        f"""SELECT known.name FROM ({_KNOWN_COUNTERS}) AS known
        LEFT JOIN counters AS c ON c.name = known.name
        WHERE c.value IS NULL OR c.value NOT BETWEEN 0 AND
            CASE known.name WHEN 'uid_validity' THEN {2**32 - 1} ELSE {bounds.LAST_NUMBER} END""",  # noqa: S608 - own names only
    ),
    Rule(
        "account numbers", "account {0} has a number that cannot be", bounds.ACCOUNTS.outside,
    ),
    Rule(
        "mailbox numbers", "mailbox {0} counts a number that cannot be",
        bounds.MAILBOX_COUNTERS.outside,
    ),
    Rule(
        "mailbox UIDs", "mailbox {0} has a UIDVALIDITY, next UID or MODSEQ that cannot be",
        bounds.MAILBOX_UIDS.outside,
    ),
    Rule(
        "message numbers", "mailbox {0}: message {1} has a number that cannot be",
        bounds.MESSAGES.outside,
    ),
    Rule(
        "stretch numbers", "mailbox {0}: expunged UIDs from {1} have a number that cannot be",
        bounds.STRETCHES.outside,
    ),
    Rule(
        "queue numbers", "queued message {0} has a number that cannot be", bounds.QUEUE.outside,
    ),
    *queue_rules.NUMBERS,
    Rule(
        "deleted numbers", "deleted message {0} has a number that cannot be",
        bounds.VAULT.outside,
    ),
    # -- rows that point to nothing
    _orphans(
        "message without mailbox", "message {1} lies in mailbox {0}, which does not exist",
        "messages", "t.mailbox_id, t.uid, t.blob_id", _NO_MAILBOX,
    ),
    _orphans(
        "message without octets",
        "mailbox {0}: message {1} points to octets {2}, which do not exist",
        "messages", "t.mailbox_id, t.uid, t.blob_id", _NO_BLOB,
    ),
    _orphans(
        "queued without octets", "queued message {0} points to octets {1}, which do not exist",
        "queue", "t.queue_id, t.blob_id", _NO_BLOB,
    ),
    _orphans(
        "deleted without octets", "deleted message {0} points to octets {1}, which do not exist",
        "vault", "t.vault_id, t.blob_id", _NO_BLOB,
    ),
    _orphans(
        "queued without recipients", "queued message {0} has no recipients",
        "queue", "t.queue_id",
        "NOT EXISTS (SELECT 1 FROM queue_recipients AS r WHERE r.queue_id = t.queue_id)",
    ),
    _orphans(
        "recipient without message", "queued recipient {1} of {0} belongs to no message",
        "queue_recipients", "t.queue_id, t.number",
        "NOT EXISTS (SELECT 1 FROM queue AS q WHERE q.queue_id = t.queue_id)",
    ),
    *queue_rules.MEANINGS,
    _orphans(
        "mailbox without account", "mailbox {0} belongs to account {1}, which does not exist",
        "mailboxes", "t.mailbox_id, t.account_id", _NO_ACCOUNT,
    ),
    _orphans(
        "subscription without account", "account {0}, which does not exist, is subscribed to {1}",
        "subscriptions", "t.account_id, t.name", _NO_ACCOUNT,
    ),
    Rule(
        "account without INBOX", "account {0} has no INBOX",
        "SELECT account_id FROM accounts AS a WHERE NOT EXISTS (SELECT 1 FROM mailboxes AS b"
        " WHERE b.mailbox_id = a.inbox_id AND b.account_id = a.account_id AND b.name = 'INBOX')",
    ),
    _orphans(
        "summary without octets", "the summary of octets {0} belongs to nothing",
        "summaries", "t.blob_id", _NO_BLOB,
    ),
    _orphans(
        "stretch without mailbox",
        "expunged UIDs from {1} are those of mailbox {0}, which does not exist",
        "expunged", "t.mailbox_id, t.first_uid", _NO_MAILBOX,
    ),
    _orphans(
        "keyword without mailbox", "keyword {1} is one of mailbox {0}, which does not exist",
        "keywords", "t.mailbox_id, t.folded", _NO_MAILBOX,
    ),
    # Of a mailbox only: the rows outlive their messages, so that POP3 gives no name twice.
    _orphans(
        "uidl without mailbox",
        "a POP3 UIDL of message {1} is one of mailbox {0}, which does not exist",
        "uidls", "t.mailbox_id, t.uid", _NO_MAILBOX,
    ),
    _orphans(
        "kept UIDs without mailbox", "imported UIDs are kept for mailbox {0}, which does not exist",
        "kept_uids", "t.mailbox_id", _NO_MAILBOX,
    ),
    _orphans(
        "import without account",
        "what was imported from {1} belongs to account {0}, which does not exist",
        "imports", "DISTINCT t.account_id, t.origin", _NO_ACCOUNT,
    ),
    # -- UIDs and MODSEQs
    Rule(
        "message UID", "mailbox {0}: a message has the UID {1}, which cannot be",
        bounds.MESSAGE_UIDS.outside,
    ),
    Rule(
        "UID not below the next", "mailbox {0}: message {1} is not below the next UID {2}",
        "SELECT * FROM (SELECT mailbox_id, (SELECT max(m.uid) FROM messages AS m"
        " WHERE m.mailbox_id = b.mailbox_id) AS last_uid, uid_next FROM mailboxes AS b) AS last"
        " WHERE last_uid >= uid_next",
    ),
    Rule(
        "MODSEQ out of bounds",
        "mailbox {0}: message {1} has MODSEQ {2} above the mailbox's {3} or below its own first",
        "SELECT m.mailbox_id, m.uid, m.modseq, b.highest_modseq FROM messages AS m"
        " JOIN mailboxes AS b ON b.mailbox_id = m.mailbox_id"
        " WHERE m.modseq > b.highest_modseq OR m.modseq < m.created_modseq",
    ),
    Rule(
        "MODSEQ order", "mailbox {0}: message {1} is older by MODSEQ than one before it",
        "SELECT mailbox_id, uid FROM messages AS m WHERE created_modseq < (SELECT p.created_modseq"
        " FROM messages AS p WHERE p.mailbox_id = m.mailbox_id AND p.uid < m.uid"
        " ORDER BY p.uid DESC LIMIT 1)",
    ),
    # One look into the messages for each stretch, however long it is.
    Rule(
        "living although expunged",
        "mailbox {0}: message {1} is there although it was expunged (UIDs {2} to {3})",
        "SELECT mailbox_id, living, first_uid, last_uid FROM (SELECT mailbox_id, first_uid,"
        " last_uid, (SELECT min(m.uid) FROM messages AS m WHERE m.mailbox_id = e.mailbox_id"
        " AND m.uid BETWEEN e.first_uid AND e.last_uid) AS living FROM expunged AS e) AS looked_up"
        " WHERE living IS NOT NULL",
    ),
    Rule(
        "expunged stretch",
        "mailbox {0}: expunged UIDs {1} to {2} are no stretch of their own below the next UID {3},"
        " or their MODSEQ {4} is above the mailbox's {5}",
        "SELECT e.mailbox_id, e.first_uid, e.last_uid, b.uid_next, e.modseq, b.highest_modseq"
        " FROM (SELECT mailbox_id, first_uid, last_uid, modseq, max(last_uid) OVER (PARTITION BY"
        " mailbox_id ORDER BY first_uid ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before"
        " FROM expunged) AS e JOIN mailboxes AS b ON b.mailbox_id = e.mailbox_id"
        " WHERE e.first_uid > e.last_uid OR e.last_uid >= b.uid_next OR e.first_uid < 1"
        " OR e.first_uid <= e.before + 1 OR e.modseq > b.highest_modseq",
    ),
    Rule(
        "UIDs that are nowhere",
        "mailbox {0}: the next UID is {1}, but only {2} messages and {3} expunged UIDs are known",
        "SELECT * FROM (SELECT mailbox_id, uid_next, (SELECT count(*) FROM messages AS m"
        " WHERE m.mailbox_id = b.mailbox_id) AS living, (SELECT coalesce(sum(last_uid - first_uid"
        " + 1), 0) FROM expunged AS e WHERE e.mailbox_id = b.mailbox_id) AS gone"
        " FROM mailboxes AS b) AS counted WHERE uid_next - 1 <> living + gone",
    ),
    Rule(
        "id given twice", "the next id of the kind {0} is {1}, but {2} is in use",
        "SELECT c.name, c.value, used.id FROM counters AS c JOIN (SELECT 'blob' AS name,"  # noqa: S608 - own numbers only
        " max(blob_id) AS id FROM blobs UNION ALL SELECT 'mailbox', max(mailbox_id) FROM mailboxes"
        " UNION ALL SELECT 'queue', max(queue_id) FROM queue"
        " UNION ALL SELECT 'segment', max(segment_id) FROM segments"
        " UNION ALL SELECT 'uid_validity', max(uid_validity) FROM mailboxes) AS used"
        " ON used.name = c.name WHERE c.value < used.id"
        f" AND used.id <= {bounds.LAST_ID}",
    ),
    # -- counters, in this order: each is made of those before it
    Rule(
        "message size", "mailbox {0}: message {1} has {2} octets, but {3} are stored",
        "SELECT m.mailbox_id, m.uid, m.size_octets, b.size_octets FROM messages AS m"
        " JOIN blobs AS b ON b.blob_id = m.blob_id WHERE m.size_octets <> b.size_octets",
    ),
    Rule(
        "mailbox counters",
        "mailbox {0} counts {1} messages, {2} unseen, {3} octets, {4} not recent;"
        " it has {5}, {6}, {7}, {8}",
        f"""SELECT * FROM (SELECT b.mailbox_id, b.messages, b.unseen, b.size_octets, b.old_messages,
            count(m.uid) AS has_messages,
            count(CASE WHEN (m.flags & {SEEN}) = 0 THEN 1 END) AS has_unseen,
            coalesce(sum(m.size_octets), 0) AS has_octets,
            count(CASE WHEN m.uid < b.recent_from THEN 1 END) AS has_old
        FROM mailboxes AS b LEFT JOIN messages AS m ON m.mailbox_id = b.mailbox_id
        GROUP BY b.mailbox_id, b.messages, b.unseen, b.size_octets, b.old_messages) AS counted
        WHERE messages <> has_messages OR unseen <> has_unseen OR size_octets <> has_octets
        OR old_messages <> has_old""",  # noqa: S608 - own names only
    ),
    Rule(
        "account counters",
        "account {0} counts {1} messages of {2} octets; its mailboxes hold {3} of {4}",
        "SELECT * FROM (SELECT a.account_id, a.messages, a.size_octets,"
        " coalesce(sum(b.messages), 0) AS has_messages,"
        " coalesce(sum(b.size_octets), 0) AS has_octets FROM accounts AS a"
        " LEFT JOIN mailboxes AS b ON b.account_id = a.account_id"
        " GROUP BY a.account_id, a.messages, a.size_octets) AS counted"
        " WHERE messages <> has_messages OR size_octets <> has_octets",
    ),
    Rule(
        "queue counters", "{0} counts {1}; there are {2}",
        "SELECT c.name, c.value, has.rows FROM counters AS c JOIN"
        " (SELECT 'queued_messages' AS name, count(*) AS rows FROM queue"
        " UNION ALL SELECT 'queued_recipients', count(*) FROM queue_recipients"
        " UNION ALL SELECT 'held_messages', count(*) FROM queue WHERE hold <> '') AS has"
        " ON has.name = c.name WHERE c.value <> has.rows",
    ),
    Rule(
        "references", "octets {0} count {1} references; there are {2}",
        # One sort of all, which costs a third of a join with what is counted.
        "SELECT blob_id, sum(kept), sum(found) FROM (SELECT blob_id, refs AS kept, 0 AS found,"
        " 1 AS is_there FROM blobs UNION ALL SELECT blob_id, 0, 1, 0 FROM messages UNION ALL"
        " SELECT blob_id, 0, 1, 0 FROM queue UNION ALL SELECT blob_id, 0, 1, 0 FROM vault) AS both"
        " GROUP BY blob_id HAVING max(is_there) = 1 AND (sum(kept) <> sum(found) OR sum(kept) = 0)",
    ),
    Rule(
        "segment counters",
        "segment {0} counts {1} live messages of {2} octets; there are {3} of {4}",
        "SELECT * FROM (SELECT s.segment_id, s.live_blobs, s.live_octets, count(b.blob_id)"
        " AS has_blobs, coalesce(sum(b.size_octets), 0) AS has_octets FROM segments AS s"
        " LEFT JOIN blobs AS b ON b.segment_id = s.segment_id AND b.file_name = ''"
        " GROUP BY s.segment_id, s.live_blobs, s.live_octets) AS counted"
        " WHERE live_blobs <> has_blobs OR live_octets <> has_octets",
    ),
    Rule(
        "segment not listed", "segment {0} holds {1} messages, but is not listed",
        "SELECT segment_id, (SELECT count(*) FROM blobs AS b WHERE b.segment_id = known.segment_id"
        " AND b.file_name = '') AS holds FROM (SELECT DISTINCT segment_id FROM blobs"
        " WHERE segment_id > 0) AS known WHERE holds > 0 AND NOT EXISTS"
        " (SELECT 1 FROM segments AS s WHERE s.segment_id = known.segment_id)",
    ),
    Rule(
        "octets in each other", "octets {0} begin inside the ones before them in segment {1}",
        "SELECT n.blob_id, n.segment_id FROM blobs AS b JOIN blobs AS n"  # noqa: S608 - own numbers only
        " ON n.segment_id = b.segment_id AND n.blob_id <> b.blob_id AND n.segment_offset"
        f" BETWEEN b.segment_offset AND b.segment_offset + {HEADER.size - 1} + b.size_octets"
        " WHERE b.segment_id > 0",
    ),
)  # fmt: skip

OF_OCTETS = tuple(rule for rule in RULES if rule.name == "octets' row")
"""What must hold before octets can be looked for."""
