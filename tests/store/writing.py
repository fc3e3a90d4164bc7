"""A process that writes to a store beside others; run by ``test_many_processes``.

``python -m tests.store.writing STATE_DIR NAME ROUNDS`` joins, says ``ready``, and waits for a line.
Then FLOWS flows of work run at once, ROUNDS each; whatever was acknowledged is said in one line of
JSON, right after the answer came.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from twisted.python.failure import Failure

from gateway.core.ids import AccountId, MailboxId
from gateway.core.messages import AppendMessage
from tests.store.beside import Guest
from tests.store.house import NOW

FLOWS = 8
SHARED = AccountId("shared")


class Writer:
    """The flows of one process."""

    def __init__(self, state_dir: Path, name: str, rounds: int) -> None:
        self.name = name
        self.rounds = rounds
        self.guest = Guest(state_dir, name, care=name == "p0")
        self.heard = 0
        self.own = AccountId(name)

    def say(self, kind: str, **what: object) -> None:
        line = json.dumps({"kind": kind, "at": time.monotonic(), **what})
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def run(self) -> None:
        store = self.guest.store
        self.guest.wait(store.ensure_account(self.own))
        self.guest.wait(store.ensure_account(SHARED))
        inbox = self.guest.box(SHARED)
        store.share(lambda events, _: self._tell([event.mailbox_id == inbox for event in events]))
        self.say("ready")
        sys.stdin.readline()
        ends = [self.guest.pump.start(self._flow(flow, inbox)) for flow in range(FLOWS)]
        failures: list[Failure] = []
        for end in ends:
            end.addErrback(failures.append)
        for end in ends:
            self.guest.pump.wait_for(end)
        for failure in failures:
            failure.raiseException()
        self.guest.wait(store.close())
        self.say("finished", told=self.heard)

    def _tell(self, shared: list[bool]) -> None:
        self.heard += sum(shared)

    async def _flow(self, flow: int, inbox: MailboxId) -> None:
        store = self.guest.store
        uids: list[int] = []
        for number in range(self.rounds):
            key = f"{self.name}-{flow}-{number}"
            octets = b"Subject: %s\r\n\r\n" % key.encode() + b"x" * (200 * (number % 7))
            message = self.guest.message(key, SHARED, self.own, octets=octets)
            await store.accept(message)
            self.say("delivered", key=key)
            body = self.guest.body(octets)
            result = await store.append(SHARED, "INBOX", [AppendMessage(body, frozenset(), NOW)])
            uids.append(result.uids[0])
            self.say("appended", key=key, flow=flow, uid=result.uids[0])
            if number % 3 == 1:
                seen = await self._flag(inbox, uids[-1])
                self.say("flagged", uid=uids[-1], modseq=seen)
            if number % 3 == 2:
                gone = await store.expunge(inbox, ((uids[-2], uids[-2]),), only_deleted=False)
                assert gone == (uids[-2],)
                self.say("expunged", uid=uids[-2])

    async def _flag(self, inbox: MailboxId, uid: int) -> int:
        flags = frozenset({"\\Seen"})
        return await self.guest.store.store_flags(inbox, ((uid, uid),), "add", flags)


if __name__ == "__main__":
    Writer(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])).run()
