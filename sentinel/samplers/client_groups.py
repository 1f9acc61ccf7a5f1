"""Which clients belong together, from what CLIENT LIST tells of each.

A named client belongs to its name's pattern and user: digits, hashes and uuids become `*`, so that the pods of
one deployment fall together. An unnamed one is known by user, library, address block, kind of last command and
db. Where names vary in a way no pattern foresees, that is learned: last words of one length whose letters and digits
stand at places of their own are drawn by chance (pods); pet names are known by their number. An operator who knows
better says so (`NamedGroup`), and is believed before all of that.

Pure: knows names and addresses, not sockets, counts over time, or what is suspicious.
"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import NamedTuple

__all__ = ["OTHER", "Grouping", "NamedGroup", "Origin", "address_block", "command_family", "name_pattern"]

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_POD = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}$")
"""Kubernetes' alphabet for replica set and pod suffixes."""
_SEPARATED = re.compile(r"([-_.:/@ ]+)")
_HEX = re.compile(r"(?=[^0-9]*[0-9])[0-9a-fA-F]{5,}")
_DIGITS = re.compile(r"[0-9]+")
_REST = re.compile(r"\*(?:[-_.:/@]\*)+")
_VERBATIM = ("bull:",)
"""Base64 of a queue's name follows: nothing in it counts pods."""
_PUBSUB = frozenset({"subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe"})
_BLOCKING = re.compile(r"b[lrz].*pop.*|blmove|xread(group)?|wait(aof)?")
_PLAIN = frozenset({"ping", "info", "hello", "auth", "select", "command", "null", "readonly", "quit", "monitor"})
_MANY_NAMES = 16
"""Distinct last words after one stem from which on they are taken for instances, if each holds few clients."""
_RANDOM_FROM, _RANDOM_SHAPES = 4, 3
"""Length from which on, and distinct places of digits among letters by which, last words are taken for random. Words
that people choose keep their digits at the end (east1, west1); three pods of five hexadecimal digits have three shapes
in 9 of 10 cases."""
_LEARNT_FROM = 1_000
_CACHED = 50_000
_UNNAMED = "unnamed "
OTHER = "other"
"""Groups that are not told apart."""


class Origin(NamedTuple):
    """Everything that tells clients apart by where they come from; the ip is without its port."""

    name: str
    user: str
    lib: str
    ip: str
    cmd: str
    db: str


@dataclass(frozen=True)
class NamedGroup:
    """A group that an operator names. A client must fit all that is said; what is left out fits every client.

    >>> pods = NamedGroup("checkout", addr="10.4.0.0/16", lib="redis-py*")
    >>> pods.fits(Origin("", "", "redis-py", "10.4.7.3", "get", "0"))
    True
    """

    group: str
    """As messages and metrics call it."""
    name: str = ""
    """Pattern of CLIENT SETNAME, as in `checkout-*`."""
    user: str = ""
    """Pattern of the ACL user."""
    lib: str = ""
    """Pattern of the library that it says it is."""
    addr: str = ""
    """A network (10.4.0.0/16), or a pattern of addresses without port."""
    db: int | None = None

    def __post_init__(self) -> None:
        if not self.group or self.group == OTHER or self.group.startswith(_UNNAMED):
            raise ValueError(
                f"`group` must be a name of your own, other than `other` and `unnamed …`; got {self.group!r}"
            )
        if not (self.name or self.user or self.lib or self.addr or self.db is not None):
            raise ValueError(
                f"group {self.group} says of no client that it belongs to it: set name, user, lib, addr or db"
            )
        if _is_network(self.addr):
            try:
                ipaddress.ip_network(self.addr, strict=False)
            except ValueError:
                raise ValueError(f"`addr` must be a network such as 10.4.0.0/16, got {self.addr!r}") from None

    def fits(self, origin: Origin) -> bool:
        """Whether a client belongs to it."""
        wanted = ((self.name, origin.name), (self.user, origin.user), (self.lib, origin.lib))
        return (
            all(not pattern or fnmatchcase(word, pattern) for pattern, word in wanted)
            and (self.db is None or origin.db == str(self.db))
            and (not self.addr or self._is_there(origin.ip))
        )

    def _is_there(self, ip: str) -> bool:
        if not _is_network(self.addr):
            return fnmatchcase(ip.strip("[]"), self.addr)
        try:
            return ipaddress.ip_address(ip.strip("[]")) in ipaddress.ip_network(self.addr, strict=False)
        except ValueError:
            return False


def name_pattern(name: str) -> str:
    """The name without what counts its instances.

    >>> [name_pattern(n) for n in ("api-7", "encode-6d4f8b9c7-x2xqz", "redis-py", "w:3f9c2e1a", "app1.web12")]
    ['api-*', 'encode-*', 'redis-py', 'w:*', 'app*.web*']
    """
    if name.startswith(_VERBATIM):
        return name
    parts = _SEPARATED.split(_POD.sub("-*", _UUID.sub("*", name)))
    return _REST.sub("*", "".join("*" if _HEX.fullmatch(p) else _DIGITS.sub("*", p) for p in parts))


