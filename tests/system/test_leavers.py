"""People of a real OpenLDAP are renamed, disabled, deleted and replaced, before two workers."""

from __future__ import annotations

import imaplib
import itertools
import json
import os
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.demo_directory import ask_openldap
from tests.support.gateway_process import ROOT, Demo
from tests.support.slapd import SUFFIX, Slapd
from tests.support.waiting import eventually

PEOPLE = f"ou=people,{SUFFIX}"
_NUMBERS = itertools.count()
NAMES = ("anna", "bert", "cleo", "dora", "emil")


def person(uid: str, *mail: str, password: str = "") -> str:
    lines = "".join(f"mail: {each}@example.test\n" for each in mail or (uid,))
    return (
        f"dn: uid={uid},{PEOPLE}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: {uid}\n"
        f"cn: {uid}\nsn: {uid}\n{lines}userPassword: {password or f'secret-{uid}'}\n\n"
    )


@dataclass
class Site:
    """A gateway in front of a directory."""

    gateway: Demo
    slapd: Slapd

    def command(self, *arguments: str, expect: int = 0, answer: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *arguments, "--config", str(self.gateway.config)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            input=answer, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    def deliver(self, recipient: str, *, send: bool = True) -> int:
        """The reply to RCPT."""
        with smtplib.SMTP("127.0.0.1", self.gateway.port(25), timeout=60) as client:
            client.ehlo()
            client.mail("x@elsewhere.example")
            code, _ = client.rcpt(f"{recipient}@example.test")
            if code == 250 and send:
                client.data(f"Subject: for {recipient}\r\n\r\nx\r\n")
            return code

    def answers(self, recipient: str) -> int:
        """The same of somebody who only asks."""
        return self.deliver(recipient, send=False)

    def all_ask_again(self) -> bool:
        """Whether each worker, as far as several connections show it, has found the server again:
        whoever is not in the picture is asked for there."""
        return all(self.answers(f"nobody{next(_NUMBERS)}") == 550 for _ in range(6))

    def log_in(self, login: str, password: str = "") -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.gateway.port(143), timeout=60)
        client.login(login, password or f"secret-{login}")
        return client

    def refuses(self, login: str, password: str = "") -> bool:
        with imaplib.IMAP4("127.0.0.1", self.gateway.port(143), timeout=60) as client:
            try:
                client.login(login, password or f"secret-{login}")
            except imaplib.IMAP4.error as error:
                return "AUTHENTICATIONFAILED" in str(error)
            return False

    def is_down(self) -> bool:
        """Whether the gateway says so of the directory; not while no worker can tell."""
        found = self.gateway.status()["directories"]
        states = {server["state"] for directory in found for server in directory["servers"]}
        return bool(states) and "up" not in states

    def in_picture(self, login: str) -> list[str]:
        """Who is called so there: whom every worker knows."""
        body = {"match": login}
        found = self.gateway.control().request("POST", "/v1/people/list", body=body)["people"]
        return [each["id"] for each in found if each["login"] == login]

    def subjects(self, login: str, password: str = "") -> list[str]:
        client = self.log_in(login, password)
        client.select("INBOX")
        _, found = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        client.logout()
        return [each[1].decode().strip() for each in found if isinstance(each, tuple)]

    def idle(self, login: str) -> imaplib.IMAP4:
        client = self.log_in(login)
        client.select("INBOX")
        client.send(b"x IDLE\r\n")
        assert client.readline().startswith(b"+")
        return client

    def noted(self, account_id: str) -> dict[str, Any]:
        body = {"id": account_id}
        return self.gateway.control().request("POST", "/v1/leavers/noted", body=body)

    def shown(self, person: str) -> dict[str, Any]:
        body = {"person": person}
        return self.gateway.control().request("POST", "/v1/people/show", body=body)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    tmp_path = tmp_path_factory.mktemp("leavers")
    people = "".join(map(person, NAMES)).replace("changetype: add\n", "")
    slapd = Slapd(tmp_path / "ldap", people, overlays=["sessionlog"])
    slapd.start()
    gateway = Demo(tmp_path / "d", workers=2)
    ask_openldap(gateway, slapd, "refresh_s = 1")
    gateway.start()
    try:
        yield Site(gateway, slapd)
    finally:
        gateway.stop()
        slapd.stop()


