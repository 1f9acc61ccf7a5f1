"""A configuration to begin with, filled in from what was seen.

Pure. Knows the keys of a configuration; writes no credential.
"""

from __future__ import annotations

import json

from sentinel.audit.look import Look
from sentinel.pipeline.diagnosis.words import row
from sentinel.samplers.dial import Address

__all__ = ["configuration"]

_HEAD = """\
# Made by sentinel audit. Every setting, with its default: config/sentinel.yaml

targets:"""
_TAIL = """
# Who is told. Begin with the terminal; then Slack, PagerDuty or a webhook.
receivers:
  printed:
    - kind: stdout
      min_severity: warning
#  team:
#    - kind: slack
#      url: ${SLACK_WEBHOOK_URL}
#      min_severity: warning

# Keeps what the servers said, for sentinel replay, tune and report.
tape:
  keep: true
"""


def configuration(look: Look, address: Address) -> str:
    """YAML that `sentinel check-config` takes as it is."""
    told = look.value("redis_max_clients") is not None
    limit = [] if told else ["    max_clients: 10000    # the server does not tell: put the limit of your plan here"]
    target = [f"  - url: {json.dumps(_bare(address))}", *_login(address), *_found(look), *limit]
    return "\n".join([_HEAD, *target, _TAIL])


def _bare(address: Address) -> str:
    """The address without user and password."""
    if address.path:
        return f"{'rediss+unix' if address.tls else 'unix'}://{address.path}"
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{'rediss' if address.tls else 'redis'}://{host}:{address.port}" + (f"/{address.db}" if address.db else "")


def _login(address: Address) -> list[str]:
    """As whom the audit came; the password is left to the environment."""
    if not address.password:
        return [
            "    # A user of its own, made by the ACL line that the audit prints:",
            "    #username: sentinel",
            "    #password_env: REDIS_PASSWORD",
        ]
    name = [f"    username: {json.dumps(address.username)}"] if address.username else []
    return [*name, "    password_env: REDIS_PASSWORD"]


def _found(look: Look) -> list[str]:
    systems = sorted({labels.get("system", "") for labels, value in look.each("discovered_queues") if value})
    if not systems:
        return ["    # no job system was found; name lists, sorted sets and streams that hold jobs under `queues`"]
    names = sorted({labels.get("queue", "") for labels, _ in look.each("queue_depth")})
    return [f"    discover: {{systems: [{', '.join(systems)}]}}    # found: {row(names, most=8)}"]
