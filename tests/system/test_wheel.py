"""The installed wheel is the whole gateway: plugin, command and the demo's files."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.gateway_process import BIN, ROOT, Demo
from tests.support.mail import BOB, inbox, send_all
from tests.support.programs import run

# It may be built with packages that come over the network.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # A copy, so that the checkout keeps no build folder, and without what git does not know.
    listed = run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"]).stdout
    for name in filter(None, listed.decode().split("\0")):
        target = source / name
        if not name.startswith("tests/") and (ROOT / name).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run([*pip, "wheel", "--no-deps", "-w", str(folder), str(source)], timeout_s=280)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path) -> Path:
    folder = wheel.parent / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_it_holds_every_module_and_nothing_of_the_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    modules = {
        str(path.relative_to(ROOT))
        for top in ("gateway", "twisted/plugins")
        for path in (ROOT / top).rglob("*.py")
    }
    assert modules <= names, sorted(modules - names)
    assert {"gateway/py.typed", "gateway/app/demo.ldif"} <= names
    assert not [name for name in names if name.startswith(("tests", "etc", "docs"))]


def test_twistd_and_the_command_find_it(site: Path) -> None:
    environ = {"PYTHONPATH": str(site)}
    assert b"mail server" in run([str(BIN / "twistd"), "--help"], environ=environ).stdout
    version = run([sys.executable, "-m", "gateway", "--version"], environ=environ)
    assert version.stdout.startswith(b"gateway, version ")


def test_it_serves_the_demo(site: Path, tmp_path: Path) -> None:
    demo = Demo(tmp_path / "d", code=site)
    demo.start()
    try:
        send_all(demo.port(25), [b"Subject: wheel\r\n\r\nx\r\n"])
        assert len(inbox(demo.port(143), BOB)) == 1
    finally:
        assert demo.stop() == 0
