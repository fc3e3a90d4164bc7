"""A gateway with two workers tells what happened, and what would; telling changes nothing."""

from __future__ import annotations

import json
import os
import re
import smtplib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.app.demo import prepare
from tests.support.gateway_process import ROOT, Demo
from tests.support.name_server import running_name_server
from tests.support.ports import free_port
from tests.support.waiting import eventually

MESSAGE = (
    b"From: a@far.test\r\nTo: alice@example.test\r\nSubject: x\r\nMessage-ID: <%b@far.test>\r\n"
    b"\r\nThe text.\r\n"
)
GUARDED = """
[outbound]
resolvers = ["127.0.0.1:{resolver}"]

[[listen]]
name = "guarded"
protocol = "smtp"
address = "127.0.0.1:{port}"
tls = "none"
policy = "guarded"

[[policies.guarded]]
check = "rate"
of = "messages"
limit = 3
per_s = 3600

[[policies.guarded]]
check = "greylist"
"""


class Traced(Demo):
    """With a second door that counts and learns."""

    guarded = 0

    def gateway(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gateway", *arguments, "--config", str(self.config)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def trace(self, what: str) -> list[dict[str, Any]]:
        """As the command asks it, without starting a program each time."""
        body = {"term": what, "since": None, "until": None, "limit": 100}
        return list(self.control().request("POST", "/v1/trace", body=body)["records"])

    def traced(self, what: str, *kinds: str) -> list[dict[str, Any]]:
        """The records, once these have come."""
        eventually(lambda: set(kinds) <= {each["kind"] for each in self.trace(what)})
        return self.trace(what)

    def explain(self, *arguments: str) -> dict[str, Any]:
        done = self.gateway("explain", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def smtp(self, port: int = 0) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", port or self.port(25), "client.test", timeout=60)

    def tables(self) -> dict[str, list[Any]]:
        """Everything the store holds."""
        with sqlite3.connect(self.folder / "state/store/index.sqlite") as index:
            names = [
                name
                for (name,) in index.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            found = {name: index.execute(f"SELECT * FROM {name}").fetchall() for name in names}
        index.close()
        return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    demo = Traced(tmp_path_factory.mktemp("trace") / "d", workers=2)
    prepare(demo.folder, demo.base)
    demo.guarded = free_port()
    demo.arguments = ["--config", str(demo.config)]
    # It knows no domain at all.
    with running_name_server(mx={}, a={}) as names:
        with demo.config.open("a") as config:
            config.write(GUARDED.format(port=demo.guarded, resolver=names.port))
        demo.start()
        yield demo
        assert demo.stop() == 0


def test_the_id_in_a_refusal_finds_it_with_what_was_said(demo: Traced) -> None:
    with demo.smtp() as client:
        client.ehlo("strange\\name")
        client.mail("a@far.test")
        code, text = client.rcpt("nobody@example.test")
    assert code == 550
    found = re.search(rb"\[(\w+-1)\]$", text)
    assert found
    (record,) = demo.traced(found[1].decode(), "refused")
    assert record["fields"]["reply"].startswith("550 5.1.1 ")
    assert record["fields"]["recipient"] == "<nobody@example.test>"
    assert record["fields"]["ip"] == "127.0.0.1"
    connection = found[1].decode().removesuffix("-1")
    assert demo.trace(connection) == demo.trace("nobody@example.test") == [record]
    shown = demo.gateway("trace", connection)
    assert shown.returncode == 0
    assert "  refused: 550 5.1.1 " in shown.stdout


def test_accepted_mail_is_traced_to_where_it_went_by_whatever_is_known_of_it(
    demo: Traced,
) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port(587), "client.test", timeout=60) as client:
        client.starttls()
        client.login("alice@example.test", "wonderland")
        content = MESSAGE.replace(b"a@far.test", b"alice@example.test") % b"accepted-1"
        client.sendmail("alice@example.test", ["bob@example.test", "c@nowhere.invalid"], content)
    records = demo.traced("accepted-1@far.test", "accepted", "queued", "failed", "reported")
    accepted = records[0]
    assert accepted["kind"] == "accepted"
    assert accepted["fields"]["login"] == "alice"
    assert accepted["fields"]["tls"].startswith("TLSv1.3 ")
    assert [each["to"] for each in accepted["fields"]["recipients"]] == [
        "mailbox of bob",
        "another server",
    ]
    queue_id = records[1]["fields"]["queue_id"]
    for known in (
        accepted["id"], "<bob@example.test>", "c@nowhere.invalid", "127.0.0.1", queue_id,
        queue_id.lower(), "alice",
    ):  # fmt: skip
        kinds = [each["kind"] for each in demo.trace(known) if each["id"] == accepted["id"]]
        assert kinds == [each["kind"] for each in records], known


def test_explaining_changes_neither_store_nor_greylist_nor_rates(demo: Traced) -> None:
    with demo.smtp() as client:
        client.sendmail("a@far.test", ["alice@example.test"], MESSAGE % b"before")
    demo.traced("before@far.test", "accepted")
    # Within the next minute the gateway would do it by itself, and note people.
    assert demo.gateway("user", "reconcile", "--json").returncode == 0
    before = demo.tables()
    asked = ("--from", "a@far.test", "--to", "alice@example.test", "--ip", "127.0.0.1")
    for _ in range(5):
        answer = demo.explain(*asked, "--listener", "guarded")
        assert answer["outcome"] == "deferred"
        checks = [check for step in answer["steps"] for check in step["checks"]]
        assert {"rate", "greylist"} <= {check["check"] for check in checks}
        assert checks[-1]["action"] == "defer"
    assert demo.explain(*asked)["outcome"] == "accepted"
    assert demo.tables() == before
    # Five rehearsals, and the three messages that the rate allows are still there to be sent.
    with demo.smtp(demo.guarded) as client:
        client.ehlo("client.test")
        codes = []
        for _ in range(4):
            codes.append(client.mail("a@far.test")[0])
            client.rset()
    assert codes[:3] == [250] * 3
    assert codes[3] // 100 == 4
    answer = demo.explain(*asked, "--listener", "guarded")
    assert answer["steps"][-1]["stage"] == "sender", "now the rate speaks first, in every worker"


def test_what_is_explained_is_what_happens(demo: Traced) -> None:
    answer = demo.explain(
        "--from", "a@far.test", "--to", "alice@example.test", "--to", "nobody@example.test",
        "--ip", "127.0.0.1", "--helo", "client.test",
    )  # fmt: skip
    explained = [step["reply"][-1] for step in answer["steps"]]
    with demo.smtp() as client:
        client.ehlo("client.test")
        client.mail("a@far.test")
        heard = [client.rcpt("alice@example.test"), client.rcpt("nobody@example.test")]
        heard.append(client.docmd("DATA"))
        client.send(MESSAGE % b"explained" + b".\r\n")
        heard.append(client.getreply())
    by_id = re.compile(r" \[.*\]$|Accepted as .*")
    assert [by_id.sub("", text) for text in explained[-4:]] == [
        by_id.sub("", f"{code} {text.decode()}") for code, text in heard
    ]
    assert answer["stored"]["mailboxes"][0]["login"] == "alice"


def test_both_work_when_the_gateway_is_stopped(demo: Traced) -> None:
    assert demo.stop() == 0
    try:
        shown = demo.gateway("trace", "accepted-1@far.test")
        assert shown.returncode == 0 and "its sender was told" in shown.stdout
        before = demo.tables()
        done = demo.gateway(
            "explain", "--from", "alice@example.test", "--to", "z@far.test", "--auth", "alice"
        )
        assert done.returncode == 0, done.stderr
        assert "no gateway runs" in done.stderr
        assert "into the queue for z@far.test" in done.stdout
        assert demo.tables() == before
    finally:
        demo.start()


def test_a_question_that_is_none_is_refused(demo: Traced) -> None:
    done = demo.gateway("explain", "--from", "a@b", "--to", "c@d", "--listener", "nowhere")
    assert done.returncode == 1
    assert "expected one of: smtp:" in done.stderr and "guarded" in done.stderr
    done = demo.gateway("explain", "--from", "a@b", "--to", "c@d", "--ip", "nowhere")
    assert done.returncode == 2
