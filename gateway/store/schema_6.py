"""The sixth step of the index: what is kept of people beside their mail.

Owns data definitions, as ``schema`` does. Whoever a person is, the directory says; here is only
what it does not know, by the immutable id it gives them.
"""

from __future__ import annotations

_APP_PASSWORDS = (
    # Passwords made here for one program each; ``number`` is never used again. ``protocols`` and
    # ``networks`` are words with a blank between them.
    """CREATE TABLE app_passwords (
        number INTEGER NOT NULL PRIMARY KEY,
        account_id TEXT NOT NULL,
        handle TEXT NOT NULL,
        label TEXT NOT NULL,
        protocols TEXT NOT NULL,
        networks TEXT NOT NULL,
        made_by TEXT NOT NULL,
        made_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        hash TEXT NOT NULL,
        scram_iterations INTEGER NOT NULL,
        scram_salt BLOB NOT NULL,
        scram_stored_key BLOB NOT NULL,
        scram_server_key BLOB NOT NULL,
        used_at BIGINT NOT NULL,
        used_from TEXT NOT NULL,
        used_protocol TEXT NOT NULL,
        UNIQUE (account_id, handle)
    )""",
    "CREATE INDEX app_passwords_by_end ON app_passwords (expires_at) WHERE expires_at <> 0",
    "INSERT INTO counters (name, value) VALUES ('app_password', 0)",
)

_KEPT_PASSWORDS = (
    # The password that the directory last confirmed, as a slow hash, for when it is away.
    """CREATE TABLE kept_passwords (
        account_id TEXT NOT NULL PRIMARY KEY,
        hash TEXT NOT NULL,
        confirmed_at BIGINT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX kept_passwords_by_age ON kept_passwords (confirmed_at)",
)

_LOGIN_REFUSALS = (
    # Why people were not let in lately; ``number`` grows for each of them.
    """CREATE TABLE login_refusals (
        account_id TEXT NOT NULL,
        number BIGINT NOT NULL,
        at BIGINT NOT NULL,
        reason TEXT NOT NULL,
        protocol TEXT NOT NULL,
        peer_ip TEXT NOT NULL,
        PRIMARY KEY (account_id, number)
    ) WITHOUT ROWID""",
    "CREATE INDEX login_refusals_by_age ON login_refusals (at)",
)

_PEOPLE = (
    # What was last seen of people who have a mailbox or are disabled, and since when they are away
    # (times are 0 where they are not). ``addresses`` are case folded, with a line end between.
    """CREATE TABLE people_notes (
        account_id TEXT NOT NULL PRIMARY KEY,
        login TEXT NOT NULL,
        primary_address TEXT NOT NULL,
        addresses TEXT NOT NULL,
        noted_at BIGINT NOT NULL,
        disabled_since BIGINT NOT NULL,
        gone_since BIGINT NOT NULL,
        removed_at BIGINT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX people_away ON people_notes (account_id)"
    " WHERE disabled_since <> 0 OR gone_since <> 0",
    # Addresses that somebody had once.
    """CREATE TABLE former_addresses (
        address TEXT NOT NULL PRIMARY KEY,
        account_id TEXT NOT NULL,
        since BIGINT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX former_addresses_by_owner ON former_addresses (account_id)",
    "CREATE INDEX former_addresses_by_age ON former_addresses (since)",
)

VERSION_6: tuple[str, ...] = (*_APP_PASSWORDS, *_KEPT_PASSWORDS, *_LOGIN_REFUSALS, *_PEOPLE)
