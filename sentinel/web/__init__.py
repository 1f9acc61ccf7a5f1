"""What can be read of a running daemon over HTTP, and what people can tell it: metrics, health, incidents, silences.

Reads and hands on, never decides: it sees the daemon through `View`. Reading needs no password, so it is bound to
loopback unless told otherwise, and nothing secret is shown; what changes something is guarded (`guard`).
"""

from sentinel.web.guard import Guard
from sentinel.web.listener import ListenError, serve
from sentinel.web.pages import make_app
from sentinel.web.view import TargetState, View

__all__ = ["Guard", "ListenError", "TargetState", "View", "make_app", "serve"]
