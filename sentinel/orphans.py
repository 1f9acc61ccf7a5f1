"""Public incidents of ours that nothing here knows any more: found on the pages, and taken up to their end.

A page remembers what a lost disk forgot. On pages where incidents can be looked for by their key alone, each component
is looked at a while after the start, when fresh data has said how it stands, and each hour. What is open there and is
public by nothing here is taken up: it is resolved once it has been clear for long enough, as any other. What a person
wrote on last, or what no rule is about any more, is left to people, and said in the log.

Knows pages and keys. What may be taken up is decided by the pipeline. Source: reference/delivery.md 5.11, orphan sweep.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from sentinel.logs import log
from sentinel.model import Seconds
from sentinel.notifiers.base import DeliveryError, Notifier
from sentinel.notifiers.http import open_session
from sentinel.pipeline.actions import ActionError, Adopt
from sentinel.pipeline.publishing import public_key
from sentinel.statuspages.base import StatusPage

__all__ = ["keep_sweeping", "sweep"]

_logger = logging.getLogger(__name__)
_FIRST: Seconds = 600.0
"""From the start to the first look: by then what is still wrong has been told again."""
_EVERY: Seconds = 3600.0
_AGAIN: Seconds = 60.0
"""After a look that failed."""

Known = Callable[[], Collection[tuple[str, str]]]
Act = Callable[[Adopt], Awaitable[Any]]


async def keep_sweeping(
    instance_id: str, pages: Mapping[str, Notifier], known: Known, act: Act, now: Callable[[], float]
) -> None:
    """Look again and again, until cancelled.

    Args:
        instance_id: Part of every key.
        pages: Destinations by name; those that are no pages are left alone.
        known: Gives page and component of all that is drafted or public.
        act: Takes what is to be done.
        now: Gives Unix seconds.
    """
    swept = [
        (name, page)
        for name, page in pages.items()
        if isinstance(page, StatusPage) and page.keyed and page.mode in ("auto", "draft")
    ]
    wait = _FIRST
    while swept:
        await asyncio.sleep(wait)
        whole = [await sweep(instance_id, name, page, known, act, now) for name, page in swept]
        wait = _EVERY if all(whole) else _AGAIN


async def sweep(
    instance_id: str, name: str, page: StatusPage, known: Known, act: Act, now: Callable[[], float]
) -> bool:
    """Look at one page once. Gives whether it could be looked at.

    Args:
        instance_id: Part of every key.
        name: Of the page's destination.
        page: It.
        known: Gives page and component of all that is drafted or public.
        act: Takes what is to be done.
        now: Gives Unix seconds.
    """
    try:
        session = open_session(page)
    except OSError:
        return True  # its courier says that the certificates cannot be loaded
    async with session:
        for component in dict.fromkeys(rule.component for rule in page.publish):
            if (name, component) in known():
                continue
            try:
                found = await page.left_open(session, public_key(instance_id, name, component), component, now())
            except (DeliveryError, LookupError, TypeError, ValueError, AttributeError) as error:
                log(_logger, logging.WARNING, "A status page cannot be looked through", page=name, why=str(error))
                return False
            if found and (name, component) not in known():
                await _take_up(Adopt(now(), "the orphan sweep", name, component, found[0].text), act)
    return True


async def _take_up(adopt: Adopt, act: Act) -> None:
    where = {"page": adopt.page, "component": adopt.component}
    try:
        await act(adopt)
    except ActionError as error:
        log(_logger, logging.WARNING, "A public incident of ours is left to people", **where, why=str(error))
    else:
        log(_logger, logging.WARNING, "A public incident that was forgotten is taken up", **where)
