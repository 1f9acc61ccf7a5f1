"""What the pages that speak JSON over HTTP share: one question, one answer, and errors that delivery understands.

Knows HTTP and JSON. Must not know any vendor's fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson

from sentinel.notifiers.base import DeliveryError, Outcome
from sentinel.notifiers.http import HttpSettings, check, exchange, refused

__all__ = ["Api"]


class Api:
    """A vendor's API, asked on behalf of one update.

    An update may take several requests: once one has written, a failure of a later one is ambiguous, so that the next
    try takes what the page shows of this one for ours, and not for a person's.

    Args:
        settings: How it is reached, and whose secrets are kept out of texts.
        session: The destination's own.
        base: URL in front of every path.
        headers: With the credentials.
        now: Unix seconds, for a Retry-After that is a date.
    """

    def __init__(
        self, settings: HttpSettings, session: aiohttp.ClientSession, base: str, headers: Mapping[str, str], now: float
    ) -> None:
        self._settings, self._session, self._base, self._now = settings, session, base.rstrip("/"), now
        self._wrote = False
        self._headers = {"content-type": "application/json", "accept": "application/json", **headers}

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON.

        Raises:
            DeliveryError: there was none, or it is a refusal.
        """
        return await self._asked(method, path, body, missing=False)

    async def look(self, path: str) -> Any | None:
        """What there is under a path; None if there is nothing.

        Raises:
            DeliveryError: it cannot be said.
        """
        return await self._asked("GET", path, None, missing=True)

    async def listed(self, path: str) -> list[Any]:
        """A list under a path. Anything else raises: an empty list would have an incident made a second time.

        Raises:
            DeliveryError: there is no list.
        """
        found = await self.ask("GET", path)
        if isinstance(found, list):
            return found
        raise self._odd("a list was expected")

    async def _asked(self, method: str, path: str, body: object, *, missing: bool) -> Any:
        content = None if body is None else orjson.dumps(body)
        url = f"{self._base}/{path}"
        try:
            answer = self._answer = await exchange(
                self._session, self._settings, url, body=content, headers=self._headers, method=method
            )
            if missing and answer.status == 404:
                return None
            check(answer, self._settings, self._now)
        except DeliveryError as error:
            # A PUT whose answer is lost is repeated by the client: the answer that we see may be the second one's.
            self._wrote |= method == "PUT"
            if self._wrote and error.outcome in (Outcome.RETRY, Outcome.THROTTLED):
                raise DeliveryError(Outcome.AMBIGUOUS, str(error), after=error.after, status=error.status) from error
            raise
        self._wrote |= method != "GET"
        if not answer.body and method != "GET":
            return {}
        try:
            return orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            raise self._odd("the answer is no JSON") from None

    def _odd(self, why: str) -> Exception:
        """An answer of 200 that is none: a GET can be asked again, what was written may be there."""
        outcome = Outcome.AMBIGUOUS if not self._answer.complete else Outcome.REJECTED_CONFIG
        return refused(outcome, self._answer, self._settings, why)
