"""Several workers: one gateway to whoever connects, and no more to lose than one process has."""

from __future__ import annotations

import imaplib
import os
import poplib
import shutil
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.certificates import ensure_self_signed
from gateway.app.demo import prepare
from gateway.cli.control_client import CommandRefused
from tests.support.gateway_process import BIN, Demo, running_demo
from tests.support.idlers import Idler, one_in_each_worker
from tests.support.mail import BOB, inbox, send_all
from tests.support.outbound import FRIEND, running, submit
from tests.support.programs import run
from tests.support.sink import running_sink
from tests.support.waiting import eventually

WORKERS = 3
MESSAGE = b"From: alice@example.test\r\nSubject: hello\r\n\r\nHello\r\n"


PER_ADDRESS = 40
SECRET = "Geheim-0815"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One for all tests that leave the parent alone."""
    demo = Demo(tmp_path_factory.mktemp("workers") / "d", workers=WORKERS)
    demo.environ["GATEWAY_LIMITS__CONNECTIONS_PER_ADDRESS"] = str(PER_ADDRESS)
    demo.environ["GATEWAY_OUTBOUND__SMART_HOST"] = "smtps://user@relay.example.test"
    demo.environ["GATEWAY_OUTBOUND__SMART_HOST_PASSWORD"] = SECRET
    demo.start()
    yield demo
    assert demo.stop() == 0
    assert not any(SECRET in line for line in demo.output)


def pids(demo: Demo) -> dict[int, int]:
    return {worker["number"]: worker["pid"] for worker in demo.status()["workers"]}


def all_ready(demo: Demo) -> bool:
    return all(worker["ready"] for worker in demo.status()["workers"])


def queue_worker(demo: Demo) -> int | None:
    leaders = [each["number"] for each in demo.status()["workers"] if each["runs_queue"]]
    assert len(leaders) <= 1
    return leaders[0] if leaders else None


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # Our own process is the parent of orphans in some containers: a zombie is gone as well.
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True  # now


def test_mail_reaches_idle_sessions_in_every_worker(demo: Demo) -> None:
    with one_in_each_worker(demo) as idlers:
        assert sorted(idlers) == [1, 2, 3]
        send_all(demo.port(25), [MESSAGE])
        for idler in idlers.values():
            idler.hears_exists()
    assert inbox(demo.port(143))[-1].endswith(MESSAGE)


def test_P5_one_maildrop_for_one_pop3_session_whichever_worker_has_it(demo: Demo) -> None:
    def login() -> poplib.POP3:
        client = poplib.POP3("127.0.0.1", demo.port(110), timeout=60)
        try:
            client.user(BOB[0])
            client.pass_(BOB[1])
        except BaseException:
            client.close()
            raise
        return client

    holder = login()
    for _ in range(12):
        with pytest.raises(poplib.error_proto, match="IN-USE"):
            login()
    holder.quit()
    eventually(lambda: not demo.status()["sessions"].get("pop3"))
    login().quit()


def test_status_adds_up_and_lists_the_workers(demo: Demo) -> None:
    eventually(lambda: not demo.status()["sessions"])
    with one_in_each_worker(demo) as idlers:
        status = demo.status()
        assert status["sessions"] == {"imap": len(idlers)}
        queue = eventually(lambda: demo.status()["queue"])
        assert (queue["messages"], queue["recipients"], queue["held"]) == (0, 0, 0)
        assert (queue["oldest_s"], queue["dead_destinations"], queue["dead"]) == (None, 0, [])
        assert [each["number"] for each in status["workers"]] == [1, 2, 3]
        assert len({each["pid"] for each in status["workers"]} | {status["pid"]}) == 4
        shown = run([str(BIN / "gateway"), "status", "--config", str(demo.config)]).stdout
    assert shown.count(b"1 imap") == WORKERS and b"3 imap" in shown
    assert shown.count(b"runs the queue") == 1


def test_a_command_that_changed_the_store_tells_the_sessions(demo: Demo) -> None:
    assert demo.control().request("POST", "/v1/changes", body={"events": [["a", 1, 2]]}) == {
        "told": 1
    }
    for wrong in ({"events": [["a", 1]]}, {"events": [["a", "1", 2]]}, {"queue_grew": 1}, ["x"]):
        with pytest.raises(CommandRefused, match="expected"):
            demo.control().request("POST", "/v1/changes", body=wrong)


def test_secrets_are_in_no_argument_and_no_environment(demo: Demo) -> None:
    for pid in pids(demo).values():
        for name in ("cmdline", "environ"):
            assert SECRET.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()


def test_D11_a_new_certificate_is_served_by_every_worker_and_sessions_live_on(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "d"
    with running_demo(folder, WORKERS) as demo, one_in_each_worker(demo) as idlers:
        other = tmp_path / "other"
        other.mkdir()
        ensure_self_signed(other, ("mail.example.test",))
        for name in ("self-signed.pem", "self-signed.key"):
            shutil.copy(other / name, folder / name)
        demo.signal(signal.SIGHUP)
        for _ in range(1 + WORKERS):
            demo.wait_for_line("certificate reloaded")
        # A worker that starts later has it as well, although it could not read the files itself.
        for name in ("self-signed.pem", "self-signed.key"):
            (folder / name).unlink()
        killed = pids(demo)[2]
        os.kill(killed, signal.SIGKILL)
        idlers.pop(2).close()
        expected = ssl.PEM_cert_to_DER_cert((other / "self-signed.pem").read_text())
        eventually(lambda: pids(demo)[2] not in (None, killed) and all_ready(demo))
        for _ in range(12):
            pem = ssl.get_server_certificate(("127.0.0.1", demo.port(993)), timeout=60)
            assert ssl.PEM_cert_to_DER_cert(pem) == expected
        send_all(demo.port(25), [MESSAGE])
        for idler in idlers.values():
            idler.hears_exists()


def test_a_worker_that_dies_takes_only_its_own_sessions_along(demo: Demo) -> None:
    with one_in_each_worker(demo) as idlers:
        before = pids(demo)
        os.kill(before[3], signal.SIGKILL)
        demo.wait_for_line("killed by SIGKILL")
        cut_off = idlers.pop(3)
        assert not cut_off.hears_bye()
        cut_off.close()
        send_all(demo.port(25), [MESSAGE])
        for idler in idlers.values():
            idler.hears_exists()
        eventually(lambda: all_ready(demo))
        after = pids(demo)
        assert [number for number in before if before[number] != after[number]] == [3]
        assert demo.status()["workers"][2]["restarts"] == 1
    with one_in_each_worker(demo) as idlers:
        send_all(demo.port(25), [MESSAGE])
        idlers[3].hears_exists()


def test_when_the_queues_worker_dies_another_one_runs_it(tmp_path: Path) -> None:
    with running_sink() as sink:
        settings = f'[outbound]\nsmart_host = "smtp://127.0.0.1:{sink.port}"\nretry_after_s = [1]\n'
        demo = Demo(tmp_path / "d", workers=WORKERS)
        with running(demo, settings):
            # Leased by the one that dies: the attempt is told to come again.
            sink.script.refuse_rcpt[FRIEND] = "451 4.2.1 later"
            submit(demo, FRIEND, message=MESSAGE)
            eventually(lambda: sink.script.connections)
            first = queue_worker(demo)
            assert first is not None
            os.kill(pids(demo)[first], signal.SIGKILL)
            eventually(lambda: queue_worker(demo) not in (None, first))
            sink.script.refuse_rcpt.clear()
            eventually(lambda: sink.script.received)
            # What any worker accepts, the new one sends.
            for count in range(2, 6):
                submit(demo, FRIEND, message=MESSAGE)
                eventually(lambda: len(sink.script.received) >= count)  # noqa: B023 - used at once
            eventually(lambda: demo.queued() == 0)


IMPATIENT = """
import runpy, sys
from gateway.app import pulse, supervisor
pulse.BEAT_S, supervisor.SILENCE_S = 0.5, 10.0
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_worker_that_lives_and_does_not_answer_is_replaced(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "d", workers=WORKERS)
    demo.start(command=[sys.executable, "-c", IMPATIENT])
    try:
        before, first = pids(demo), queue_worker(demo)
        assert first is not None
        os.kill(before[first], signal.SIGSTOP)
        line = demo.wait_for_line("has not answered")
        assert f"worker {first} (process {before[first]})" in line and "is killed" in line
        eventually(lambda: queue_worker(demo) not in (None, first))
        eventually(lambda: all_ready(demo))
        assert [number for number, pid in pids(demo).items() if pid != before[number]] == [first]
    finally:
        assert demo.stop() == 0


