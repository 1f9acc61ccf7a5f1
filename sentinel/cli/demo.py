"""`sentinel demo`: a leak noticed in time, on a server of its own."""

from __future__ import annotations

import argparse

from sentinel.cli.base import Commands

__all__ = ["add"]


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Put `demo` into the table."""
    parser = commands.add_parser(
        "demo",
        help="see a leak noticed in time on a server of its own (90 s)",
        description="Start a small server with a background of its own, leak on it, and watch the real daemon notice.",
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    parser.set_defaults(command=_demo)


def _demo(arguments: argparse.Namespace) -> int:
    from sentinel.drill.demo import main

    return main(keep=arguments.keep)
