"""The least that the server must allow us, as one line to paste.

Knows how ACL rules are written in each version. Must not know any sampler: they name their commands themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["acl_line"]

_UNPRINTABLE = re.compile(r"[^!-~]")
"""What cannot be pasted, such as the separators within kombu's keys; `?` stands for any one character."""
_SEATS = ("ping", "select", "client|setname", "client|id", "client|no-evict")


def acl_line(
    version: tuple[int, ...],
    commands: Iterable[str],
    keys: Iterable[str] = (),
    user: str = "sentinel",
    channels: Iterable[str] = (),
) -> str:
    """An ACL SETUSER line for a user who may do this and no more; the password is to be filled in.

    Args:
        version: The server's, such as (7, 0, 15); before 7.0 a key cannot be opened for reading alone.
        commands: ACL names, such as `info` or `client|list`; what seats need is added.
        keys: Key patterns that are read.
        channels: Pub/sub patterns that are listened to.

    >>> acl_line((7, 0), ["info"], ["jobs"]).partition("-@all ")[2]
    '+client|id +client|no-evict +client|setname +info +ping +select %R~jobs'
    """
    read = "%R~" if version >= (7,) or not version else "~"
    allowed = " ".join(f"+{name}" for name in sorted({*_SEATS, *commands}))
    opened = "".join(f" {read}{_UNPRINTABLE.sub('?', key)}" for key in sorted(set(keys)))
    heard = "".join(f" &{channel}" for channel in sorted(set(channels)))
    return f"ACL SETUSER {user} reset on >PASSWORD -@all {allowed}{opened}{heard}"
