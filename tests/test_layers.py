"""The house's rule: a module imports only lower floors or its own package (DESIGN section 3)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gateway

ROOT = Path(gateway.__file__).parent

FLOORS = {
    "core": 1,
    "wire": 2,
    "store": 3,
    "directory": 3,
    "auth": 4,
    "people": 4,
    "routing": 4,
    "delivery": 5,
    "transfer": 5,
    "policy": 6,
    "queue": 6,
    "edge": 7,
    "app": 8,
    "cli": 8,
}
MAX_LINES = 400

MODULES = sorted(ROOT.rglob("*.py"))
TESTS = sorted(Path(__file__).parent.rglob("*.py"))


def package_of(dotted: str) -> str:
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}"
            yield node.lineno, node.module or ""


def test_every_package_has_a_floor() -> None:
    packages = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert packages <= FLOORS.keys()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downward(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0]
    if own not in FLOORS:
        return  # gateway/__init__.py and __main__.py
    for line, dotted in imports_of(path):
        if not dotted.startswith("gateway."):
            continue
        target = package_of(dotted)
        assert target == own or FLOORS[target] < FLOORS[own], (
            f"{path.relative_to(ROOT)}:{line} ({own}, floor {FLOORS[own]}) imports {dotted}"
        )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_readable(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES, "split it along a noun"
    assert ast.get_docstring(ast.parse(text)), "every file opens with what it owns"
    if path.name == "__init__.py":
        assert len(ast.parse(text).body) == 1, "__init__.py holds a docstring only"


def test_tests_stay_readable() -> None:
    assert [path for path in TESTS if len(path.read_text().splitlines()) > MAX_LINES] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_reactor_is_injected(path: Path) -> None:
    """Only app/ may name the reactor, and not even app/ at module level (habit 15)."""
    tree = ast.parse(path.read_text())
    at_module_level = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "twisted.internet":
            if all(alias.name != "reactor" for alias in node.names):
                continue
            assert path.relative_to(ROOT).parts[0] == "app" and id(node) not in at_module_level
