"""What a state file tells to a reader beside the daemon that owns it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from pydantic import ValidationError

from sentinel.model import Event, Incident
from sentinel.store.errors import StoreError
from sentinel.store.tables import INCIDENTS

__all__ = ["read_history"]


def read_history(path: Path, since: float) -> tuple[list[Incident], list[Event]]:
    """Incidents that were open at or after a time, and what was noted since, oldest first; also while a daemon runs.

    Blocks. Opens the file for reading only and takes no lock of its own.

    Raises:
        StoreError: there is no state, or it cannot be read.
    """
    if not path.is_file():
        raise StoreError(f"{path}: there is no state here; name the daemon's --state-dir")
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2)
        ) as connection:
            bodies = connection.execute(
                "SELECT body FROM incidents WHERE state = 'open' OR resolved >= ? ORDER BY opened", (since,)
            ).fetchall()
            query = "SELECT time, kind, incident, actor, text FROM events WHERE time >= ? ORDER BY number"
            events = [Event(*values) for values in connection.execute(query, (since,))]
        return [INCIDENTS.validate_json(body) for (body,) in bodies], events
    except (sqlite3.Error, ValidationError) as error:
        raise StoreError(f"{path}: cannot be read ({type(error).__name__}: {error})") from error
