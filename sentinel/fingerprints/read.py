"""Fingerprints from YAML: those that come with Sentinel, and a user's own.

    - id: shop-report
      title: the report job forgets its connection
      match: {name: "report-.*", cmd: get}        # regular expressions for whole values
      fix: update shop-report to 2.1
      links: [https://example.com/issues/7]

Fields of `match`: name, user, lib, cmd, flags, db, addr, port.

Knows YAML. Must not know rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from sentinel.fingerprints import Fingerprint

__all__ = ["FingerprintError", "known", "read"]

FIELDS = ("name", "user", "lib", "cmd", "flags", "db", "addr", "port")
_KEYS = ("id", "title", "match", "fix", "fixed_in", "links")


class FingerprintError(Exception):
    """A file cannot be used; the text says where and why."""


@cache
def known() -> tuple[Fingerprint, ...]:
    """Those that come with Sentinel."""
    return _parsed("known.yaml", (files("sentinel.fingerprints") / "known.yaml").read_text("utf-8"))


def read(path: Path) -> tuple[Fingerprint, ...]:
    """Those of a user's file.

    Raises:
        FingerprintError: it cannot be used.
    """
    try:
        return _parsed(str(path), path.read_text("utf-8-sig"))
    except OSError as error:
        raise FingerprintError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FingerprintError(f"{path}: cannot be read: it is not UTF-8 text") from None


def _parsed(where: str, text: str) -> tuple[Fingerprint, ...]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise FingerprintError(f"{where}: is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, list):
        raise FingerprintError(f"{where}: must be a list of fingerprints, each with id, title and match")
    return tuple(_fingerprint(f"{where}: entry {number}", entry) for number, entry in enumerate(found, 1))


def _fingerprint(where: str, entry: Any) -> Fingerprint:
    if not isinstance(entry, dict) or not {"id", "title", "match"} <= entry.keys():
        raise FingerprintError(f"{where}: needs id, title and match")
    if unknown := sorted(set(entry) - set(_KEYS)):
        raise FingerprintError(f"{where}: `{unknown[0]}` is not known here; give only {', '.join(_KEYS)}")
    links = entry.get("links") or []
    if not isinstance(links, list):
        raise FingerprintError(f"{where}: `links` must be a list")
    return Fingerprint(
        id=str(entry["id"]),
        title=str(entry["title"]),
        match=_match(where, entry["match"]),
        fix=str(entry.get("fix") or ""),
        fixed_in=str(entry.get("fixed_in") or ""),
        links=tuple(map(str, links)),
    )


def _match(where: str, match: Any) -> Mapping[str, str]:
    if not isinstance(match, dict) or not match:
        raise FingerprintError(f"{where}: `match` must be a mapping of at least one of {', '.join(FIELDS)}")
    for name, pattern in match.items():
        if name not in FIELDS:
            raise FingerprintError(f"{where}: `match` knows no {name!r}; it knows {', '.join(FIELDS)}")
        try:
            re.compile(str(pattern))
        except re.error as error:
            raise FingerprintError(f"{where}: `match` of {name} is no regular expression: {error}") from None
    return {str(name): str(pattern) for name, pattern in match.items()}
