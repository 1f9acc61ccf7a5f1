"""Asking the running daemon over HTTP: where it is, and what it answers, as commands need it.

The daemon writes its address into its state directory (`api`). Knows HTTP and where state lies; no path of the API.
"""

from __future__ import annotations

import argparse
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sentinel.cli.base import CommandError

__all__ = ["add_api", "call", "text"]

DEFAULT = "http://127.0.0.1:9750"
TOKEN = "SENTINEL_API_TOKEN"
"""The variable with the token of `http: token:`, where the daemon wants one."""
_FILE = "api"
_TIMEOUT = 10.0


def add_api(parser: argparse.ArgumentParser) -> None:
    """Give a command the options that say where the daemon is."""
    parser.add_argument(
        "--api", metavar="URL", help=f"where the daemon listens; without it, where it wrote that it does, or {DEFAULT}"
    )
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="the daemon's, if it is not in the usual place")


def call(arguments: argparse.Namespace, method: str, path: str, body: object = None) -> Any:
    """What the daemon answers, from JSON.

    Args:
        arguments: As parsed with the options of `add_api`.
        method: Such as GET.
        path: Such as /api/v1/incidents.
        body: Sent as JSON, if given.

    Raises:
        CommandError: it cannot be reached, or it refuses; the text says which and what to do.
    """
    try:
        return json.loads(text(arguments, method, path, body))
    except ValueError:
        url = _address(arguments)
        raise CommandError(f"sentinel: {url} does not answer as a Sentinel does; say where it is: --api URL") from None


def text(arguments: argparse.Namespace, method: str, path: str, body: object = None) -> str:
    """What the daemon answers, as it is; like `call`."""
    url = _address(arguments).rstrip("/") + path
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    if token := os.environ.get(TOKEN):
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data, headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the daemon is on this host or nearby
    try:
        with opener.open(request, timeout=_TIMEOUT) as answer:
            return str(answer.read().decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        raise CommandError(f"sentinel: {_refusal(error)}") from None
    except (urllib.error.URLError, OSError) as error:
        why = getattr(error, "reason", error)
        raise CommandError(
            f"sentinel: no daemon answers at {url} ({why}); is it running? Say where: --api URL"
        ) from None


def _refusal(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["error"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"{error.url} refuses: {error.code} {error.reason}"


def _address(arguments: argparse.Namespace) -> str:
    if arguments.api:
        given = str(arguments.api)
        return given if "://" in given else f"http://{given}"
    written = sorted(_written(arguments.state_dir), key=lambda file: file.stat().st_mtime)
    return written[-1].read_text().strip() if written else DEFAULT


def _written(state_dir: Path | None) -> Iterator[Path]:
    """Files in which a daemon wrote where it listens: in the given directory, else wherever one keeps its state."""
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    usual = [*([Path(given)] if given else []), Path("/var/lib/sentinel"), *(home / "sentinel").glob("*")]
    return (folder / _FILE for folder in ([state_dir] if state_dir else usual) if os.access(folder / _FILE, os.R_OK))
