"""What every test shares: property tests draw the same examples on every run, and have no stopwatch."""

from hypothesis import settings

settings.register_profile("house", derandomize=True, deadline=None, database=None)
settings.load_profile("house")
