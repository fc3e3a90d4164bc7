"""App passwords with real mail programs, before an LDIF file and before OpenLDAP."""

from __future__ import annotations

import imaplib
import json
import os
import poplib
import re
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest

from gateway.core.app_passwords import ALPHABET, new_text
from tests.support.demo_directory import ask_openldap
from tests.support.gateway_process import ROOT, Demo
from tests.support.mail import trusting
from tests.support.programs import need, run
from tests.support.slapd import SUFFIX, Slapd
from tests.support.waiting import eventually

MECHANISMS = (
    '[login]\nmechanisms = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"]\n'
    "failures_per_minute = 1000\nfailures_per_day = 1000\n[networks]\noffice = ['10.0.0.0/8']\n"
)
ALICE = "alice"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Two workers, so that what one is told has to hold in the other."""
    gateway = Demo(tmp_path_factory.mktemp("apps") / "d", workers=2)
    gateway.prepare()
    gateway.config.write_text(f"{gateway.config.read_text()}\n{MECHANISMS}")
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()


def command(gateway: Demo, *arguments: str, expect: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "user", *arguments, "--config", str(gateway.config)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def make(gateway: Demo, *, person: str = ALICE, **wanted: Any) -> dict[str, Any]:
    """At the running gateway, without the time that a command takes to start."""
    body = {"person": person, "label": "test", **wanted}
    return gateway.control().request("POST", "/v1/people/app-password-create", body=body)


def revoke(gateway: Demo, *numbers: int, person: str = ALICE) -> None:
    body = {"person": person, "numbers": list(numbers) or None}
    gateway.control().request("POST", "/v1/people/app-password-revoke", body=body)


def logs_in(gateway: Demo, password: str, login: str = ALICE) -> bool:
    with imaplib.IMAP4("127.0.0.1", gateway.port(143), timeout=60) as client:
        try:
            client.login(login, password)
        except imaplib.IMAP4.error as error:
            assert "AUTHENTICATIONFAILED" in str(error)
            return False
        return True


def test_every_protocol_takes_it_and_the_log_does_not_show_it(demo: Demo) -> None:
    made = command(demo, "app-password", "create", ALICE, "--label", "phone", "--json")
    password = json.loads(made)["password"]
    assert logs_in(demo, password) and logs_in(demo, password.upper(), "alice@example.test")
    pop3 = poplib.POP3("127.0.0.1", demo.port(110), timeout=60)
    pop3.user(ALICE)
    pop3.pass_(password.replace("-", " "))
    pop3.quit()
    with smtplib.SMTP("127.0.0.1", demo.port(587), timeout=60) as client:
        client.login(ALICE, password)
        client.sendmail("alice@example.test", ["bob@example.test"], b"Subject: x\r\n\r\nx\r\n")
    demo.wait_for_line("alice logged in from 127.0.0.1 by app password")
    assert logs_in(demo, "wonderland"), "the directory's is as good as ever"
    assert not logs_in(demo, new_text(lambda _: 7))
    printed = "\n".join(demo.output)
    assert password not in printed and password.replace("-", "") not in printed


@pytest.mark.parametrize(
    ("mechanism", "more"), [("SCRAM-SHA-256-PLUS", []), ("SCRAM-SHA-256", ["--no-cb"])]
)
@pytest.mark.parametrize(("protocol", "port"), [("smtp", 587), ("imap", 143)])
def test_gsasl_proves_that_it_knows_one_of_several(
    demo: Demo, mechanism: str, more: list[str], protocol: str, port: int
) -> None:
    only = "submission" if protocol == "smtp" else "imap"
    # The answer to wrong ones comes later and later, so two people share them.
    person = "alice" if protocol == "smtp" else "bob"
    here = make(demo, person=person, protocols=[only])
    elsewhere = make(demo, person=person, protocols=["pop3"])
    program = [need("gsasl"), f"--{protocol}", f"--connect=localhost:{demo.port(port)}", *more]
    program += [f"--mechanism={mechanism}", f"--authentication-id={person}", "-d"]
    program += [f"--x509-ca-file={demo.folder / 'self-signed.pem'}"]
    run([*program, f"--password={here['password']}"], stdin=b"")
    refused = run([*program, f"--password={elsewhere['password']}"], stdin=b"", expect=1)
    assert b"535 5.7.8" in refused.stdout or b"AUTHENTICATIONFAILED" in refused.stdout
    revoke(demo, here["number"], elsewhere["number"], person=person)


def test_curl_and_msmtp_are_bound_to_protocol_and_network(demo: Demo, tmp_path: Path) -> None:
    imap = make(demo, person="bob", protocols=["imap"])["password"]
    office = make(demo, person="bob", networks=["office"])["password"]
    curl = [need("curl"), "-sS", "--user"]
    urls = {
        name: f"{name}://127.0.0.1:{demo.port(p)}/" for name, p in (("imap", 143), ("pop3", 110))
    }
    assert b"INBOX" in run([*curl, f"bob:{imap}", urls["imap"]]).stdout
    run([*curl, f"bob:{imap}", urls["pop3"]], expect=67)
    run([*curl, f"bob:{office}", urls["imap"]], expect=67)
    demo.wait_for_line("not for this protocol")
    message = b"From: bob@example.test\r\nTo: bob@example.test\r\nSubject: m\r\n\r\nx\r\n"
    for password, status in ((make(demo, person="bob")["password"], 0), (imap, 77)):
        run(
            [
                need("msmtp"), "--host=127.0.0.1", f"--port={demo.port(587)}", "--auth=plain",
                "--tls=on", "--tls-certcheck=off", "--user=bob",
                f"--passwordeval=echo {password}", "--from=bob@example.test", "bob@example.test",
            ],
            stdin=message, expect=status,
        )  # fmt: skip


def test_revoked_in_all_workers_at_once_and_its_sessions_end(demo: Demo) -> None:
    made = make(demo)
    sessions = [imaplib.IMAP4("127.0.0.1", demo.port(143), timeout=90) for _ in range(3)]
    for session in sessions:
        session.login(ALICE, made["password"])
    stays = imaplib.IMAP4("127.0.0.1", demo.port(143), timeout=90)
    stays.login(ALICE, "wonderland")
    command(demo, "app-password", "revoke", ALICE, str(made["number"]))
    assert [logs_in(demo, made["password"]) for _ in range(4)] == [False] * 4
    for session in sessions:
        assert session.readline().startswith(b"* BYE")
        session.shutdown()
    assert stays.noop()[0] == "OK"
    stays.logout()
    answer = command(demo, "app-password", "revoke", ALICE, str(made["number"]), expect=1)
    assert "has no app password" in answer


def test_administrators_see_who_there_is(demo: Demo) -> None:
    people = json.loads(command(demo, "list", "--json"))
    assert [each["login"] for each in people] == ["alice", "bob"]
    shown = command(demo, "show", "alice@example.test")
    assert "alice@example.test: the mailbox here" in shown and "127.0.0.1" in shown
    traced = subprocess.run(
        [sys.executable, "-m", "gateway", "trace", "alice", "--config", str(demo.config)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "app password made" in traced.stdout and "by: uid" in traced.stdout


PEOPLE = f"""\
dn: uid=carol,ou=people,{SUFFIX}
objectClass: inetOrgPerson
uid: carol
cn: Carol
sn: Carol
mail: carol@example.test
userPassword: looking-glass

