"""`sentinel outbox`: notifications that wait or were given up, and what to do about them."""

from __future__ import annotations

import argparse
import json
import urllib.parse

from sentinel.cli.api import add_api, call
from sentinel.cli.base import Commands
from sentinel.cli.incidents import add_by, by, table

__all__ = ["add"]

_COLUMNS = ("event", "state", "destination", "reason", "about", "attempts", "error")


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Put `outbox` into the table."""
    parser = commands.add_parser("outbox", help="see what waits to be told, or was given up, and why")
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="what waits and what was given up, the newest last")
    listing.add_argument("--state", choices=["waiting", "dead", "all"], default="all")
    listing.set_defaults(command=_list)
    showing = actions.add_parser("show", help="one, with its last error and the body that it would send")
    showing.set_defaults(command=_show)
    retrying = actions.add_parser("retry", help="try it now; also one that was given up")
    retrying.set_defaults(command=_look_after, verb="retry", said="is tried now")
    dropping = actions.add_parser("drop", help="give it up")
    dropping.set_defaults(command=_look_after, verb="drop", said="is given up")
    for each in (showing, retrying, dropping):
        each.add_argument("event", metavar="EVENT", help="as `outbox list` shows it: msg_…")
    for each in (listing, showing):
        each.add_argument("--json", action="store_true", help="print JSON")
    for each in (retrying, dropping):
        add_by(each)
    for each in (listing, showing, retrying, dropping):
        add_api(each)


def _list(arguments: argparse.Namespace) -> int:
    found = call(arguments, "GET", f"/api/v1/outbox?state={arguments.state}&limit=1000")
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    rows = [
        (
            one["event"],
            one["state"],
            one["destination"],
            one["reason"],
            one["about"],
            str(one["attempts"]),
            one["error"],
        )
        for one in found["notifications"]
    ]
    head = ("EVENT", "STATE", "DESTINATION", "REASON", "ABOUT", "TRIES", "LAST ERROR")
    print("\n".join(table(head, rows)) if rows else "nothing waits, and nothing was given up")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    found = call(arguments, "GET", f"/api/v1/outbox/{_quoted(arguments)}")
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    width = max(map(len, found))
    for name, value in found.items():
        if name != "body":
            print(f"{name:<{width}}  {value}")
    print(f"\n{found['body'] or 'Its destination is not configured any more.'}")
    return 0


def _look_after(arguments: argparse.Namespace) -> int:
    call(arguments, "POST", f"/api/v1/outbox/{_quoted(arguments)}/{arguments.verb}", {"by": by(arguments)})
    print(f"{arguments.event} {arguments.said}")
    return 0


def _quoted(arguments: argparse.Namespace) -> str:
    return urllib.parse.quote(arguments.event, safe="")