def address_block(ip: str) -> str:
    """The network that an address stands in: /24, for IPv6 /64; `unix` for a socket.

    >>> [address_block(ip) for ip in ("10.4.7.12", "[fd00:1:2:3::9]", "/run/redis.sock")]
    ['10.4.7.0/24', 'fd00:1:2:3::/64', 'unix']
    """
    if ip.startswith("["):
        head = ip.strip("[]").split("::")[0].split(":")
        return ":".join(head[:4]) + "::/64"
    if ip.startswith("/") or not ip:
        return "unix"
    return ip.rpartition(".")[0] + ".0/24" if ip.count(".") == 3 else ip


def command_family(cmd: str) -> str:
    """The kind of a last command: a working pool wanders between commands, and must stay one group.

    >>> [command_family(c) for c in ("get", "info", "client|setinfo", "brpop", "psubscribe")]
    ['data', 'info', 'client|setinfo', 'blocking', 'pubsub']
    """
    if cmd in _PUBSUB:
        return "pubsub"
    if cmd in _PLAIN or cmd.startswith(("client", "config", "cluster")):
        return cmd
    return "blocking" if _BLOCKING.fullmatch(cmd) else "data"


class Grouping:
    """Gives origins their group's label, and learns which names are instances of one thing.

    Args:
        named: Groups of the operator's own; the first that fits wins.
    """

    def __init__(self, named: Sequence[NamedGroup] = ()) -> None:
        self._own = tuple(named)
        self._labels: dict[Origin, str] = {}
        self._stems: set[str] = set()
        self._random: set[tuple[str, int]] = set()
        """Stems and lengths of last words that count instances."""
        self._shapes: dict[tuple[str, int], set[str]] = {}
        self._fresh = False
        """Whether some have become known since the last list."""

    def label(self, origin: Origin) -> str:
        """The group of a client, as a person would say it.

        >>> Grouping().label(Origin("", "default", "redis-py", "10.4.7.3", "info", "0"))
        'unnamed 10.4.7.0/24 redis-py info db0'
        """
        label = self._labels.get(origin)
        if label is None:
            if len(self._labels) >= _CACHED:
                self._labels.clear()
            own = next((one.group for one in self._own if one.fits(origin)), None)
            label = self._labels[origin] = own or (self._named(origin) if origin.name else _unnamed(origin))
        return label

    def learn(self, clients: Mapping[str, int]) -> bool:
        """Take the groups of one list: a stem with random last words, or many that hold few clients each, is one group.

        Gives whether labels have changed by it.

        Args:
            clients: Number of clients by group label.
        """
        words: dict[str, list[int]] = defaultdict(list)
        own = {one.group for one in self._own}
        for label, held in islice(clients.items(), _LEARNT_FROM):
            pattern = label.partition(" ")[0]
            stem, word = _stem(pattern)
            if stem and word != "*" and label not in own and not label.startswith((_UNNAMED, *_VERBATIM)):
                words[stem].append(held)
        learnt = {
            stem
            for stem, held_each in words.items()
            if len(held_each) >= _MANY_NAMES and sum(held_each) <= 3 * len(held_each)
        }
        random, self._fresh = self._fresh, False
        if learnt or random:
            self._stems |= learnt
            self._labels.clear()
        return bool(learnt) or random

    def _named(self, origin: Origin) -> str:
        pattern = name_pattern(origin.name)
        stem, _ = _stem(pattern)
        if stem in self._stems or self._is_random(origin.name):
            pattern = stem + "*"
        return pattern if origin.user in ("default", "") else f"{pattern} user {origin.user}"

    def _is_random(self, name: str) -> bool:
        """Whether the name's last word counts instances, as far as known with this one."""
        stem, word = _stem(name)
        kind = (name_pattern(stem), len(word))
        if kind in self._random:
            return True
        if len(word) < _RANDOM_FROM or not stem or name.startswith(_VERBATIM):
            return False
        if kind not in self._shapes and len(self._shapes) >= _LEARNT_FROM:
            self._shapes.clear()
        shapes = self._shapes.setdefault(kind, set())
        if any(letter.isdigit() for letter in word):
            shapes.add("".join("0" if letter.isdigit() else "a" for letter in word))
        if len(shapes) < _RANDOM_SHAPES or len(self._random) >= _LEARNT_FROM:
            return False
        self._random.add(kind)
        self._fresh = True
        return True


def _is_network(addr: str) -> bool:
    """Whether it is meant as one; a path of a socket is not."""
    return "/" in addr and not addr.startswith("/")


def _stem(pattern: str) -> tuple[str, str]:
    parts = _SEPARATED.split(pattern)
    return "".join(parts[:-1]), parts[-1]


def _unnamed(origin: Origin) -> str:
    user = "" if origin.user in ("default", "") else f"user {origin.user}"
    words = (address_block(origin.ip), origin.lib, command_family(origin.cmd), f"db{origin.db}", user)
    return _UNNAMED + " ".join(filter(None, words))
