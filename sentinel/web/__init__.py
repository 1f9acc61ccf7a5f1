"""What can be read of a running daemon over HTTP: metrics, health, readiness, open incidents.

Reads, never decides: it sees the daemon through `View` and changes nothing. There is no password, so it is bound to
loopback unless told otherwise, and nothing secret is shown.
"""

from sentinel.web.listener import ListenError, serve
from sentinel.web.pages import make_app
from sentinel.web.view import TargetState, View

__all__ = ["ListenError", "TargetState", "View", "make_app", "serve"]
