"""Leaks that others met before: what the culprit of a leak looks like, said with its finding.

Knows findings and fingerprints. Where they come from is the configuration's business; which group leaks, diagnosis'.
What looks like none of them is said to: a reader should not look twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sentinel.fingerprints import Fingerprint, Row, recognise
from sentinel.model import Culprit, Finding

__all__ = ["with_known_leak"]

_CAUSES = frozenset({"leak", "masked_leak"})
_ALL = 0.8
"""Share of recent growth from which its example stands for all of it, as `fingerprints.MOST`."""


def with_known_leak(finding: Finding, known: Sequence[Fingerprint], port: str = "") -> Finding:
    """The finding of a leak with what its culprit looks like, and how that is mended.

    Args:
        finding: Any; one that is no leak, or whose culprit nobody saw a connection of, stays as it is.
        known: Fingerprints; of those that match, the one that asks most wins.
        port: The server's own, for leaks that only those of Redis Sentinel have.
    """
    culprit = finding.culprit
    if finding.source not in _CAUSES or culprit is None or not culprit.examples or not known:
        return finding
    rows = [dict(example) | {"port": port} for example in culprit.examples]
    found = recognise(rows, known)
    if found is None:
        return replace(finding, culprit=_with(culprit, "looks like no known leak"))
    sure = "looks like" if _stands_for_all(found, rows) else "the newest looks like"
    links = f" ({', '.join(found.links)})" if found.links else ""
    fixed = f", fixed in {found.fixed_in}" if found.fixed_in else ""
    said = _with(culprit, f"{sure} a known leak: {found.title}{fixed}{links}")
    return replace(finding, culprit=said, first_action=f"{finding.first_action} Known remedy: {found.fix}".strip())


def _with(culprit: Culprit, text: str) -> Culprit:
    return replace(culprit, detail=f"{culprit.detail}; {text}" if culprit.detail else text)


def _stands_for_all(found: Fingerprint, rows: Sequence[Row]) -> bool:
    """Whether the examples tell of the whole growth: by their share, or as it has in common what was matched."""
    return all(
        float(row.get("share", "0") or 0) >= _ALL
        or {name for name in found.match if row.get(name) and name not in ("flags", "port")}
        <= set(row.get("common", "").split(","))
        for row in rows
    )
