"""What the store can complain of."""

from __future__ import annotations

__all__ = ["StoreError", "StoreUnusableError"]


class StoreError(Exception):
    """The disk did not take something. The text says what, where and what to do; the daemon can go on."""


class StoreUnusableError(StoreError):
    """The state must not be used: another daemon has it, or it is not ours. Do not start."""
