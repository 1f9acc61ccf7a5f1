"""What survives a restart; everything under one thread that owns the disk."""

from __future__ import annotations

from sentinel.store.errors import StoreError, StoreUnusableError
from sentinel.store.history import read_history
from sentinel.store.snapshots import Snapshot
from sentinel.store.store import Store

__all__ = ["Snapshot", "Store", "StoreError", "StoreUnusableError", "read_history"]
