"""No secret in Redis, in logs, in any process's arguments, in containers (invariant 6)."""

import base64
import sys
from collections.abc import Callable
from pathlib import Path

from conftest import App

from testbed.images import Images
from testbed.installation import PASSWORD

SECRET = "hunter2-and-then-some"


def test_secrets_stay_secret(app: App, images: Images) -> None:
    app.repository.commit(
        Procfile="web: exec serve\n",
        _aptible_yml=(
            "before_release:\n"
            "  - echo the token is $API_TOKEN\n"
            "  - printf 'hunter2-'; sleep 1; printf 'and-then-some\\n'\n"
            "  - sleep 2\n"
        ),
    )
    assert app.repository.push("master:staged").returncode == 0
    deploy = app.owner.start(
        *(_aptible(), "deploy", "--app", app.handle, "--docker-image", images.web("1")),
        *("--private-registry-username", app.registry.username),
        *("--private-registry-password", app.registry.password),
        *("--git-commitish", "staged", f"API_TOKEN={SECRET}"),
    )
    arguments = set()
    assert deploy.stdout is not None
    said = []
    for line in deploy.stdout:
        said.append(line)
        arguments |= _arguments_of_everyone(but=deploy.pid)
    assert deploy.wait(60) == 0, said
    log = "".join(said)

    pair = base64.b64encode(f"{app.registry.username}:{app.registry.password}".encode()).decode()
    secrets = [SECRET, app.registry.password, pair, PASSWORD]
    assert "the token is [redacted]" in log
    assert not any(secret in log for secret in secrets)
    assert not any(secret in each for secret in secrets for each in arguments)
    assert not any(secret in everything for secret in secrets for everything in _redis_dump(app))
    logs = "".join(path.read_text() for path in (app.installation.data / "log").iterdir())
    assert not any(secret in logs for secret in secrets)
    for path in (app.installation.data / "redis").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret.encode() in content for secret in secrets), path
    environment = app.get("/cgi-bin/env")
    assert f"API_TOKEN={SECRET}\n" in environment  # the app itself gets it
    assert app.registry.password not in environment


def test_the_data_directory_is_for_its_owner_only(app: App) -> None:
    data = app.installation.data
    assert data.stat().st_mode & 0o077 == 0
    assert (data / "secret.keys").stat().st_mode & 0o077 == 0
    assert (data / "host.ssh-ed25519").stat().st_mode & 0o077 == 0


def _aptible() -> str:
    return str(Path(sys.executable).parent / "aptible")


def _arguments_of_everyone(*, but: int) -> set[str]:
    """What ``ps`` shows of all processes but people's own ``aptible`` commands: what those were
    given is on view, and other tests run at the same time.
    """
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != but:
            try:
                found.add((process / "cmdline").read_bytes().decode(errors="replace"))
            except OSError:
                continue
    return {each for each in found if "pytest" not in each and "/aptible\0" not in each}


def _redis_dump(app: App) -> list[str]:
    """Every value in the installation's Redis, of every type, as text."""
    with app.installation.redis() as client:
        reads: dict[str, Callable[[str], object]] = {
            "string": client.get,
            "hash": client.hgetall,
            "list": lambda key: client.lrange(key, 0, -1),
            "set": client.smembers,
            "zset": lambda key: client.zrange(key, 0, -1),
            "stream": client.xrange,
        }
        found = [str(key) for key in client.scan_iter() if not str(key).startswith("rq:job:")]
        jobs = [str(key) for key in client.scan_iter("rq:job:*")]
        dump = [f"{key} {reads[str(client.type(key))](key)}" for key in found]
        return dump + [f"{key} {client.hget(key, 'description')}" for key in jobs]


def test_the_dump_reads_something(app: App) -> None:
    """A test that cannot fail is deleted: the dump does see values."""
    assert any("ann@example.com" in each for each in _redis_dump(app))
