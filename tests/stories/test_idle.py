"""A platform with nothing to do leaves its Redis alone: nobody polls."""

from testbed.engine import PrivateEngine
from testbed.installation import Installation
from testbed.monitoring import commands_during, is_heartbeat, wait_until_idle

_SECONDS = 8


def test_an_idle_platform_asks_redis_nothing(engine: PrivateEngine) -> None:
    with Installation(engine.url, settings={"ENCLAVE_RECEIVERS": "2"}) as installation:
        wait_until_idle(installation)

        asked = commands_during(_SECONDS, installation)

        assert [command for command in asked if not is_heartbeat(command)] == []
