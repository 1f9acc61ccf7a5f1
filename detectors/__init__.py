"""Detectors: numbers in, scores out. A library of its own, of use without the daemon."""

from detectors.base import Detector, Seconds

__all__ = ["Detector", "Seconds"]
