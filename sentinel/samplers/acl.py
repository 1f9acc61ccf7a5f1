"""The least that the server must allow us, as one line to paste.

Knows how ACL rules are written in each version. Must not know any sampler: they name their commands themselves.
"""

from __future__ import annotations

from collections.abc import Iterable

from sentinel.samplers.base import Command

__all__ = ["acl_line", "acl_names"]

_SEATS = ("ping", "select", "client|setname", "client|id", "client|no-evict")
_TWO_WORDS = frozenset({"client", "config", "xinfo", "slowlog", "pubsub"})


def acl_line(
    version: tuple[int, ...], commands: Iterable[str], keys: Iterable[str] = (), user: str = "sentinel"
) -> str:
    """An ACL SETUSER line for a user who may do this and no more; the password is to be filled in.

    Args:
        version: The server's, such as (7, 0, 15); before 7.0 a key cannot be opened for reading alone.
        commands: ACL names, such as `info` or `client|list`; what seats need is added.
        keys: Key patterns that are read.

    >>> acl_line((7, 0), ["info"], ["jobs"]).partition("-@all ")[2]
    '+client|id +client|no-evict +client|setname +info +ping +select %R~jobs'
    """
    read = "%R~" if version >= (7,) or not version else "~"
    allowed = " ".join(f"+{name}" for name in sorted({*_SEATS, *commands}))
    opened = "".join(f" {read}{key}" for key in sorted(set(keys)))
    return f"ACL SETUSER {user} reset on >PASSWORD -@all {allowed}{opened}"


def acl_names(commands: Iterable[Command]) -> set[str]:
    """What ACL calls these commands.

    >>> sorted(acl_names([("LLEN", "jobs"), ("XINFO", "GROUPS", "s")]))
    ['llen', 'xinfo|groups']
    """
    words = [[str(word).lower() for word in command[:2]] for command in commands]
    return {"|".join(pair) if pair[0] in _TWO_WORDS else pair[0] for pair in words}
