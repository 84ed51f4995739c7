"""The token file that the toolbelt keeps: ``~/.aptible/tokens.json``, a token for each server."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

from toolbelt.errors import ToolbeltError

TOKEN_VARIABLE = "APTIBLE_ACCESS_TOKEN"  # noqa: S105

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LIFETIME = re.compile(r"([0-9]{1,9})\s*([smhdw]?)")


def token_file() -> Path:
    """Return where the tokens are."""
    return Path.home() / ".aptible" / "tokens.json"


def save_token(auth_root: str, token: str) -> Path:
    """Keep the token of one server, for nobody but the user (mode 600); return the file."""
    path = token_file()
    tokens = {**_read(path), auth_root: token}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, aside = tempfile.mkstemp(prefix=".tokens.", dir=path.parent)  # mode 600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(tokens, file)
                file.write("\n")
            Path(aside).replace(path)
        except OSError:
            Path(aside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ToolbeltError(
            f"Could not write token to {path}, please check filesystem permissions"
        ) from error
    return path


def read_token(auth_root: str) -> str:
    """Return the token to use with a server: the variable's, else the file's."""
    token = os.environ.get(TOKEN_VARIABLE) or _read(token_file()).get(auth_root)
    if not token:
        raise ToolbeltError(
            f"Could not read token: please run aptible login or set {TOKEN_VARIABLE}"
        )
    return token


def read_lifetime(text: str) -> int:
    """Return the seconds that ``12h``, ``7d``, ``1w``, ``90m`` or ``3600`` mean."""
    match = _LIFETIME.fullmatch(text.strip().lower())
    if match is None or int(match[1]) == 0:
        raise ToolbeltError(f"Invalid token lifetime: {text} (write for example 12h, 7d or 1w)")
    return int(match[1]) * _UNITS[match[2]]


def _read(path: Path) -> dict[str, str]:
    try:
        tokens = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return tokens if isinstance(tokens, dict) else {}
