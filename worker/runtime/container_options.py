"""What every container of ours is made with, as the Engine's create call takes it."""

from __future__ import annotations

from typing import Any

from docker.types import EndpointConfig, HostConfig, LogConfig

from worker.runtime import ContainerSpec, Image

PIDS = 2048
LOG = LogConfig(type=LogConfig.types.JSON, config={"max-size": "10m", "max-file": "3"})


def create_options(
    spec: ContainerSpec,
    *,
    network: str,
    address: str | None,
    api_version: str,
    image: Image | None,
) -> dict[str, Any]:
    """Return the arguments of the SDK's ``create_container``.

    ``address`` None leaves it to the Engine, which may choose another at each start. ``image`` is
    needed where ``needs_image`` says so. The restart policy is left out on purpose:
    it hides crashes, and comes when the container has counted as healthy (``Runtime.keep``).
    """
    entrypoint, command = _argv(spec, image)
    endpoint = EndpointConfig(api_version, ipv4_address=address)
    return {
        "image": spec.image_id,
        "name": spec.name,
        "entrypoint": entrypoint,
        "command": command,
        "environment": [f"{name}={value}" for name, value in spec.environment.items()],
        "labels": dict(spec.labels),
        "stdin_open": spec.stdin,
        "tty": spec.terminal,
        "use_config_proxy": False,  # else the operator's ~/.docker/config.json adds variables
        "networking_config": {"EndpointsConfig": {network: endpoint}} if address else None,
        "host_config": HostConfig(
            version=api_version,
            network_mode=network,
            security_opt=["no-new-privileges"],
            # On a shared bridge, raw sockets allow forged ARP: another's traffic would come here.
            cap_drop=["NET_RAW"],
            mem_limit=spec.memory_mb << 20,
            memswap_limit=spec.memory_mb << 20,  # the same: no swap on top
            pids_limit=PIDS,
            log_config=LOG,
            init=False,
        ),
    }


def needs_image(spec: ContainerSpec) -> bool:
    """Tell whether the Engine's own rules for ENTRYPOINT and CMD give not what ``spec`` says.

    The Engine drops the image's CMD once an ENTRYPOINT is given, and takes an empty CMD for none
    given.
    """
    return (bool(spec.entrypoint) and spec.command is None) or spec.command == ()


def _argv(spec: ContainerSpec, image: Image | None) -> tuple[list[str] | None, list[str] | None]:
    entrypoint, command = spec.entrypoint, spec.command
    if image is not None:
        entrypoint = image.entrypoint if entrypoint is None else entrypoint
        command = image.command if command is None else command
    return (
        None if entrypoint is None else list(entrypoint),
        None if command is None else list(command),
    )
