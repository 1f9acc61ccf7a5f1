"""How a drill is told: lines that stay, and one live line below them that is rewritten in place.

Knows terminals: width, colours (https://no-color.org), and that a log of a CI run is none: there the live line is
an ordinary line now and then. Must not know what is told.
"""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Mapping
from typing import TextIO

from sentinel.model import Seconds

__all__ = ["Terminal"]

_WIDEST = 100
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_CLEAR = "\r\x1b[K"


class Terminal:
    """Writes for people.

    Args:
        stream: Where to; rewritten in place only if it is a terminal.
        every: Seconds between two progress lines where they cannot be rewritten.
    """

    def __init__(self, stream: TextIO, environment: Mapping[str, str] = os.environ, every: Seconds = 5.0) -> None:
        self._stream = stream
        self._live = stream.isatty() and environment.get("TERM") != "dumb"
        self._colours = self._live and not environment.get("NO_COLOR")
        self._every = every
        self._told: float | None = None
        self._shown = False

    @property
    def width(self) -> int:
        """Columns that a line may take."""
        columns = shutil.get_terminal_size((80, 24)).columns if self._live else 80
        return max(40, min(_WIDEST, columns - 1))

    def say(self, text: str = "", *, first: str = "", style: str = "") -> None:
        """A paragraph, folded to the width; `first` stands before its first line and indents the others."""
        lines = textwrap.wrap(text, self.width - len(first), break_on_hyphens=False) or [""]
        for number, line in enumerate(lines):
            before = first if number == 0 else " " * len(first)
            self._write(before + self._styled(line, style) + "\n")

    def quote(self, text: str, style: str = "") -> None:
        """Several lines set apart by a bar; each is folded under its own beginning."""
        bar = self._styled("  │ ", style)
        for line in text.split("\n"):
            inner = " " * (len(line) - len(line.lstrip()) + 2)
            for folded in textwrap.wrap(line, self.width - 4, subsequent_indent=inner, break_on_hyphens=False) or [""]:
                self._write(bar + folded + "\n")

    def progress(self, text: str, at: float) -> None:
        """What is true now, at the loop's time `at`: rewritten in place, or a line every now and then."""
        if self._live:
            self._stream.write(_CLEAR + self._styled(text[: self.width], "cyan"))
            self._shown = True
        elif self._told is None or at - self._told >= self._every:
            self._told = at
            self._stream.write(text + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Take the live line away."""
        self._write("")

    def _write(self, text: str) -> None:
        self._stream.write((_CLEAR if self._shown else "") + text)
        self._shown = False
        self._stream.flush()

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self._colours and style else text
