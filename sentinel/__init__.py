"""Sentinel: early, explained warnings for Redis-backed job queues. Not Redis Sentinel."""

__all__ = ["__version__"]

__version__ = "0.1.0"
