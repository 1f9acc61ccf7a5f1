"""Where people and commands reach a running daemon: its pages, the file that tells their address, links of drafts.

Knows addresses that are taken or cannot be written down, and what of that is worth dying of. Does not know what the
pages show (`sentinel.web`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp.web import Application

from sentinel.config import WebSettings
from sentinel.logs import log
from sentinel.statefile import replace
from sentinel.web import Guard, ListenError, View, make_app, serve
from sentinel.web.approval import Links, key_of

__all__ = ["DEFAULT_PORT", "listening"]

DEFAULT_PORT = 9750
"""Of `http: listen:`; if it is taken, as by another Sentinel, any free port does."""

_logger = logging.getLogger("sentinel.app")


@asynccontextmanager
async def listening(
    view: View, http: WebSettings, folder: Path, key: Path, *, must: bool
) -> AsyncIterator[Links | None]:
    """Serve the pages meanwhile. Gives what makes the links that answer drafts; None if nobody could follow one.

    Args:
        view: What they show.
        http: Where, and for whom.
        folder: Gets the file `api`, by which the commands find the daemon.
        key: File of the links' key, made if missing.
        must: Whether an address that is taken is a reason to die; after a reload it costs the pages only.

    Raises:
        ListenError: the configured address is taken.
    """
    if http.address is None:
        yield None
        return
    links = await _links(http.url, key)
    async with AsyncExitStack() as stack:
        bound = await _bind(stack, partial(_app, view, http, links), *http.address, must=must)
        if bound is not None:
            log(_logger, logging.INFO, "Serving /metrics, /healthz and /readyz", host=bound[0], port=bound[1])
            await _write_address(folder / "api", *bound)
            stack.callback(_forget, folder / "api")
        yield links


def _app(view: View, http: WebSettings, links: Links | None) -> Application:
    host = http.address[0] if http.address else ""
    named = urlsplit(http.url).hostname
    hosts = (*http.hosts, named) if named else http.hosts
    return make_app(view, guard=Guard(host, http.token, hosts), links=links)


async def _links(url: str, key: Path) -> Links | None:
    """Where people reach the pages, drafts are told with a link. Without its key there is the command still."""
    if not url:
        return None
    try:
        return Links(await asyncio.to_thread(key_of, key), url)
    except OSError as error:
        log(_logger, logging.ERROR, "Drafts are told without a link to answer them", why=str(error))
        return None


async def _bind(
    stack: AsyncExitStack, make: Callable[[], Application], host: str, port: int, *, must: bool
) -> tuple[str, int] | None:
    """Where it listens now. A default port that is taken is no reason not to watch: any free one does then."""
    try:
        return await stack.enter_async_context(serve(make(), host, port))
    except ListenError as error:
        if port == DEFAULT_PORT:
            log(_logger, logging.WARNING, "Serving the pages on another port", why=str(error))
            return await stack.enter_async_context(serve(make(), host, 0))
        if must:
            raise
        log(_logger, logging.ERROR, "No pages are served until the next reload", why=str(error))
        return None


async def _write_address(path: Path, host: str, port: int) -> None:
    """Leave word for the commands that ask the daemon where it listens."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    url = f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"
    try:
        await asyncio.to_thread(replace, path, url.encode())
    except OSError as error:
        log(_logger, logging.WARNING, "Commands will not find the daemon by themselves", why=str(error))


def _forget(path: Path) -> None:
    """Nobody listens there any more; another daemon's address may be the newest then."""
    with contextlib.suppress(OSError):
        path.unlink()
