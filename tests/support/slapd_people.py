"""Who is in the OpenLDAP of the tests that has a password policy: every state it can bring about.

Owns LDIF alone. All passwords are ``PASSWORD``.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.slapd import SUFFIX, Slapd

PASSWORD = "Sesam-0ffne-dich"
PEOPLE = f"ou=people,{SUFFIX}"


def dn_of(uid: str) -> str:
    return f"uid={uid},{PEOPLE}"


def _person(uid: str, number: int, *lines: str) -> str:
    return (
        f"dn: {dn_of(uid)}\nobjectClass: inetOrgPerson\nobjectClass: inetLocalMailRecipient\n"
        f"objectClass: mailPerson\nentryUUID: 99999999-2222-3333-4444-{number:012d}\nuid: {uid}\n"
        f"cn: {uid.title()} Person\nsn: Person\nmail: {uid}@example.test\n"
        f"userPassword: {PASSWORD}\n" + "".join(f"{line}\n" for line in lines) + "\n"
    )


EVERYBODY = "".join(
    (
        _person("anna", 1, "proxyAddresses: smtp:a.schmidt@example.test"),
        # bert: locked by an administrator
        _person("bert", 2, "pwdAccountLockedTime: 000001010000Z"),
        # dora: has to change the password that she was given
        _person("dora", 3, "pwdReset: TRUE"),
        # emil: locked when the server has started, by failed logins
        _person("emil", 4),
        # fred: his password has expired
        _person("fred", 5, "pwdChangedTime: 20200101000000Z"),
        # gina: the same, and she may log in a few times more
        _person(
            "gina",
            6,
            "pwdChangedTime: 20200101000000Z",
            f"pwdPolicySubentry: cn=grace,ou=policies,{SUFFIX}",
        ),
        # hans: was locked by failed logins for a time that is over
        _person("hans", 7, "pwdAccountLockedTime: 20200101000000Z"),
    )
)


def slapd_with_policy(directory: Path) -> Slapd:
    """A started server with everybody in it."""
    server = Slapd(directory, EVERYBODY, overlays=("policy", "syncprov", "dynlist"))
    server.start()
    server.lock_out(dn_of("emil"))
    return server
