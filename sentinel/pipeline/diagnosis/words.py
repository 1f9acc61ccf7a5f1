"""Numbers and times as people read them in a finding: 25 min, 3.1/min, 1.5 GiB, 12:04 UTC."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["BY_KEY", "clock_time", "count", "listed", "pace", "queue_called", "row", "size", "span"]

BY_KEY = ("", "list", "zset", "stream")
"""Systems whose queues are named by whoever runs them; the others' names come with their system."""
_SIZES = (("TiB", 2.0**40), ("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10))
_UNITS = (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))


def span(seconds: float) -> str:
    """A duration in the largest unit of which there are two, or in seconds and below.

    >>> span(95), span(3600), span(5400), span(26 * 3600)
    ('95 s', '60 min', '90 min', '26 h')
    >>> span(0), span(1.94), span(0.42), span(0.002)
    ('0 s', '1.9 s', '0.42 s', '2 ms')
    """
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= 2 * size), ("s", 1.0))
    if 0 < seconds < 0.1:
        unit, size = "ms", 0.001
    value = seconds / size
    return f"{value:.0f} {unit}" if value >= 10 or value == 0 else f"{value:.2g} {unit}"


def pace(per_second: float) -> str:
    """A rate in the unit in which it is at least about one.

    >>> pace(90000.0), pace(3.0), pace(0.05), pace(0.002), pace(0.0)
    ('90,000/s', '3/s', '3/min', '7.2/h', '0/s')
    """
    if not per_second:
        return "0/s"
    unit, size = next(
        ((unit, size) for unit, size in (("s", 1.0), ("min", 60.0)) if per_second * size >= 1), ("h", 3600.0)
    )
    value = per_second * size
    return f"{value:,.0f}/{unit}" if value >= 100 else f"{value:.3g}/{unit}"


def size(value: float) -> str:
    """Bytes in the largest unit of which there is one.

    >>> size(1610612736.0), size(64 * 2**20), size(12.0)
    ('1.5 GiB', '64 MiB', '12 B')
    """
    for unit, bytes_ in _SIZES:
        if value >= bytes_:
            return f"{value / bytes_:,.0f} {unit}" if value >= 100 * bytes_ else f"{value / bytes_:.3g} {unit}"
    return f"{value:.0f} B"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Names in a row, the rest as a number.

    >>> listed(["a", "b", "c", "d", "e"]), listed(["a", "b"]), listed(["a"])
    ('a, b, c and 2 more', 'a and b', 'a')
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def count(value: float) -> str:
    """A whole number with thousands separated.

    >>> count(9574.0)
    '9,574'
    """
    return f"{value:,.0f}"


def clock_time(time: float) -> str:
    """Hours and minutes of a Unix time, in UTC.

    >>> clock_time(1764000000.0)
    '16:00 UTC'
    """
    minutes = int(time // 60) % 1440
    return f"{minutes // 60:02d}:{minutes % 60:02d} UTC"


def row(names: Sequence[str], most: int = 5) -> str:
    """Names separated by commas, as they may be copied; the rest as a number.

    >>> row(["w1", "w2"]), row(["w1", "w2", "w3"], most=2)
    ('w1, w2', 'w1, w2 and 1 more')
    """
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def queue_called(queue: str, system: str) -> str:
    """A queue as people are told: with its job system, where two systems may have one of the same name.

    >>> queue_called("default", "celery"), queue_called("encode", "list")
    ('celery:default', 'encode')
    """
    return queue if system in BY_KEY else f"{system}:{queue}"
