"""Opens the port that the pages are read at, and closes it again."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

__all__ = ["ListenError", "serve"]


class ListenError(Exception):
    """The address cannot be listened on; the text says which and what to change."""


@asynccontextmanager
async def serve(app: web.Application, host: str, port: int) -> AsyncIterator[tuple[str, int]]:
    """Serve an app while the block runs; gives the address that was bound.

    Args:
        app: As `make_app` gives it.
        host: An address of this machine; loopback unless the network around it may read everything.
        port: 0 for any free one.

    Raises:
        ListenError: the address is taken, not ours, or not allowed.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise ListenError(_what_to_do(host, port, error)) from error
        bound = runner.addresses[0]
        yield bound[0], bound[1]
    finally:
        await runner.cleanup()


def _what_to_do(host: str, port: int, error: OSError) -> str:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    says = {
        errno.EADDRINUSE: "is in use, perhaps by another Sentinel",
        errno.EADDRNOTAVAIL: "is not an address of this machine",
        errno.EACCES: "needs a privilege: ports below 1024 do",
    }.get(error.errno or 0, f"cannot be listened on ({error.strerror or error})")
    return f"{where} {says}: set `http: listen:` (or `--listen`) to another host:port, or to off"
