"""Who is in the Samba domain of the tests: states, names, addresses and groups of Active Directory.

Owns LDIF alone. All passwords are ``PASSWORD``. The mail domain (example.test) is neither the DNS
domain nor the suffix of every userPrincipalName.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

REALM = "AD.EXAMPLE.TEST"
DNS_DOMAIN = REALM.lower()
NETBIOS_DOMAIN = "EXAMPLE"
BASE = "DC=ad,DC=example,DC=test"
PEOPLE = f"OU=People,{BASE}"
GROUPS = f"OU=Groups,{BASE}"
READER_DN = f"CN=gateway,OU=Services,{BASE}"
PASSWORD = "Sesam-0ffne-dich"
ADMINISTRATOR = f"Administrator@{DNS_DOMAIN}"
ADMINISTRATOR_PASSWORD = "Adm1n-secret"
LOCKOUT_THRESHOLD = 3
CROWD = 1600
"""Members of the group ``crowd``: more than a server returns of one attribute at once."""

_LONG_AGO = 132223104000000000  # 1 January 2020 as FILETIME
_UNIT = "dn: OU={name},{base}\nchangetype: add\nobjectClass: organizationalUnit\nou: {name}\n\n"
_POLICY = f"""\
dn: {BASE}
changetype: modify
replace: lockoutThreshold
lockoutThreshold: {LOCKOUT_THRESHOLD}
-
replace: pwdProperties
pwdProperties: 0
-
replace: maxPwdAge
maxPwdAge: -9223372036854775808

"""


def dn_of(name: str) -> str:
    return f"CN={name},{PEOPLE}"


def password_line(password: str) -> str:
    """``unicodePwd``: in quotes, in UTF-16 (MS-ADTS 3.1.1.3.1.5.1)."""
    octets = f'"{password}"'.encode("utf-16-le")
    return f"unicodePwd:: {base64.b64encode(octets).decode()}\n"


def user(name: str, *lines: str, control: int = 512, dn: str = "", password: str = PASSWORD) -> str:
    """A change record that adds a person; ``control``: userAccountControl."""
    own = [line for line in lines if line]
    if not any(line.startswith("userPrincipalName:") for line in own):
        own.append(f"userPrincipalName: {name}@{DNS_DOMAIN}")
    return (
        f"dn: {dn or dn_of(name)}\nchangetype: add\nobjectClass: user\n"
        f"sAMAccountName: {name}\nuserAccountControl: {control}\n"
        f"{password_line(password)}{_lines(own)}\n"
    )


def group(name: str, *members: str, mail: str = "", lines: tuple[str, ...] = ()) -> str:
    """A change record that adds a group; members are DNs."""
    rows = [f"member: {dn}" for dn in members]
    rows += [f"mail: {mail}"] if mail else []
    return (
        f"dn: CN={name},{GROUPS}\nchangetype: add\nobjectClass: group\nsAMAccountName: {name}\n"
        f"{_lines((*rows, *lines))}\n"
    )


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _crowd() -> str:
    names = [f"c{number:04d}" for number in range(CROWD)]
    people = "".join(
        f"dn: CN={name},OU=Crowd,{BASE}\nchangetype: add\nobjectClass: user\n"
        f"sAMAccountName: {name}\nmail: {name}@crowd.example.test\n\n"
        for name in names
    )
    members = [f"CN={name},OU=Crowd,{BASE}" for name in names]
    return people + group("crowd", *members, mail="crowd@example.test")


def all_records() -> str:
    """Everybody, as change records for an empty domain."""
    return "".join(
        (
            _POLICY,
            *(_UNIT.format(name=each, base=BASE) for each in _UNITS),
            user("gateway", dn=READER_DN),
            *_PEOPLE,
            *_GROUPS,
            _crowd(),
        )
    )


_UNITS = ("People", "Groups", "Services", "Crowd")
_PEOPLE = (
    # anna: everything that a person of an Exchange past has
    user(
        "anna",
        "mail: Anna.Schmidt@example.test",
        "displayName: Schmidt, Anna (Vertrieb)",
        "proxyAddresses: SMTP:Anna.Schmidt@example.test",
        "proxyAddresses: smtp:anna@example.test",
        "proxyAddresses: smtp:a.schmidt@example.org",
        "proxyAddresses: SIP:anna.schmidt@example.test",
        "proxyAddresses: X400:c=DE;a= ;p=Example;o=Mail;s=Schmidt;g=Anna;",
        "otherMailbox: anna@private.test",
    ),
    user("bert", "mail: bert@example.test", control=514),
    user("cleo", "mail: cleo@example.test", f"accountExpires: {_LONG_AGO}"),
    user("dora", "mail: dora@example.test", "pwdLastSet: 0"),
    # emil: locked out when the server has started, by failed logins
    user("emil", "mail: emil@example.test"),
    # fred: his password has expired, by a policy of his own (a day; Samba takes less for never)
    user("fred", "mail: fred@example.test"),
    # gina: her userPrincipalName is neither her address nor of the DNS domain
    user(
        "gina",
        "mail: gina@example.test",
        "userPrincipalName: g.weber@corp.example.test",
    ),
    # hugo: may log in at no hour of the week
    user("hugo", "mail: hugo@example.test", f"logonHours:: {'A' * 28}"),
    # ida: her primary group, which memberOf leaves out, is set below
    user("ida", "mail: ida@example.test"),
    # jörg: names beyond ASCII
    user("joerg", "mail: joerg@example.test", "displayName:: SsO2cmcgTcO8bGxlcg=="),
    # twins: mail is not unique
    user("kai", "mail: twin@example.test"),
    user("kim", "mail: twin@example.test"),
    # lena: nothing but the account; no mail at all
    user("lena"),
    # mona: never expires, said in the other way
    user("mona", "mail: mona@example.test", "accountExpires: 0", control=66048),
    f"dn: CN=partner,{PEOPLE}\nchangetype: add\nobjectClass: contact\n"
    "mail: partner@elsewhere.test\nproxyAddresses: SMTP:partner@example.test\n\n",
    f"dn: CN=short,CN=Password Settings Container,CN=System,{BASE}\nchangetype: add\n"
    "objectClass: msDS-PasswordSettings\nmsDS-PasswordSettingsPrecedence: 1\n"
    "msDS-PasswordReversibleEncryptionEnabled: FALSE\nmsDS-PasswordHistoryLength: 0\n"
    "msDS-PasswordComplexityEnabled: FALSE\nmsDS-MinimumPasswordLength: 0\n"
    "msDS-MinimumPasswordAge: 0\nmsDS-MaximumPasswordAge: -864000000001\n"
    f"msDS-LockoutThreshold: {LOCKOUT_THRESHOLD}\n"
    "msDS-LockoutObservationWindow: -18000000000\nmsDS-LockoutDuration: -18000000000\n"
    f"msDS-PSOAppliesTo: {dn_of('fred')}\n\n",
)
_GROUPS = (
    group("subteam", dn_of("gina"), dn_of("bert"), mail="subteam@example.test"),
    group("staff", dn_of("anna"), f"CN=subteam,{GROUPS}", mail="staff@example.test"),
    group("silent", dn_of("anna"), f"CN=staff,{GROUPS}"),
    group("loop1", dn_of("anna"), mail="loop1@example.test"),
    group("loop2", dn_of("gina"), f"CN=loop1,{GROUPS}", mail="loop2@example.test"),
    f"dn: CN=loop1,{GROUPS}\nchangetype: modify\nadd: member\nmember: CN=loop2,{GROUPS}\n\n",
    group("branch", dn_of("ida"), mail="branch@example.test"),
)
