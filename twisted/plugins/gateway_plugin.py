"""What makes ``twistd gateway`` known to Twisted; everything else is in ``gateway.app``."""

from twisted.application.service import ServiceMaker

gateway = ServiceMaker(
    "gateway",
    "gateway.app.service",
    "A mail server for a company with a directory: SMTP, POP3 and IMAP.",
    "gateway",
)
