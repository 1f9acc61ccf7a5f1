"""`sentinel page`: what customers are told on status pages, and what waits for a person to approve it."""

from __future__ import annotations

import argparse
import json
import urllib.parse

from sentinel.cli.api import add_api, call
from sentinel.cli.base import Commands
from sentinel.cli.incidents import add_by, by

__all__ = ["add"]

_LIST = """Drafts that wait for a person, and what is public, each with its exact text. A draft that nobody approves is
dropped after a while."""


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Put `page` into the table."""
    parser = commands.add_parser("page", help="see and approve what customers are told on status pages")
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="drafts and open public incidents", description=_LIST)
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(command=_list)
    approving = actions.add_parser("approve", help="publish a draft; subscribers may have mails from then on")
    approving.set_defaults(command=_answer, verb="approve", said="approved; it is published now")
    withdrawing = actions.add_parser("withdraw", help="drop a draft")
    withdrawing.set_defaults(command=_answer, verb="withdraw", said="dropped")
    for each in (approving, withdrawing):
        each.add_argument("ref", metavar="REF", help="of the draft, as it was told: SNT-…")
        add_by(each)
    for each in (listing, approving, withdrawing):
        add_api(each)


def _list(arguments: argparse.Namespace) -> int:
    found = call(arguments, "GET", "/api/v1/status-pages")
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    for one in found["published"]:
        began = one["began"][:16].replace("T", " ")
        print(f"{one['ref']}  {one['state']}  {one['page']}: {one['component']}, since {began} UTC")
        print(f"    {one['title']}\n    {one['message']}")
    if not found["published"]:
        print("nothing is public, and nothing waits to be")
    return 0


def _answer(arguments: argparse.Namespace) -> int:
    ref = urllib.parse.quote(arguments.ref, safe="")
    call(arguments, "POST", f"/api/v1/status-pages/{ref}/{arguments.verb}", {"by": by(arguments)})
    print(f"{arguments.ref} is {arguments.said}")
    return 0