def test_L16_sessions_of_the_disabled_end_in_all_workers_and_an_outage_ends_none(
    site: Site,
) -> None:
    gone_quiet = [site.idle("bert") for _ in range(3)]
    stays = [site.log_in("emil") for _ in range(2)]
    site.slapd.change(
        f"dn: uid=bert,{PEOPLE}\nchangetype: modify\nreplace: pwdAccountLockedTime\n"
        "pwdAccountLockedTime: 000001010000Z\n"
    )
    for client in gone_quiet:
        assert client.readline().startswith(b"* BYE This login is not valid any more")
        client.shutdown()
    assert site.refuses("bert")
    assert site.deliver("bert") == 250, "mail is taken unless the settings say otherwise"
    site.slapd.stop()
    eventually(site.is_down, every_s=0.2)
    assert [client.noop()[0] for client in stays] == ["OK", "OK"]
    site.slapd.start()
    eventually(site.all_ask_again, every_s=0.2)
    for client in stays:
        assert client.noop()[0] == "OK"
        client.logout()


def test_a_rename_keeps_the_mailbox_and_the_old_address(site: Site) -> None:
    assert site.deliver("anna") == 250
    account_id = site.shown("anna")["id"]
    site.slapd.change(
        f"dn: ou=sales,{SUFFIX}\nchangetype: add\nobjectClass: organizationalUnit\nou: sales\n\n"
        f"dn: uid=anna,{PEOPLE}\nchangetype: modrdn\nnewrdn: uid=anna.berg\ndeleteoldrdn: 1\n"
        f"newsuperior: ou=sales,{SUFFIX}\n\n"
        f"dn: uid=anna.berg,ou=sales,{SUFFIX}\nchangetype: modify\nreplace: mail\n"
        "mail: anna.berg@example.test\n"
    )
    eventually(lambda: site.noted(account_id)["former_addresses"], every_s=0.2)
    assert site.deliver("anna") == 250
    assert site.deliver("anna+shop") == 250
    assert site.deliver("anna.berg") == 250
    expected = ["anna", "anna", "anna+shop", "anna.berg"]
    assert site.subjects("anna.berg", "secret-anna") == [
        f"Subject: for {each}" for each in expected
    ]
    for former in ("anna", "anna@example.test"):
        assert site.refuses(former, "secret-anna")
    told = site.command("explain", "--from", "x@elsewhere.example", "--to", "anna@example.test")
    assert "anna@example.test is a former address of anna.berg, since" in told
    assert "anna@example.test: since" in site.command("user", "show", "anna.berg")

    # Somebody else gets it.
    site.slapd.change(person("anna", password="another"))
    eventually(lambda: not site.noted(account_id)["former_addresses"], every_s=0.2)
    # What is noted comes before the picture.
    eventually(lambda: site.in_picture("anna"), every_s=0.2)
    assert site.deliver("anna") == 250
    assert site.subjects("anna", "another") == ["Subject: for anna"]
    assert len(site.subjects("anna.berg", "secret-anna")) == 4


@pytest.mark.timeout(300)
def test_who_is_deleted_keeps_the_mailbox_until_an_administrator_deletes_it(site: Site) -> None:
    assert site.deliver("cleo") == 250
    account_id = site.shown("cleo")["id"]
    site.slapd.change(f"dn: uid=cleo,{PEOPLE}\nchangetype: delete\n")
    eventually(lambda: site.noted(account_id)["gone_since"], every_s=0.2)
    eventually(lambda: site.answers("cleo") == 550, deadline_s=80, every_s=0.2)
    # Somebody new with the same login and address has a mailbox of their own.
    site.slapd.change(person("cleo", password="another"))
    eventually(lambda: site.deliver("cleo") == 250, deadline_s=80, every_s=0.2)
    assert site.subjects("cleo", "another") == ["Subject: for cleo"]

    report = site.command("user", "reconcile", "--dry-run")
    assert "gone from the directory" in report and f"id:{account_id}" in report
    told = json.loads(site.command("user", "reconcile", "--json"))
    (gone,) = [each for each in told["away"] if each["gone_since"]]
    assert (gone["id"], gone["login"], gone["messages"]) == (account_id, "cleo", 1)
    assert told["compared"]["held"] == told["compared"]["unfinished"] == ""
    answer = site.command("user", "reconcile", "--delete-gone-after", "1", answer="y\n")
    assert "nobody with mailboxes has been gone for 1 days" in answer
    assert "once cleo" in site.command("user", "show", f"id:{account_id}")
    assert gone["octets"], "the mail is there still"
