"""A client that sends by BDAT (RFC 3030), which the standard library's does not."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence

Reply = tuple[int, bytes]


class BdatClient(smtplib.SMTP):
    """smtplib with chunks in place of DATA."""

    def send_chunks(
        self, sender: str, recipients: Sequence[str], chunks: Sequence[bytes], options: str = ""
    ) -> list[Reply]:
        """One transaction in one go, as pipelining allows; returns the replies to the chunks."""
        self.ehlo_or_helo_if_needed()
        assert self.has_extn("chunking") and self.has_extn("pipelining")
        for command, accepted in (
            (f"MAIL FROM:<{sender}> {options}".rstrip(), 250),
            *((f"RCPT TO:<{recipient}>", 250) for recipient in recipients),
        ):
            code, text = self.docmd(command)
            assert code == accepted, (command, code, text)
        last = len(chunks) - 1
        self.send(
            b"".join(
                b"BDAT %d%b\r\n%b" % (len(chunk), b" LAST" if number == last else b"", chunk)
                for number, chunk in enumerate(chunks)
            )
        )
        return [self.getreply() for _ in chunks]
