"""The demo in front of a real OpenLDAP instead of its own file of people."""

from __future__ import annotations

from tests.support.gateway_process import Demo
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd


def ask_openldap(gateway: Demo, slapd: Slapd, *settings: str, more: str = "") -> None:
    """Write it into the configuration, before the gateway is started.

    Args:
        settings: further lines of ``[directory]``.
        more: further sections.
    """
    gateway.prepare()
    password_file = slapd.directory / "reader-password"
    password_file.write_text(f"{READER_PASSWORD}\n")
    before, _, rest = gateway.config.read_text().partition("[directory]")
    lines = [
        'kind = "ldap"',
        f'uri = ["{slapd.tls_uri}"]',
        f'base_dn = "{SUFFIX}"',
        f'bind_dn = "{READER_DN}"',
        f'bind_password_file = "{password_file}"',
        f'ca_file = "{slapd.ca_file}"',
        "timeout_s = 6.0",
        *settings,
    ]
    section = "\n".join(lines)
    gateway.config.write_text(
        f"{before}[directory]\n{section}\n\n[tls]{rest.partition('[tls]')[2]}\n{more}"
    )
