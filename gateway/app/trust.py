"""Authorities from a PEM file that the settings name, as Twisted's clients want them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from OpenSSL import crypto
from twisted.internet.ssl import Certificate, trustRootFromCertificates

from gateway.core.errors import SettingsError, SettingsProblem

_END = "-----END CERTIFICATE-----"


def trust_root(file: str, setting: str) -> Any:
    """Whom clients of ours believe: the authorities in this file, and nobody else.

    Raises:
        SettingsError: there are none in it, or it cannot be read.
    """
    try:
        blocks = Path(file).read_text("latin-1").split(_END)[:-1]
        authorities = [
            Certificate.loadPEM(f"{block}{_END}\n".encode("latin-1")) for block in blocks
        ]
        if not authorities:
            raise ValueError
    except (OSError, ValueError, crypto.Error) as error:
        found = getattr(error, "strerror", None) or "no usable certificate"
        problem = SettingsProblem(file, setting, found, "a file of PEM certificates")
        raise SettingsError([problem]) from None
    return trustRootFromCertificates(authorities)
