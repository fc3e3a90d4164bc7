"""One store going through everything it can do, step by step, with a picture after each step.

``python -m tests.crash.scenario DIR [STEP…]`` is what the recordings and the injected faults run.
After each step that was acknowledged one line goes to standard output: the picture of the store as
JSON. A step that was refused prints its error besides, and the next one follows.
At the end the process kills itself, so that nothing is put in order.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from gateway.core.address import Address
from gateway.core.envelope import Hold, MessageOptions
from gateway.core.errors import GatewayError
from gateway.core.ids import QueueId
from gateway.core.messages import LOCAL, NewMessage, QueuedRecipient
from gateway.core.queue import LocalCopy, QueueFilter, Recorded
from gateway.core.quota import Quota
from gateway.core.trace import TraceRecord
from gateway.core.transfer import ImportedMessage, ImportSource
from tests.crash.picture import picture
from tests.crash.recording import say
from tests.store.compacting import FAST, fill, keep_every, settle
from tests.store.house import ALICE, BOB, CAROL, DAVE, LARGE, MESSAGE, NOW, House

Step = Callable[[House], object]
ROLL_OCTETS = 20_000
KEEP_DELETED_S = 7 * 86_400
BOB_HERE = QueuedRecipient(Address("bob", "example.test"), LOCAL)


def _accept(house: House) -> None:
    _accept_traced(house, house.message("one", ALICE))


def _accept_for_all(house: House) -> None:
    _accept_traced(house, house.message("all", ALICE, BOB, remote=[CAROL, DAVE]))


def _accept_traced(house: House, message: NewMessage) -> None:
    """With a record of it."""
    trace = TraceRecord(message.ingest_id, NOW, "accepted", ("a@example.test",), {"size": 1})
    house.wait(house.store.accept(replace(message, trace=trace)))


def _accept_large(house: House) -> None:
    house.deliver("large", ALICE, octets=LARGE)


def _append(house: House) -> None:
    house.append("INBOX", MESSAGE, MESSAGE + b"Two.\r\n", flags=["\\Seen", "Important"])


def _flag(house: House) -> None:
    every = ((1, 3),)
    house.wait(house.store.store_flags(house.box(), every, "add", frozenset({"\\Flagged"})))


def _copy(house: House) -> None:
    house.wait(house.store.copy(house.box(), ((1, 2),), ALICE, "Archive", move=False))


def _move(house: House) -> None:
    house.wait(house.store.copy(house.box(), ((2, 2), (4, 4)), ALICE, "Trash", move=True))


def _expunge(house: House) -> None:
    house.wait(house.store.expunge(house.box(), ((1, 1), (3, 3)), only_deleted=False))


def _create(house: House) -> None:
    house.wait(house.store.create_mailbox(ALICE, "Projects/2026"))


def _rename(house: House) -> None:
    house.wait(house.store.rename_mailbox(ALICE, "Archive", "Projects/2025"))


def _rename_inbox(house: House) -> None:
    house.wait(house.store.rename_mailbox(ALICE, "INBOX", "Old mail"))


def _delete_mailbox(house: House) -> None:
    house.wait(house.store.delete_mailbox(ALICE, "Projects/2025"))


def _record(house: House) -> None:
    results = [Recorded(1, 1, None, "250 ok"), Recorded(2, 1, NOW + 60, "451 later")]
    for item in house.lease(NOW, 10, "runner", 900):
        house.wait(house.store.record(item.queue_id, results, None))


def _report(house: House) -> None:
    for item in house.lease(NOW + 60, 10, "runner", 900):
        report = house.message("report", BOB, sender=None)
        house.wait(house.store.record(item.queue_id, [Recorded(2, 2, None, "550 no")], report))


def _accept_held(house: House) -> None:
    message = house.message("held", remote=[BOB_HERE, CAROL])
    options = MessageOptions(envid="E1", priority=3)
    _accept_traced(house, replace(message, hold=Hold("quarantine"), options=options))


def _held(house: House) -> list[QueueId]:
    queue = house.store.queue
    found = house.wait(queue.listed(QueueFilter(held=True), after=None, limit=9))
    return [each.queue_id for each in found]


def _release(house: House) -> None:
    house.wait(house.store.queue.release(_held(house)))


def _deliver_here(house: House) -> None:
    """Copies, new recipients and the report in one transaction."""
    copies = (LocalCopy(BOB, BOB_HERE.address), LocalCopy(ALICE, BOB_HERE.address))
    done = Recorded(1, 1, None, "in the mailbox", copies=copies, followed_to=(DAVE,))
    for item in house.lease(NOW + 60, 10, "runner", 900):
        report = house.message("told", ALICE, sender=None)
        house.wait(house.store.record(item.queue_id, [done], report))


def _hold(house: House) -> None:
    queue = house.store.queue
    found = house.wait(queue.listed(QueueFilter(held=False), after=None, limit=9))
    house.wait(queue.hold([each.queue_id for each in found], "by an administrator"))


def _remove(house: House) -> None:
    house.wait(house.store.queue.remove(_held(house)))


def _bound(house: House) -> None:
    house.wait(house.store.quota.set_quota(ALICE, Quota(octets=10_000_000)))


def _undelete(house: House) -> None:
    deleted = house.wait(house.store.vault.deleted(ALICE))
    ids = [one.vault_id for one in deleted[:3]]
    house.wait(house.store.vault.undelete(ALICE, ids))


def _import(house: House) -> None:
    messages = [
        ImportedMessage(str(uid), house.body(MESSAGE), frozenset({"\\Seen"}), NOW, uid, f"old{uid}")
        for uid in (3, 7)
    ]
    source = ImportSource("imap://old.example", "Lists")
    house.wait(
        house.store.imports.import_messages(
            ALICE, "Lists", source, messages, uid_validity=77, uid_next=12
        )
    )


def _fill(house: House) -> None:
    fill(house, 1)


def _delete_most(house: House) -> None:
    keep_every(house, 4)


def _expire(house: House) -> None:
    """What was deleted goes, and the segments it lay in are compacted."""
    house.now += 2 * KEEP_DELETED_S
    house.wait(house.store.set_subscribed(ALICE, "Lists", True))
    settle(house)


STEPS: dict[str, Step] = {
    "accept": _accept,
    "accept for all": _accept_for_all,
    "accept large": _accept_large,
    "append": _append,
    "flag": _flag,
    "copy": _copy,
    "move": _move,
    "expunge": _expunge,
    "create": _create,
    "rename": _rename,
    "delete mailbox": _delete_mailbox,
    "record": _record,
    "report": _report,
    "accept held": _accept_held,
    "release": _release,
    "deliver here": _deliver_here,
    "hold": _hold,
    "remove": _remove,
    "bound": _bound,
    "undelete": _undelete,
    "import": _import,
    "rename inbox": _rename_inbox,
    **{f"fill {number}": _fill for number in range(24)},
    "delete most": _delete_most,
    "expire": _expire,
}


def run(state_dir: Path, names: list[str]) -> None:
    """Go through the steps, writing a line for each."""
    with House(
        state_dir, roll_octets=ROLL_OCTETS, compaction=FAST, keep_deleted_s=KEEP_DELETED_S
    ) as house:
        say({"step": "open", "picture": picture(state_dir)})
        for name in names:
            try:
                STEPS[name](house)
            except GatewayError as error:
                say({"step": name, "error": type(error).__name__, "picture": picture(state_dir)})
            else:
                say({"step": name, "picture": picture(state_dir)})
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:] or list(STEPS))
