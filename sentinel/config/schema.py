"""The JSON Schema of a configuration file, for editors and for CI."""

from __future__ import annotations

from typing import Any

from sentinel.config.file import shape

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """A schema of draft 2020-12, made from what reads the file; it knows less than that: no names, no sums."""
    schema = shape().json_schema()
    target = schema["$defs"]["TargetSettings_"]
    target["required"].remove("name")
    target["properties"]["name"]["description"] = "If it is left out, host:port."
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_untitled(schema)}


def _untitled(schema: Any) -> Any:
    """Without the titles of single keys, which only repeat the key."""
    if isinstance(schema, list):
        return [_untitled(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _untitled(_less_title(inner)) for name, inner in value.items()}
        if key == "properties"
        else _untitled(value)
        for key, value in schema.items()
    }


def _less_title(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "title"}
