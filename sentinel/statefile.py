"""One SQLite file and its lock, used by one thread; and whole files replaced without a gap.

Knows SQLite, locks, damage and permissions; must not know what is kept. Everything here blocks: call it from
the store's thread.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

__all__ = ["StateFile", "UnusableError", "is_damage", "make_directory", "read_ours", "remedy", "replace"]

T = TypeVar("T")

LOCKED_FOR = 2.0
"""Seconds to wait for another program that holds the file; alerts wait with us, and so does a stop."""


class UnusableError(Exception):
    """The file must not be used: another daemon has it, or it is not ours."""


class StateFile:
    """A database file that is opened when first needed, and anew after every failure.

    WAL with synchronous=FULL. A lock on a side file keeps a second daemon out. A damaged file is renamed
    aside before the first use, and an empty one begun.

    Args:
        path: The database; its directory is made (0700) if missing. Not on a network file system.
        schema: SQL that makes the tables of a new file.
        application_id: Marks the file as ours.
        version: Of the schema; a file of a later one is refused.
        upgrades: SQL that makes version 2 of version 1, version 3 of version 2, and so on.
        max_bytes: Bound on the file; beyond it a transaction fails as on a full disk.
    """

    def __init__(
        self,
        path: Path,
        *,
        schema: str,
        application_id: int,
        version: int,
        max_bytes: int,
        upgrades: Sequence[str] = (),
    ) -> None:
        self.path = path
        self.set_aside: list[Path] = []
        """Damaged files and their new names, oldest first."""
        self._schema = schema
        self._application_id = application_id
        self._version = version
        self._upgrades = tuple(upgrades)
        self._max_pages = max(1, max_bytes // 4096)
        self._connection: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._checked = False

    def transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one BEGIN IMMEDIATE … COMMIT.

        Raises:
            sqlite3.Error, OSError: nothing of it was done, and the file is opened anew the next time.
            UnusableError: the file must not be used.
        """
        try:
            connection = self._connection or self._connect()
            connection.execute("BEGIN IMMEDIATE")
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException as error:
            self._checked = self._checked and not is_damage(error)
            self._disconnect()
            raise
        return result

    def close(self) -> None:
        """Fold the log into the file and let go of both file and lock."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._disconnect()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _connect(self) -> sqlite3.Connection:
        make_directory(self.path.parent)
        self._take_lock()
        if not self._checked and self._damaged():
            self._rename_aside()
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self.path, timeout=LOCKED_FOR, isolation_level=None, check_same_thread=False)
        self._connection = connection
        self._claim(connection)
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "wal_autocheckpoint = 1000",
            "journal_size_limit = 67108864",
            f"max_page_count = {self._max_pages}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        self._checked = True
        return connection

    def _claim(self, connection: sqlite3.Connection) -> None:
        """Make the tables in a new file; refuse one that is not ours or of the future."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application == 0 and tables == 0:
            marks = f"PRAGMA application_id = {self._application_id}; PRAGMA user_version = {self._version};"
            connection.executescript(f"BEGIN IMMEDIATE; {self._schema} {marks} COMMIT;")
        elif application != self._application_id:
            raise UnusableError(f"{self.path} is not a Sentinel state file; set another state directory")
        elif version > self._version:
            raise UnusableError(
                f"{self.path} was made by a newer Sentinel (format {version}, this one reads "
                f"{self._version}); upgrade, or move the file away"
            )
        elif version < self._version:
            steps = " ".join(self._upgrades[version - 1 :])
            connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {self._version}; COMMIT;")

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise UnusableError(
                f"another Sentinel (process {holder}) uses {self.path}; stop it, or set another state directory"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        self._lock = lock

    def _damaged(self) -> bool:
        if not self.path.exists():
            return False
        probe = sqlite3.connect(self.path, isolation_level=None)
        try:
            return bool(probe.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                return True
            raise
        finally:
            probe.close()

    def _rename_aside(self) -> None:
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.damaged-{number}")).exists():
            number += 1
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{self.path}{suffix}", f"{aside}{suffix}")
        self.set_aside.append(aside)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def is_damage(error: BaseException) -> bool:
    """Whether the file itself is broken, not merely out of reach."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def remedy(error: Exception) -> str:
    """What an operator can do about a disk that does not take something."""
    code, number = _code(error), error.errno if isinstance(error, OSError) else None
    if code == sqlite3.SQLITE_FULL or number in (errno.ENOSPC, errno.EDQUOT):
        return "free space on that file system"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM) or number in (
        errno.EPERM,
        errno.EACCES,
        errno.EROFS,
    ):
        return "make the directory and its files writable for this user"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "close the other program that holds the file"
    return "check the disk and the directory"


def make_directory(directory: Path) -> None:
    """Make a directory for us alone; one that is already there is left as it is."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)


class Replacement:
    """A file's new content, written in parts beside it; after a crash there is the old or the new, whole. Mode 0600.

    All of it may raise OSError, and may be called from another thread than the one before.
    """

    def __init__(self, path: Path) -> None:
        make_directory(path.parent)
        self._path, self._new = path, path.with_name(path.name + ".new")
        descriptor = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "wb")

    def write(self, part: bytes) -> None:
        """Go on with the new content."""
        self._file.write(part)

    def finish(self) -> None:
        """Put it in the place of the old."""
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        os.rename(self._new, self._path)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def abandon(self) -> None:
        """Leave the old as it is. What lies half-written is overwritten the next time."""
        with contextlib.suppress(OSError):
            self._file.close()


def replace(path: Path, whole: bytes) -> None:
    """Replace a file's content at once."""
    new = Replacement(path)
    try:
        new.write(whole)
        new.finish()
    finally:
        new.abandon()


def read_ours(path: Path) -> bytes:
    """A file's content, if nobody else could have written it.

    Raises:
        PermissionError: it belongs to another user, or others may write to it or to its directory.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        for status in (os.fstat(file.fileno()), path.parent.stat()):
            if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise PermissionError(errno.EPERM, "could have been written by others, so it is not used")
        return file.read()


def _code(error: BaseException) -> int:
    """SQLite's primary result code; 0 for other errors."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
