"""What every test shares: property tests draw the same examples on every run, and have no stopwatch."""

import asyncio

from hypothesis import settings

settings.register_profile("house", derandomize=True, deadline=None, database=None)
settings.load_profile("house")

# looptime asks for the current loop even around a test that has none; unless one was ever set, asyncio then makes one
# that nobody closes, and a later test fails on it.
asyncio.set_event_loop(None)
