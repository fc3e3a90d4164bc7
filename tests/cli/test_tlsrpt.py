"""``gateway tlsrpt show``, on the store of a stopped gateway."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.core.ports.tls_policies import Counted, Sessions
from tests.cli.test_commands import call
from tests.cli.test_queue import HOSTILE, configuration
from tests.store.house import House

Run = Callable[..., str]
DAY = int(time.time()) // 86_400
DANE = Counted(DAY, "y.example", "tlsa", "mx.y.example", "3 1 1 00")
FAILED = Counted(
    DAY, "y.example", "tlsa", "mx.y.example", "3 1 1 00", "validation-failure", "mx", "192.0.2.1"
)


@pytest.fixture
def config(tmp_path: Path) -> str:
    return configuration(tmp_path)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], config: str) -> Run:
    def run(*arguments: str) -> str:
        assert call(monkeypatch, "tlsrpt", "show", *arguments, "--config", config) == 0
        return capsys.readouterr().out

    return run


def count(tmp_path: Path, *counts: Sessions) -> None:
    with House(tmp_path / "state") as house:
        house.wait(house.store.tls_counts.add(counts))


def test_domains_have_a_line_for_each_policy_and_failure(tmp_path: Path, run: Run) -> None:
    count(tmp_path, Sessions(DANE, 1200), Sessions(FAILED, 2))
    first, policy, failure = run().splitlines()
    assert first == f"{time.strftime('%Y-%m-%d', time.gmtime(DAY * 86_400))}  y.example  (so far)"
    assert policy == "  tlsa of mx.y.example: 1,200 successful, 2 failed"
    assert failure.split() == ["2", "validation-failure", "mx[192.0.2.1]"]
    (report,) = json.loads(run("--json", "Y.example"))["reports"]
    assert report["policies"][0]["policy"] == ["3 1 1 00"]
    assert run("z.example") == "nothing is counted that is not reported yet\n"


def test_A9_what_strangers_chose_cannot_steer_a_terminal(tmp_path: Path, run: Run) -> None:
    hostile = Counted(DAY, "y.example", "sts", HOSTILE, "", "sts-webpki-invalid", reason=HOSTILE)
    count(tmp_path, Sessions(hostile, 1), Sessions(DANE, 1))
    text = run()
    assert "\x1b" not in text and "\u202e" not in text
    assert run("--limit", "1").splitlines()[-1] != "and more: name a domain, or raise --limit"


def test_it_says_when_nothing_is_counted(tmp_path: Path, run: Run, config: str) -> None:
    count(tmp_path)
    path = Path(config)
    path.write_text(path.read_text() + "\n[outbound]\ntls_reports = false\n")
    assert run() == "TLS is not counted (outbound.tls_reports = false)\n"
