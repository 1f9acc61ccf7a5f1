"""`sentinel silences` and `sentinel deploy`: what is not to be told for a while, and why."""

from __future__ import annotations

import argparse
import json
import urllib.parse
from typing import Any

from sentinel.cli.api import add_api, call
from sentinel.cli.base import CommandError, Commands
from sentinel.cli.incidents import add_by, by, table

__all__ = ["add"]

_SILENCE = """What matches is told to nobody; what was told already is still told as resolved. All matchers must hold.
Each is NAME=PATTERN or NAME!=PATTERN; names are target, cause, subject, severity, id and the labels of targets; in a
pattern * and ? stand for more. Example: sentinel silences add cause=leak 'target=redis-*' --for 2h
known, fixed in v42"""
_DEPLOY = """What a deploy explains (connections that open and close, workers that leave) is told only if it is still
there when the deploy is over. Call it when a rollout begins: sentinel deploy v42 --target 'redis-*' --for 15m"""


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Put both into the table."""
    parser = commands.add_parser("silences", help="see, make and end silences")
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="those in force")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(command=_list)
    adding = actions.add_parser("add", help="tell nobody of what matches", description=_SILENCE)
    adding.add_argument("words", nargs="+", metavar="MATCHER", help="NAME=PATTERN, then why, in a few words")
    end = adding.add_mutually_exclusive_group(required=True)
    end.add_argument("--for", dest="lasts", metavar="DURATION", help="such as 30m, 2h or 1d")
    end.add_argument("--until-resolved", action="store_true", help="until nothing open matches any more")
    add_by(adding)
    adding.set_defaults(command=_add)
    removing = actions.add_parser("remove", help="end a silence now")
    removing.add_argument("silence", metavar="ID")
    add_by(removing)
    removing.set_defaults(command=_remove)
    deploy = commands.add_parser("deploy", help="mark the begin of a deploy", description=_DEPLOY)
    deploy.add_argument("version", metavar="VERSION")
    deploy.add_argument("text", nargs="*", metavar="TEXT", help="what else is worth knowing")
    deploy.add_argument(
        "--target", action="append", default=[], metavar="NAME", help="that it touches, or a pattern; may be repeated"
    )
    deploy.add_argument(
        "--for", dest="lasts", metavar="DURATION", help="how long it takes (default: `deploys: lasts:`)"
    )
    add_by(deploy)
    deploy.set_defaults(command=_deploy)
    for each in (listing, adding, removing, deploy):
        add_api(each)


def _list(arguments: argparse.Namespace) -> int:
    found = call(arguments, "GET", "/api/v1/silences")
    if arguments.json:
        print(json.dumps(found, indent=2))
    elif found["silences"]:
        rows = [(one["id"], " ".join(one["matchers"]), _end(one), one["by"], one["text"]) for one in found["silences"]]
        print("\n".join(table(("ID", "MATCHERS", "ENDS (UTC)", "BY", "WHY"), rows)))
    else:
        print("nothing is silenced")
    return 0


def _end(silence: dict[str, Any]) -> str:
    return silence["until"][:16].replace("T", " ") if silence["until"] else "when resolved"


def _add(arguments: argparse.Namespace) -> int:
    matchers = [word for word in arguments.words if "=" in word]
    why = " ".join(word for word in arguments.words if "=" not in word)
    body: dict[str, Any] = {"by": by(arguments), "matchers": matchers, "text": why}
    body |= {"until_resolved": True} if arguments.until_resolved else {"lasts": _seconds(arguments.lasts)}
    made = call(arguments, "POST", "/api/v1/silences", body)
    print(f"silenced; end it with: sentinel silences remove {made['id']}")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    name = urllib.parse.quote(arguments.silence, safe="")
    call(arguments, "DELETE", f"/api/v1/silences/{name}", {"by": by(arguments)})
    print("the silence is over; what is still open is told now")
    return 0


def _deploy(arguments: argparse.Namespace) -> int:
    body: dict[str, Any] = {
        "by": by(arguments),
        "version": arguments.version,
        "targets": arguments.target,
        "text": " ".join(arguments.text),
    }
    if arguments.lasts is not None:
        body["lasts"] = _seconds(arguments.lasts)
    call(arguments, "POST", "/api/v1/deploys", body)
    print(f"the deploy of {arguments.version} is marked")
    return 0


def _seconds(text: str) -> float:
    from pydantic import TypeAdapter, ValidationError

    from sentinel.config.scalars import SCALARS
    from sentinel.model import Seconds

    try:
        seconds: float = TypeAdapter(SCALARS[Seconds]).validate_python(float(text) if text.isdecimal() else text)
    except ValidationError as error:
        raise CommandError(f"sentinel: --for {error.errors()[0]['msg']}") from None
    return seconds
