"""What the tests of status pages share: lists of doubles do not lag."""

from __future__ import annotations

import pytest

import sentinel.statuspages.base


@pytest.fixture(autouse=True)
def _no_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentinel.statuspages.base, "LIST_LAG", 0.0)
