"""Who is in the 389 Directory Server of the tests: states, addresses, groups as its kin has them.

Owns LDIF alone. All passwords are ``PASSWORD``.
"""

from __future__ import annotations

from tests.support.ds389 import SUFFIX, Ds389

PASSWORD = "Sesam-0ffne-dich"
PEOPLE = f"ou=people,{SUFFIX}"
GROUPS = f"ou=groups,{SUFFIX}"


def dn_of(uid: str) -> str:
    return f"uid={uid},{PEOPLE}"


def person(uid: str, *lines: str) -> str:
    """A change record that adds somebody with an address."""
    return (
        f"dn: {dn_of(uid)}\nchangetype: add\nobjectClass: inetOrgPerson\n"
        f"objectClass: mailRecipient\nuid: {uid}\ncn: {uid.title()} Person\nsn: Person\n"
        f"mail: {uid}@example.test\nuserPassword: {PASSWORD}\n"
        + "".join(f"{line}\n" for line in lines)
        + "\n"
    )


_RECORDS = "".join(
    (
        person(
            "anna",
            "mailAlternateAddress: a.schmidt@example.test",
            "mailQuota: 1000000",
            "displayName: Anna Schmidt",
        ),
        # bert: locked by an administrator
        person("bert", "nsAccountLock: true"),
        # dora: has to change the password that an administrator gave her, see below
        person("dora"),
        # emil: locked when the server has started, by failed logins
        person("emil"),
        # fred: his password has expired
        person("fred"),
        person(
            "gina",
            "mailForwardingAddress: gina@elsewhere.test",
            "mailDeliveryOption: forward",
        ),
        f"dn: cn=staff,{GROUPS}\nchangetype: add\nobjectClass: groupOfNames\n"
        f"objectClass: mailGroup\ncn: staff\nmail: staff@example.test\nmember: {dn_of('anna')}\n"
        f"member: cn=subteam,{GROUPS}\n\n",
        f"dn: cn=subteam,{GROUPS}\nchangetype: add\nobjectClass: groupOfNames\n"
        f"cn: subteam\nmember: {dn_of('gina')}\nmember: {dn_of('bert')}\n\n",
    )
)

_AFTERWARDS = f"""\
dn: {dn_of("fred")}
changetype: modify
replace: passwordExpirationTime
passwordExpirationTime: 20200101000000Z

dn: cn=config
changetype: modify
replace: passwordMustChange
passwordMustChange: on

dn: {dn_of("dora")}
changetype: modify
replace: userPassword
userPassword: {PASSWORD}

"""


def ds389() -> Ds389:
    """A started server with everybody in it."""
    server = Ds389(_RECORDS)
    try:
        server.start()
        server.change(_AFTERWARDS)
        server.lock_out(dn_of("emil"))
    except BaseException:
        server.close()
        raise
    return server
