"""`sentinel audit`: one look at a server."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sentinel.cli.base import CommandError, Commands

if TYPE_CHECKING:
    from sentinel.audit.words import Audit
    from sentinel.samplers.dial import Address

__all__ = ["add"]

_BLIND = 3
_DESCRIPTION = """Look at a server once and say how far it is from trouble: the ceiling and what lowers it, who holds
the connections, connections that were opened and never used again and what leaks like that, queues and workers, and
limits that nobody sees until they bite. Reads only, needs no configuration, costs the server some milliseconds.
Exit code: 0 ok, 1 attention, 2 danger, 3 the server could not be looked at."""


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Put `audit` into the table."""
    parser = commands.add_parser("audit", help="one look: how far is a server from trouble?", description=_DESCRIPTION)
    parser.add_argument("url", metavar="URL", help="redis://, rediss:// or unix:// (user:password@ may be part)")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON")
    shape.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--write-config", type=Path, metavar="FILE", help="write a configuration to begin with")
    parser.add_argument("--fingerprints", type=Path, metavar="FILE", help="more known leaks, in YAML")
    parser.add_argument("--ca-file", default="", metavar="FILE", help="authorities to trust, for rediss://")
    parser.add_argument(
        "--unused-after",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="age from which a connection that was used only when it was opened counts as never used (600)",
    )
    parser.set_defaults(command=_audit)


def _audit(arguments: argparse.Namespace) -> int:
    from sentinel.audit.words import as_markdown, as_text, as_values
    from sentinel.samplers.base import SamplerError
    from sentinel.samplers.dial import parse_url

    try:
        address = parse_url(arguments.url)
        audit = _looked(arguments, address)
    except (ValueError, SamplerError) as error:
        print(f"sentinel audit: {error}", file=sys.stderr)
        return _BLIND
    if arguments.write_config:
        _write(arguments.write_config, audit, address)
    if arguments.json:
        print(json.dumps(as_values(audit), indent=2))
    elif arguments.markdown:
        print(as_markdown(audit))
    else:
        print(as_text(audit, colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    return int(audit.level)


def _looked(arguments: argparse.Namespace, address: Address) -> Audit:
    from sentinel.audit.checks import ceiling, remarks
    from sentinel.audit.clients import grouped, rows
    from sentinel.audit.look import look
    from sentinel.audit.words import Audit
    from sentinel.clock import Clock
    from sentinel.fingerprints.read import FingerprintError, known, read
    from sentinel.samplers.dial import Tls

    try:
        prints = known() + (read(arguments.fingerprints) if arguments.fingerprints else ())
    except FingerprintError as error:
        raise CommandError(f"sentinel audit: {error}") from error
    seen = asyncio.run(look(address, Clock().now(), Tls(ca_file=arguments.ca_file)))
    groups = grouped(rows(seen.clients, seen.port), arguments.unused_after)
    return Audit(seen, ceiling(seen), groups, remarks(seen, groups, prints))


def _write(file: Path, audit: Audit, address: Address) -> None:
    from sentinel.audit.start import configuration

    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(configuration(audit.look, address))
    except FileExistsError as error:
        raise CommandError(f"sentinel audit: {file} exists already and is left as it is; name another") from error
    except OSError as error:
        raise CommandError(f"sentinel audit: {file} cannot be written: {error.strerror}") from error
    print(f"Wrote {file}; start with `sentinel run -c {file}`", file=sys.stderr)
