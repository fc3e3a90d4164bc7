"""``gateway health``: does the gateway answer where the configuration says it listens?

Speaks SMTP and IMAP to the listeners themselves, so it sees what clients see; for container health
checks and monitoring. Never logs in.
"""

from __future__ import annotations

import imaplib
import smtplib
import ssl
from collections.abc import Callable

import click

from gateway.cli.options import config_option, load_settings
from gateway.core.settings.checks import split_host_port
from gateway.core.settings.listen import ListenSettings

_TO_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared, not bound


@click.command()
@config_option
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, 3600, min_open=True),
    default=5.0,
    show_default=True,
    help="Seconds per listener.",
)
def health(config_path: str | None, timeout_s: float) -> None:
    """Speak SMTP and IMAP to the gateway.

    The first listener of each in the configuration is asked; the exit status is 1 if one does not
    answer.
    """
    listeners = load_settings(config_path).settings.listen
    failed = False
    for protocols, probe in ((("smtp", "submission"), _smtp), (("imap",), _imap)):
        chosen = next((each for each in listeners if each.protocol in protocols), None)
        if chosen is not None:
            failed = not _report(chosen, probe, timeout_s) or failed
    if failed:
        raise SystemExit(1)


def _report(
    listener: ListenSettings, probe: Callable[[ListenSettings, float], str], timeout_s: float
) -> bool:
    name = f"{listener.protocol} {listener.address}"
    try:
        click.echo(f"ok      {name}: {probe(listener, timeout_s)}")
    except (OSError, smtplib.SMTPException, imaplib.IMAP4.error) as error:
        click.echo(f"failed  {name}: {error}; is the gateway running? see `gateway status`")
        return False
    return True


def _target(listener: ListenSettings) -> tuple[str, int]:
    host, port = split_host_port(listener.address)
    return _TO_LOOPBACK.get(host, host), port


def _unverified() -> ssl.SSLContext:
    # The name in our certificate is not 127.0.0.1, and the probe asks for life, not identity.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _smtp(listener: ListenSettings, timeout_s: float) -> str:
    host, port = _target(listener)
    if listener.tls == "implicit":
        client: smtplib.SMTP = smtplib.SMTP_SSL(
            host, port, "localhost", timeout=timeout_s, context=_unverified()
        )
    else:
        client = smtplib.SMTP(host, port, "localhost", timeout=timeout_s)
    with client:
        code, _ = client.ehlo()
        if code != 250:
            raise smtplib.SMTPResponseException(code, "EHLO was refused")
    return f"EHLO answered {code}"


def _imap(listener: ListenSettings, timeout_s: float) -> str:
    host, port = _target(listener)
    if listener.tls == "implicit":
        client: imaplib.IMAP4 = imaplib.IMAP4_SSL(
            host, port, ssl_context=_unverified(), timeout=timeout_s
        )
    else:
        client = imaplib.IMAP4(host, port, timeout=timeout_s)
    with client:
        answer, _ = client.noop()
        if answer != "OK":
            raise imaplib.IMAP4.error(f"NOOP answered {answer}")
    return "NOOP answered OK"
