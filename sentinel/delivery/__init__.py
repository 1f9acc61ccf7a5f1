"""Delivery: keeps trying until each destination has been told, in order, and no more often than it can bear."""

from __future__ import annotations

from sentinel.delivery.breaker import BreakerState, Standing
from sentinel.delivery.delivery import Delivery, Journal
from sentinel.delivery.settings import DeliverySettings

__all__ = ["BreakerState", "Delivery", "DeliverySettings", "Journal", "Standing"]