def test_D8_when_the_parent_is_killed_nothing_stays_and_nothing_is_lost(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "d", workers=WORKERS)
    demo.start()
    workers = pids(demo)
    send_all(demo.port(25), [MESSAGE] * 5)
    with one_in_each_worker(demo) as idlers:
        demo.kill()
        assert all(idler.hears_bye() for idler in idlers.values()), "they end in order"
    eventually(lambda: all(map(is_gone, workers.values())), deadline_s=40)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", demo.port(143))) != 0
    run([str(BIN / "gateway"), "verify", "--config", str(demo.config)])
    demo.start()
    assert len(inbox(demo.port(143))) == 5
    demo.signal(signal.SIGINT)
    assert demo.process is not None
    assert demo.process.wait(40) == 0


def test_D11_it_stops_in_order(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "d", workers=WORKERS)
    demo.start()
    workers = pids(demo)
    with one_in_each_worker(demo) as idlers:
        # As a service manager may do it that tells all of them.
        for pid in workers.values():
            os.kill(pid, signal.SIGTERM)
        demo.signal(signal.SIGTERM)
        assert all(idler.hears_bye() for idler in idlers.values())
    assert demo.process is not None
    assert demo.process.wait(30) == 0
    assert all(map(is_gone, workers.values()))
    assert not (demo.folder / "state" / "control.sock").exists()
    # They ended by themselves: the last that each had to say is in the log.
    ends = [f"[worker {number}]: stopped" for number in workers]
    eventually(lambda: all(any(end in line for line in demo.output) for end in ends))


