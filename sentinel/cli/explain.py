"""`sentinel explain`: why an incident was concluded, number by number."""

from __future__ import annotations

import argparse
import json
import shutil
import textwrap
import urllib.parse
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sentinel.cli.api import add_api, call
from sentinel.cli.base import Commands

__all__ = ["add"]

_DESCRIPTION = """Everything that was compared before this incident was told: each number beside what would have been
ordinary, the look-alikes that were ruled out and by what, who does it with the rows that were seen first, and how long
is left. For readers who want to argue with it."""


_AT = ("opened_at", "judged_at", "resolved_at")


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Put `explain` into the table."""
    parser = commands.add_parser("explain", help="why was this incident told?", description=_DESCRIPTION)
    parser.add_argument("incident", metavar="INCIDENT", help="its reference (SNT-…) or id, as in every message")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_api(parser)
    parser.set_defaults(command=_explain)


def _explain(arguments: argparse.Namespace) -> int:
    name = urllib.parse.quote(arguments.incident, safe="")
    incident = call(arguments, "GET", f"/api/v1/incidents/{name}")
    if arguments.json:
        print(json.dumps(incident, indent=2))
    else:
        print("\n".join(_lines(incident, min(100, shutil.get_terminal_size().columns))))
    return 0


def _lines(incident: Mapping[str, Any], width: int) -> Iterator[str]:
    """The page, a section after another; one with nothing in it is left out."""
    yield f"{incident['title']}  ({incident['ref']}, {incident['severity']}, {incident['state']})"
    yield from textwrap.wrap(incident["summary"], width)
    yield from _section("When", _times(incident), width)
    yield ""
    yield "What was compared"
    yield from _table([(one["name"], one["said"], one["expected"] or "-") for one in _compared(incident)])
    yield from _section("What it is not", incident["ruled_out"], width)
    if incident["eta"]:
        yield from _section("Time left", [incident["eta"]["said"]], width)
    if incident["culprit"]:
        yield from _section("Who", _who(incident["culprit"]), width)
    yield from _section("Who suffers", incident["affected"], width)
    yield from _section("What to do first", [incident["first_action"]] if incident["first_action"] else [], width)


def _times(incident: Mapping[str, Any]) -> Iterator[str]:
    for label, key in (("began", "since"), *((key.removesuffix("_at"), key) for key in _AT)):
        if incident[key]:
            yield f"{label:9} {datetime.fromisoformat(incident[key]):%Y-%m-%d %H:%M:%S} UTC"


def _compared(incident: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from incident["evidence"]
    if incident["score"] is not None and incident["threshold"] is not None:
        expected = f"below {incident['threshold']:.3g}"
        yield {"name": "score of the test", "said": f"{incident['score']:.3g}", "expected": expected}


def _who(culprit: Mapping[str, Any]) -> Iterator[str]:
    share = "" if culprit["share"] is None else f", {culprit['share']:.0%} of it"
    yield f"{culprit['name']}{share}"
    if culprit["detail"]:
        yield culprit["detail"]
    for row in culprit["examples"]:
        yield "seen: " + " ".join(f"{key}={value}" for key, value in row.items())


def _section(name: str, lines: Any, width: int) -> Iterator[str]:
    found = list(lines)
    if found:
        yield ""
        yield name
    for line in found:
        yield from textwrap.wrap(line, width, initial_indent="  ", subsequent_indent="    ")


def _table(rows: list[tuple[str, str, str]]) -> Iterator[str]:
    """Three columns as wide as what stands in them."""
    head = ("", "is", "would be ordinary")
    names, values = (max(len(row[place]) for row in (head, *rows)) for place in (0, 1))
    for name, value, expected in (head, *rows):
        yield f"  {name:{names}}  {value:>{values}}  {expected}".rstrip()
