"""`sentinel incidents`: what is open, the timeline of one, and what people say about it."""

from __future__ import annotations

import argparse
import getpass
import json
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sentinel.cli.api import add_api, call, text
from sentinel.cli.base import Commands

__all__ = ["add", "add_by", "by", "table"]

_ACTS = {
    "ack": "say that you have it in hand: reminders and escalation steps end, until it grows worse",
    "note": "write down what is worth remembering",
    "mark": "say whether it was worth telling: real or noise",
    "resolve": "say that it is over; it opens again if its cause goes on firing for long, or grows worse",
}


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Put `incidents` into the table."""
    parser = commands.add_parser("incidents", help="see incidents; acknowledge, note, mark, resolve them")
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="what is open, the worst first")
    listing.add_argument("--all", action="store_true", help="the newest 100, open or not")
    listing.add_argument("--json", action="store_true", help="print JSON")
    _finish(listing, _list)
    show = actions.add_parser("show", help="the timeline of one: what happened, who was told, what the metrics did")
    _name(show)
    form = show.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="for a post-mortem (the default)")
    form.add_argument("--json", action="store_true", help="with every sample")
    _finish(show, _show)
    for act, what in _ACTS.items():
        doing = actions.add_parser(act, help=what)
        _name(doing)
        if act == "mark":
            doing.add_argument("verdict", choices=["real", "noise"])
        doing.add_argument("text", nargs="+" if act == "note" else "*", metavar="TEXT", help="why, in a few words")
        add_by(doing)
        _finish(doing, _acting(act))


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("incident", metavar="INCIDENT", help="its reference (SNT-…) or id, as in every message")


def _finish(parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], int]) -> None:
    add_api(parser)
    parser.set_defaults(command=command)


def add_by(parser: argparse.ArgumentParser) -> None:
    """Give a command the option that says who gives it."""
    parser.add_argument("--by", metavar="NAME", help="who you are; without it, the name of this system's user")


def by(arguments: argparse.Namespace) -> str:
    """Who gives a command."""
    if arguments.by:
        return str(arguments.by)
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def _list(arguments: argparse.Namespace) -> int:
    found = call(arguments, "GET", "/api/v1/incidents" + ("?state=all" if arguments.all else ""))
    if arguments.json:
        print(json.dumps(found, indent=2))
    elif found["incidents"]:
        head = ("REF", "SEVERITY", "STATE", "TARGET", "CAUSE", "OPENED (UTC)", "")
        print("\n".join(table(head, [_row(incident) for incident in found["incidents"]])))
    else:
        print("nothing is open")
    return 0


def _row(incident: Mapping[str, Any]) -> tuple[str, ...]:
    cause = f"{incident['cause']} ({incident['subject']})" if incident["subject"] else incident["cause"]
    who = f"acknowledged by {incident['acknowledged_by']}" if incident["acknowledged_at"] else ""
    opened = incident["opened_at"][:16].replace("T", " ")
    return (
        *(incident[key] for key in ("ref", "severity", "state", "target")),
        cause,
        opened,
        who or incident["summary"][:80],
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns as wide as what stands in them."""
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    for row in (head, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _show(arguments: argparse.Namespace) -> int:
    path = f"/api/v1/incidents/{_quoted(arguments)}/timeline"
    if arguments.json:
        print(json.dumps(call(arguments, "GET", path), indent=2))
    else:
        print(text(arguments, "GET", f"{path}?format=markdown"), end="")
    return 0


def _acting(act: str) -> Callable[[argparse.Namespace], int]:
    def do(arguments: argparse.Namespace) -> int:
        body = {"by": by(arguments), "text": " ".join(arguments.text)}
        if act == "mark":
            body["verdict"] = arguments.verdict
        done = call(arguments, "POST", f"/api/v1/incidents/{_quoted(arguments)}/{act}", body)
        print(f"{act}: done, as {done['by']}")
        return 0

    return do


def _quoted(arguments: argparse.Namespace) -> str:
    return urllib.parse.quote(arguments.incident, safe="")