"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Slapd]]:
    tmp_path = tmp_path_factory.mktemp("ldap")
    slapd = Slapd(tmp_path / "ldap", PEOPLE)
    slapd.debug = 256  # a line for each operation
    slapd.start()
    gateway = Demo(tmp_path / "d")
    ask_openldap(gateway, slapd, more=MECHANISMS)
    gateway.start()
    try:
        yield gateway, slapd
    finally:
        gateway.stop()
        slapd.stop()


def binds(slapd: Slapd) -> set[str]:
    """Whose passwords the server was asked about."""
    log = (slapd.directory / "slapd.log").read_text(errors="replace")
    return set(re.findall(r'BIND dn="uid=(\w+)', log))


def test_A8_L22_openldap_never_sees_one_and_counts_no_failure(site: tuple[Demo, Slapd]) -> None:
    gateway, slapd = site
    password = make(gateway, person="carol")["password"]
    assert logs_in(gateway, password, "carol") and logs_in(gateway, password, "carol@example.test")
    begins = chain(map(ALPHABET.index, password[:2]), repeat(7))  # as the right one does
    for wrong in (new_text(lambda _: 7), new_text(lambda _: next(begins))):
        assert not logs_in(gateway, wrong, "carol")
    revoke(gateway, person="carol")
    assert not logs_in(gateway, password, "carol"), "a forgotten telephone"
    assert binds(slapd) == set()
    with imaplib.IMAP4_SSL(
        "127.0.0.1", gateway.port(993), timeout=60, ssl_context=trusting()
    ) as client:
        client.login("carol", "looking-glass")
    eventually(lambda: binds(slapd) == {"carol"})


def test_an_outage_of_the_directory_stops_no_app_password(site: tuple[Demo, Slapd]) -> None:
    """People are known from the picture, and of the password nobody has to be asked."""
    gateway, slapd = site
    made = make(gateway, person="carol")
    listed = {"match": "carol"}
    eventually(
        lambda: gateway.control().request("POST", "/v1/people/list", body=listed)["people"],
        every_s=0.1,
    )
    slapd.stop()
    assert logs_in(gateway, made["password"], "carol")
    assert not logs_in(gateway, new_text(lambda _: 7), "carol")
    revoke(gateway, person="carol")
    assert not logs_in(gateway, made["password"], "carol")
