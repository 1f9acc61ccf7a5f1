"""What the commands share: the table that they add themselves to, and a refusal in words."""

from __future__ import annotations

import argparse

__all__ = ["CommandError", "Commands"]

Commands = argparse._SubParsersAction  # argparse gives the type no public name


class CommandError(Exception):
    """The command cannot do what was asked; the text says why and what to do. Printed as it is; exit code 1."""
