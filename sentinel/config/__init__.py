"""Configuration: YAML and a command line in, frozen settings or every error at once out.

Knows all families of plug-ins and their tables; keeps no running state. Nothing below it knows YAML.

>>> from pathlib import Path
>>> settings = load(overrides=Overrides(urls=("redis://127.0.0.1:6379",)), environment={"HOME": "/root"})
>>> [str(target.address) for target in settings.targets], list(settings.notifiers), str(settings.state_dir.parent)
(['redis://127.0.0.1:6379'], ['stdout/stdout'], '/root/.local/state/sentinel')
"""

from __future__ import annotations

from sentinel.config.errors import ConfigError
from sentinel.config.load import load
from sentinel.config.schema import json_schema
from sentinel.config.settings import LogSettings, Overrides, Settings, WebSettings
from sentinel.config.summary import summary

__all__ = [
    "ConfigError",
    "LogSettings",
    "Overrides",
    "Settings",
    "WebSettings",
    "json_schema",
    "load",
    "summary",
]