def test_a_worker_told_to_end_finishes_its_sessions_and_is_followed_by_another(demo: Demo) -> None:
    before = pids(demo)
    with one_in_each_worker(demo) as idlers:
        os.kill(before[2], signal.SIGTERM)
        finished = idlers.pop(2)
        assert finished.hears_bye()
        finished.close()
        eventually(lambda: pids(demo)[2] not in (None, before[2]) and all_ready(demo))
        send_all(demo.port(25), [MESSAGE])
        for idler in idlers.values():
            idler.hears_exists()


def test_D8_a_second_gateway_on_the_same_store_is_refused(demo: Demo) -> None:
    second = Demo(demo.folder, workers=WORKERS)
    second.launch()
    second.wait_for_line("is in use by another gateway")
    assert second.process is not None
    assert second.process.wait(30) == 1
    assert all_ready(demo)


def test_workers_that_cannot_start_end_the_gateway_with_their_message(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "d", workers=WORKERS)
    prepare(demo.folder, demo.base)
    (demo.folder / "people.ldif").unlink()
    result = run(
        [str(BIN / "twistd"), "--nodaemon", "--pidfile=", "gateway", "--config", str(demo.config)],
        environ=demo.environ,
        expect=2,
    )
    assert b"people.ldif" in result.stderr
    assert b"Traceback" not in result.stdout + result.stderr


def test_connections_are_bounded_for_the_gateway_not_for_each_worker(demo: Demo) -> None:
    eventually(lambda: not demo.status()["sessions"])
    clients = [Idler(demo.port(143)) for _ in range(PER_ADDRESS)]
    for _ in range(9):
        with pytest.raises(imaplib.IMAP4.error):
            imaplib.IMAP4("127.0.0.1", demo.port(143), timeout=60)
    clients.pop().close()
    eventually(lambda: demo.status()["sessions"]["imap"] < PER_ADDRESS)
    assert inbox(demo.port(143))
    for client in clients:
        client.close()


def test_a_daemon_logs_what_its_workers_say(tmp_path: Path) -> None:
    pid_file, log = tmp_path / "pid", tmp_path / "log"
    demo = Demo(tmp_path / "d", workers=2)
    daemon = [str(BIN / "twistd"), f"--pidfile={pid_file}", f"--logfile={log}", "gateway"]
    run([*daemon, *demo.arguments], environ=demo.environ)
    try:
        eventually(lambda: "gateway ready" in log.read_text())
        send_all(demo.port(25), [MESSAGE])
        eventually(lambda: "[worker " in log.read_text())
    finally:
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
    eventually(lambda: not pid_file.exists())
    assert "Traceback" not in log.read_text()
