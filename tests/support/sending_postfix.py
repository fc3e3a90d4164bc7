"""A private Postfix that hands everything on to one port of this machine, by SMTP or by LMTP."""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.support.postfix import Postfix
from tests.support.programs import need


class SendingPostfix(Postfix):
    """Takes mail on its own port from loopback, and sends it on."""

    def __init__(
        self, root: Path, port: int, *, transport: str, tls: str, more: Mapping[str, str]
    ) -> None:
        settings = {
            "smtpd_recipient_restrictions": "permit_mynetworks, reject",
            "default_transport": f"{transport}:[127.0.0.1]:{port}",
            "relay_transport": "$default_transport",
            "virtual_mailbox_domains": "",
            "smtp_tls_security_level": tls,
            "smtputf8_enable": "yes",
            "smtp_dns_support_level": "disabled",
            **more,
        }
        super().__init__(root, settings=settings)

    def _configure(self, owner: pwd.struct_passwd) -> None:
        super()._configure(owner)
        master = self.root / "etc" / "master.cf"
        master.write_text(f"{master.read_text()}lmtp unix - - n - - lmtp\n")


@contextmanager
def sending_postfix(
    port: int,
    *,
    transport: str = "smtp",
    tls: str = "may",
    more: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Postfix]:
    """Args: more: parameters of main.cf."""
    need("postfix")
    if os.getuid() != 0:
        pytest.skip("Postfix' master process needs root")
    with tempfile.TemporaryDirectory(prefix="postfix-", ignore_cleanup_errors=True) as folder:
        postfix = SendingPostfix(Path(folder), port, transport=transport, tls=tls, more=more)
        try:
            postfix.start()
            yield postfix
        finally:
            postfix.stop()
