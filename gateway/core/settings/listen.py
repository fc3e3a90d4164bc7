"""The listeners: what is spoken where, and what each has of its own. Never reads anything."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from gateway.core.settings import checks
from gateway.core.settings.section import HostPort, Section, one_or_many

Networks = Annotated[
    tuple[Annotated[str, AfterValidator(checks.network)], ...],
    BeforeValidator(one_or_many),
    Field(strict=False),
]
"""Names of [networks], or addresses and networks as they are."""

OF_MAIL_DOORS = (
    "banner",
    "auth",
    "xclient_from",
    "etrn_from",
    "hold_days",
    "no_soliciting",
    "bare_newlines",
    "greet_pause_s",
    "message_octets",
    "recipients",
    "errors",
)
"""Settings that pop3, imap and http would not look at."""

SolicitationClass = Annotated[str, AfterValidator(checks.solicitation_class)]


class ListenSettings(Section):
    protocol: Literal["smtp", "submission", "lmtp", "pop3", "imap", "http"] = Field(
        description="what is spoken there"
    )
    address: HostPort = Field(description="address:port, [IPv6 address]:port")
    tls: Literal["none", "starttls", "implicit"] = Field(
        "starttls", description="http takes none or implicit only"
    )
    client_ca_file: str = Field(
        "",
        description="clients are asked for a certificate of these authorities; they need not have",
    )
    name: str = Field("", description="for logs, policies and the trace; empty: protocol and port")
    banner: Annotated[str, AfterValidator(checks.reply_text)] = Field(
        "", description="smtp: what the greeting says behind our name"
    )
    auth: Literal["", "no", "offered", "required"] = Field(
        "", description="AUTH; empty: no on smtp and lmtp, required on submission"
    )
    policy: str = Field(
        "",
        description="which of [policies] guards it; empty: that of its protocol's name",
    )
    proxy_from: Networks = Field(
        (), description="networks whose connections begin with a PROXY protocol header (v1, v2)"
    )
    xclient_from: Networks = Field(
        (), description="networks that may say by XCLIENT who the client is"
    )
    etrn_from: Networks = Field(
        (), description="networks that may have their waiting mail sent (ETRN) without a login"
    )
    hold_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        60, description="people may have their mail sent so much later (RFC 4865); 0: not at all"
    )
    no_soliciting: Annotated[tuple[SolicitationClass, ...], Field(strict=False)] = Field(
        (), description='classes of mail that nobody here wants (RFC 3865), as "net.example:ADV"'
    )
    bare_newlines: Literal["reject", "normalise", ""] = Field(
        "", description="CR and LF alone in messages; empty: reject from strangers, else normalise"
    )
    greet_pause_s: Annotated[float, Field(ge=0, le=30, strict=False)] = Field(
        0.02, description="smtp: who talks before the greeting that comes after so long is refused"
    )
    message_octets: Annotated[int, Field(ge=0)] = Field(
        0, description="largest message taken here; 0: limits.message_octets"
    )
    recipients: Annotated[int, Field(ge=0)] = Field(
        0, description="per message here; 0: limits.recipients"
    )
    errors: Annotated[int, Field(ge=1)] = Field(
        20, description="refused commands before the connection is closed; half of them are slow"
    )

    @property
    def label(self) -> str:
        """Its name for people."""
        return self.name or f"{self.protocol}:{checks.split_host_port(self.address)[1]}"


_STANDARD_LISTENERS = (
    ("smtp", 25, "starttls"),
    ("submission", 587, "starttls"),
    ("submission", 465, "implicit"),
    ("submission", 2525, "starttls"),
    ("pop3", 110, "starttls"),
    ("pop3", 995, "implicit"),
    ("imap", 143, "starttls"),
    ("imap", 993, "implicit"),
    ("http", 80, "none"),
    ("http", 443, "implicit"),
)


def standard_listeners(host: str, port_base: int = 0) -> tuple[ListenSettings, ...]:
    """Everything the gateway can serve, on ``port_base`` plus the standard ports of one address."""
    return tuple(
        ListenSettings.model_validate(
            {"protocol": protocol, "address": f"{host}:{port_base + port}", "tls": tls}
        )
        for protocol, port, tls in _STANDARD_LISTENERS
    )
