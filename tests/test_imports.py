"""The one way that imports point, and who may catch everything (DESIGN 1, STYLE)."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MAY_IMPORT = {
    "enclave": set(),
    "hooks": {"enclave"},
    "receiver": {"hooks", "enclave"},
    "api": {"hooks", "enclave"},
    "worker": {"hooks", "enclave"},
    "router": {"enclave"},
    "toolbelt": set(),
    "admin": {
        "api",
        "enclave",
        "hooks",
        "receiver",
        "router",
        "worker",
    },  # it puts the pieces together
}
"""Of our own packages, besides itself."""

OUTSIDE = {
    "toolbelt": {"click", "httpx", "rich"},  # the base distribution, without [server]
    "enclave": {  # no network but Redis
        *("argon2", "cryptography", "jwt", "pydantic", "pydantic_settings", "redis", "rq", "yaml"),
    },
    "hooks": {"dulwich"},
}
"""Of other people's; packages that are not named may import what they like."""

NETWORK = {"asyncio", "ftplib", "http", "smtplib", "socket", "ssl", "urllib"}
"""Of the standard library: not for ``enclave`` and ``hooks``."""

CATCHES_EVERYTHING = {
    "receiver/http.py": "__call__",
    "receiver/ssh.py": "serve",
    "receiver/portal.py": "_serve",  # of a visit
    "api/middleware.py": "__call__",  # of a request
    "receiver/conversation.py": "_hold",  # of a conversation's thread
    "receiver/reconciler.py": "_logged",  # of the reconciler: nobody else does its rounds
    "toolbelt/command.py": "_run",  # of the aptible command
    "worker/attendant/sessions.py": "_answer",  # of a session
    "worker/operation_run.py": "_attempt",  # of an operation
    "worker/safe_points.py": "_settle",  # of a thread whose outcome is raised elsewhere
}
"""The outermost frames, each of which logs or shows what it caught."""


def sources(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, f"{package} is gone"
    return found


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Yield every module that a file imports anywhere, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import():
                for name in node.names:
                    yield name.name, node.lineno
            case ast.ImportFrom():
                assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
                yield node.module or "", node.lineno


def places(package: str, forbidden: object) -> list[str]:
    """Return where a package imports what ``forbidden`` says of a top-level module."""
    return [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in sources(package)
        for module, line in imported(path)
        if forbidden(module)  # type: ignore[operator]
    ]


def test_every_package_is_known() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert found - {"testbed", "bench"} == set(MAY_IMPORT)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package: str) -> None:
    others = {*MAY_IMPORT, "testbed", "tests", "bench"} - MAY_IMPORT[package] - {package}
    assert places(package, lambda module: module.split(".")[0] in others) == []


@pytest.mark.parametrize("package", OUTSIDE)
def test_what_they_take_from_elsewhere(package: str) -> None:
    known = {*OUTSIDE[package], *MAY_IMPORT, *sys.stdlib_module_names}
    assert places(package, lambda module: module.split(".")[0] not in known) == []


@pytest.mark.parametrize("package", ["enclave", "hooks"])
def test_the_core_talks_to_redis_alone(package: str) -> None:
    assert places(package, lambda module: module.split(".")[0] in NETWORK) == []


def test_only_the_outermost_frames_catch_everything() -> None:
    found = {
        (str(path.relative_to(ROOT)), function.name)
        for package in MAY_IMPORT
        for path in sources(package)
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for handler in ast.walk(function)
        if isinstance(handler, ast.ExceptHandler) and _catches_everything(handler.type)
    }
    assert found == set(CATCHES_EVERYTHING.items())


def test_nobody_suppresses_everything() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for package in MAY_IMPORT
        for path in sources(package)
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and _name(call.func) == "suppress"
        and any(_catches_everything(argument) for argument in call.args)
    ]
    assert found == []


def _catches_everything(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_catches_everything(each) for each in caught.elts)
    return caught is None or _name(caught) in ("Exception", "BaseException")


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
