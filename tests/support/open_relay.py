"""The open relay set of SECURITY 1.6: nmap's 16, and what others have fallen for.

``HOST`` is our host name, ``US`` our domain, ``IP`` our address, as a test's server has them.
"""

from __future__ import annotations

from collections.abc import Iterator

HOST = "mail.example.test"
US = "example.test"
IP = "192.0.2.1"
TARGET = "relaytest@ext.test"


def nmap(host: str = HOST, ip: str = IP) -> list[tuple[str, str]]:
    """Sender and recipient of each of the 16 tests of nmap's smtp-open-relay, in its order."""
    sender = f"antispam@[{ip}]"
    return [
        ("", TARGET),
        ("antispam@ext.test", TARGET),
        (f"antispam@{host}", TARGET),
        (sender, TARGET),
        (sender, f"relaytest%ext.test@[{ip}]"),
        (sender, f"relaytest%ext.test@{host}"),
        (sender, f'"{TARGET}"'),
        (sender, '"relaytest%ext.test"'),
        (sender, f"{TARGET}@[{ip}]"),
        (sender, f'"{TARGET}"@[{ip}]'),
        (sender, f"{TARGET}@{host}"),
        (sender, f"@[{ip}]:{TARGET}"),
        (sender, f"@{host}:{TARGET}"),
        (sender, "ext.test!relaytest"),
        (sender, f"ext.test!relaytest@[{ip}]"),
        (sender, f"ext.test!relaytest@{host}"),
    ]


def senders(host: str = HOST, us: str = US, ip: str = IP) -> list[str]:
    """Reverse-paths that claim to be somebody."""
    return [
        "",
        "antispam@ext.test",
        f"antispam@{host}",
        f"antispam@{us}",
        f"antispam@[{ip}]",
        "test@localhost",
        "test",
        f"postmaster@{host}",
        f"alice@{us}",
    ]


def recipients(host: str = HOST, us: str = US, ip: str = IP) -> list[str]:
    """Forward-paths that may never be taken from a stranger."""
    return [
        *dict.fromkeys(recipient for _, recipient in nmap(host, ip)),
        f"relaytest%ext.test@{us}",
        f'"{TARGET}"@{us}',
        f"{TARGET}@{us}",
        f"@{us}:{TARGET}",
        f"@{us},@{host}:{TARGET}",
        f"ext.test!relaytest@{us}",
        f"ext.test!us!relaytest@{us}",
        f"relaytest%ext.test%{us}@{us}",
        "relaytest%ext.test",
        f'"{TARGET}"@localdomain',
        f"{TARGET}@localdomain",
        f"{TARGET}%localdomain",
        f"@localdomain:{TARGET}",
        "relaytest@[198.51.100.1]",
        "relaytest@[IPv6:2001:db8::1]",
        "relaytest@localdomain.ext.test",
        TARGET.upper(),
        "RelayTest@Ext.Test",
        f"{TARGET}.",
        f"relaytest@{us}.ext.test",
        f"relaytest@ext.test.{us}",
        f"relaytest@x{us}",
        f"relaytest@xn--{us}",
        "relaytest@\u0435\u0445t.test",  # Cyrillic
        f"relaytest@\u0435{us[1:]}",
        f"{TARGET} ",
        f"<{TARGET}>",
        f"alice@{us},{TARGET}",
        f"alice@{us}>,<{TARGET}",
        f"alice+{TARGET}@{us}",
    ]


def every_pair(host: str = HOST, us: str = US, ip: str = IP) -> Iterator[tuple[str, str]]:
    """Each sender with each recipient."""
    for sender in senders(host, us, ip):
        for recipient in recipients(host, us, ip):
            yield sender, recipient
