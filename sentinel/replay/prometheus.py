"""History from Prometheus: its HTTP API, or what was saved of it.

Raw samples are asked for (`selector[1h]` as an instant query), never `query_range`: that one fills gaps for five
minutes with the last value and moves every sample onto its grid, and both would change verdicts. Pages are halved
where the server says that they are too large, and read one after another, so that a month of many targets fits.

Understands Prometheus and what speaks its API (Thanos, Mimir, VictoriaMetrics); files with an answer of that API
(vector or matrix), VictoriaMetrics' export (a JSON line a series), or `promtool tsdb dump`.

Knows HTTP and formats. Must not know what names mean.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import aiohttp
import orjson

from sentinel.model import Seconds, Secret
from sentinel.replay.names import SELECTOR, Row

__all__ = ["HistoryError", "Prometheus", "collected", "read_export"]

_PAGE: Seconds = 6 * 3600.0
_SMALLEST: Seconds = 60.0
_TIMEOUT: Seconds = 120.0
_ANSWER_MOST = 256 << 20
_DUMPED = re.compile(r"\{(?P<labels>.*)\} (?P<value>\S+) (?P<time>-?\d+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class HistoryError(Exception):
    """History cannot be had; the text says from where, why, and what to do."""


class _TooMuchError(Exception):
    """The server will not load so much at once."""


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus server. Its repr shows no credential.

    Args:
        url: `http://host:9090`, with a path before `/api/v1` if there is one, and `user:password@` if needed.
        token: A bearer token.
        match: More matchers, such as `job="redis"`.
    """

    url: str
    token: Secret | None = None
    match: str = ""

    def __repr__(self) -> str:
        return f"Prometheus({self._base})"

    async def rows(
        self, since: float, until: float, progress: Callable[[float], None] = lambda _: None
    ) -> AsyncIterator[list[Row]]:
        """Pages of rows, each in the order of time, from after `since` up to `until`.

        Raises:
            HistoryError: the server does not answer, or not as Prometheus does.
        """
        page, at = _PAGE, since
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session:
            while at < until:
                length = min(page, until - at)
                try:
                    rows = await self._page(session, at, length)
                except _TooMuchError as error:
                    if page <= _SMALLEST:
                        raise HistoryError(f"{self._base}: {error}; narrow it with --match") from None
                    page /= 2
                    continue
                yield rows
                at += length
                progress((at - since) / (until - since))

    async def _page(self, session: aiohttp.ClientSession, start: float, length: Seconds) -> list[Row]:
        matchers = ",".join(filter(None, (f'__name__=~"{SELECTOR}"', self.match)))
        # A millisecond more than the page, so that a sample at its very start is not lost between two versions of
        # Prometheus, which count the left end in (2) or out (3); what was there already is left out here.
        query = f"{{{matchers}}}[{int(length * 1000) + 1}ms]"
        answer = await self._ask(session, {"query": query, "time": f"{start + length:.3f}"})
        found = [row for row in _matrix(answer) if round(row.time, 3) > round(start, 3)]
        return sorted(found, key=lambda row: row.time)

    async def _ask(self, session: aiohttp.ClientSession, form: Mapping[str, str]) -> Any:
        url = f"{self._base}/api/v1/query"
        try:
            async with session.post(url, data=form, allow_redirects=False) as response:
                body = await response.content.read(_ANSWER_MOST + 1)
                while chunk := await response.content.read(_ANSWER_MOST):
                    body += chunk
                    if len(body) > _ANSWER_MOST:
                        raise _TooMuchError("an answer is too large")
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
            raise HistoryError(f"{self._base} does not answer ({why}); is it the address of a Prometheus?") from None
        return self._answer(status, body)

    def _answer(self, status: int, body: bytes) -> Any:
        try:
            answer = orjson.loads(body)
        except ValueError:
            answer = None
        if status == 200 and isinstance(answer, dict) and answer.get("status") == "success":
            return answer.get("data")
        error = str(answer.get("error", "")) if isinstance(answer, dict) else ""
        if "too many samples" in error or (status in (413, 422) and "limit" in error):
            raise _TooMuchError(error[:200])
        advice = {401: "; give user:password@ in the URL, or --token-file", 404: "; is a path missing in the URL?"}
        said = f": {error[:200]}" if error else ""
        raise HistoryError(f"{self._base} answered {status}{said}{advice.get(status, '')}")

    @property
    def _base(self) -> str:
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path.rstrip("/").removesuffix("/api/v1"), "", ""))

    @property
    def _headers(self) -> dict[str, str]:
        parts = urlsplit(self.url)
        if self.token:
            return {"Authorization": f"Bearer {self.token.reveal()}"}
        if parts.username is None:
            return {}
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}


def collected(history: Prometheus, since: float, until: float, progress: Callable[[float], None]) -> Iterator[Row]:
    """The rows of all pages, a page at a time in memory, for those who do not run a loop.

    Raises:
        HistoryError: as `Prometheus.rows`.
    """
    with asyncio.Runner() as runner:
        pages = history.rows(since, until, progress)
        while (rows := runner.run(_next(pages))) is not None:
            yield from rows


async def _next(pages: AsyncIterator[list[Row]]) -> list[Row] | None:
    return await anext(pages, None)


def read_export(path: Path) -> Iterator[Row]:
    """Rows of a saved file, in the order of time.

    Raises:
        HistoryError: it is of none of the known formats.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise HistoryError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        rows = list(_exported(text))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        known = "an answer of Prometheus' API, VictoriaMetrics' export, or `promtool tsdb dump`"
        raise HistoryError(f"{path}: is not {known} ({type(error).__name__}: {error})") from None
    return iter(sorted(rows, key=lambda row: row.time))


def _exported(text: bytes) -> Iterator[Row]:
    if text.lstrip()[:1] == b"{" and text.lstrip()[:3] != b"{__":
        if b'"timestamps"' in text.partition(b"\n")[0]:
            yield from _lines(line for line in text.splitlines() if line.strip())
        else:
            answer = orjson.loads(text)
            yield from _matrix(answer.get("data", answer))
    else:
        yield from _dumped(text.decode())


def _matrix(data: Any) -> Iterator[Row]:
    for series in data["result"]:
        labels = series["metric"]
        name = labels["__name__"]
        for time, value in series["values"] if "values" in series else [series["value"]]:
            yield Row(float(time), name, labels, float(value))


def _lines(lines: Iterable[bytes]) -> Iterator[Row]:
    for line in lines:
        series = orjson.loads(line)
        labels = series["metric"]
        for time, value in zip(series["timestamps"], series["values"], strict=True):
            yield Row(time / 1000, labels["__name__"], labels, float(value))


def _dumped(text: str) -> Iterator[Row]:
    for line in filter(None, text.splitlines()):
        found = _DUMPED.fullmatch(line)
        if found is None:
            raise ValueError(f"not a line of a dump: {line[:80]!r}")
        labels = dict(_LABEL.findall(found["labels"]))
        if found["value"] != "NaN":
            yield Row(int(found["time"]) / 1000, labels["__name__"], labels, float(found["value"]))
