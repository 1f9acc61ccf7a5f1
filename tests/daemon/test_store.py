"""The store on a real disk: what it keeps, what it refuses, and how it goes on when the disk does not."""

import asyncio
import os
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sentinel.model import (
    ComponentStatus,
    Culprit,
    Eta,
    Event,
    Evidence,
    Finding,
    Incident,
    IncidentState,
    Notification,
    PublicUpdate,
    Reason,
    Recording,
    Sent,
    Series,
    Severity,
    Stage,
    Told,
    ulid,
)
from sentinel.outbox import Outbox, RowState
from sentinel.pipeline.actions import Deploy, Silence
from sentinel.store import Store, StoreError, StoreUnusableError

NOW = 1_764_000_000.0


def incident(target: str = "redis-a", *, number: int = 1, **changes: object) -> Incident:
    finding = Finding(
        target, "leak", "cause", Severity.WARNING, NOW, True, "412 connections, +3.1/min since 12:04",
        value=float("inf"), evidence=(Evidence("floor slope", 3.1, "clients/min", "flat"),),
        eta=Eta(NOW + 7200, None, "10,000 clients"),
        culprit=Culprit("api", 0.9, "10.4.7.0/24", ((("addr", "10.4.7.1:1"), ("cmd", "info")),)),
    )  # fmt: skip
    made = Incident(
        ulid(NOW, f"{target} {number}"), f"sentinel:prod:{target}", target, "leak", "", Severity.WARNING,
        IncidentState.OPEN, NOW, NOW, finding,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def notification(
    event: str, *, of: Incident | None = None, reason: Reason = Reason.OPENED, destination: str = "ops/webhook"
) -> Notification:
    return Notification("ops", destination, reason, of or incident(), NOW, f"msg_{event}")


def told(of: Incident | None = None, **changes: object) -> Told:
    made = Told((of or incident()).id, "ops/webhook", Reason.OPENED, Severity.WARNING, NOW, NOW, NOW)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(tmp_path) as store:
        yield store


@asynccontextmanager
async def opened(directory: Path, **changes: int) -> AsyncIterator[Store]:
    store = Store(directory / "state" / "sentinel.db", **changes)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def test_incidents_and_rows_come_back_as_they_were(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit([incident()], [notification("1"), notification("2", reason=Reason.UPDATED)], NOW)
    async with opened(tmp_path) as store:
        assert await store.live_incidents(resolved_since=NOW) == [incident()]
        rows = list(store.outbox.rows())
    assert [row.notification for row in rows] == [notification("1"), notification("2", reason=Reason.UPDATED)]
    assert [(row.state, row.ambiguous, row.created) for row in rows] == [(RowState.PENDING, False, NOW)] * 2


async def test_a_commit_that_is_cancelled_meanwhile_is_on_the_disk_and_in_the_outbox(store: Store) -> None:
    committing = asyncio.create_task(store.commit([incident()], [notification("1")], NOW))
    await asyncio.sleep(0)
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing
    assert "msg_1" in store.outbox
    assert await store.live_incidents(resolved_since=NOW) == [incident()]


async def test_a_commit_is_on_the_disk_when_it_returns(store: Store) -> None:
    await store.commit([incident()], [notification("1")], NOW)
    reader = sqlite3.connect(store.path)
    assert reader.execute("SELECT event_id, state FROM outbox").fetchall() == [("msg_1", "pending")]
    assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    reader.close()


async def test_a_repeated_event_id_changes_nothing_even_after_delivery(store: Store) -> None:
    await store.commit([incident()], [notification("1")], NOW)
    (row,) = store.outbox.rows()
    store.outbox.settle(row, RowState.DELIVERED, NOW)
    await store.record([row])
    await store.commit([incident()], [notification("1")], NOW + 1)
    assert list(store.outbox.rows()) == []


async def test_a_row_that_was_being_sent_is_ambiguous_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit([incident()], [notification("1")], NOW)
        (row,) = store.outbox.rows()
        row.state = RowState.SENDING
        await store.record([row])
    async with opened(tmp_path) as store:
        (row,) = store.outbox.rows()
        assert (row.state, row.ambiguous) == (RowState.PENDING, True)


async def test_progress_of_a_row_survives_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit([incident()], [notification("1")], NOW)
        (row,) = store.outbox.rows()
        row.attempts, row.not_before, row.minimal, row.error, row.status = 3, NOW + 40, True, "refused", 400
        await store.record([row])
    async with opened(tmp_path) as store:
        (row,) = store.outbox.rows()
        assert (row.attempts, row.not_before, row.minimal, row.error, row.status) == (3, NOW + 40, True, "refused", 400)


async def test_what_each_destination_was_told_last_is_kept(tmp_path: Path) -> None:
    later = told(reason=Reason.REPEATED, severity=Severity.CRITICAL, time=NOW + 7200, repeats=2, via="01", shadow=True)
    async with opened(tmp_path) as store:
        await store.commit([incident()], [notification("1")], NOW, told=[told()])
        await store.commit([], [], NOW + 7200, told=[later])
    async with opened(tmp_path) as store:
        assert await store.told() == [later]


async def test_silences_and_deploys_are_kept_until_they_hold_no_longer(tmp_path: Path) -> None:
    silence = Silence(NOW, "ada", ("target=redis-a",), until=NOW + 60)
    deploy = Deploy(NOW, "ci", "v2", ("redis-a",))
    async with opened(tmp_path) as store:
        await store.commit([], [], NOW, kept=[("1", silence), ("2", deploy), ("3", silence)])
        await store.commit([], [], NOW, kept=[("3", None)])
    async with opened(tmp_path) as store:
        assert await store.kept() == {"1": silence, "2": deploy}


async def test_the_history_of_an_incident_is_kept_in_order(store: Store) -> None:
    opening, note = Event(NOW, "opened", incident().id), Event(NOW, "note", incident().id, "ada", "looked \ud800 at it")
    await store.commit([incident()], [], NOW, events=[opening, Event(NOW, "deploy", "", "ci", "v2"), note])
    assert await store.events(incident().id) == [opening, replace(note, text="looked ? at it")]
    assert [event.kind for event in await store.events()] == ["opened", "deploy", "note"]
    assert [event.kind for event in await store.events(limit=1)] == ["note"]


async def test_what_the_metrics_did_is_kept_with_the_first_finding(store: Store) -> None:
    recording = Recording(incident().id, incident().finding, ((Series("clients", (("a", "b"),)), ((NOW, 1.5),)),))
    await store.commit([], [], NOW, recordings=[recording])
    assert await store.recording(incident().id) == recording
    assert await store.recording("other") is None


async def test_an_incident_is_found_by_its_id_and_by_its_short_reference(store: Store) -> None:
    await store.commit([incident(), incident("b")], [], NOW)
    assert await store.incident(incident("b").id) == incident("b")
    assert await store.incident(incident("b").ref) == incident("b")
    assert await store.incident("SNT-NOBODY") is None


async def test_past_incidents_come_newest_first(store: Store) -> None:
    over = incident("b", state=IncidentState.RESOLVED, opened=NOW + 5, resolved=NOW + 10)
    await store.commit([incident(), over], [], NOW)
    assert await store.past_incidents(10) == [over, incident()]
    assert await store.past_incidents(1) == [over]


async def test_what_became_of_each_message_is_known(store: Store) -> None:
    await store.commit([incident()], [notification("1"), notification("2", reason=Reason.RESOLVED)], NOW)
    (row, _) = store.outbox.rows()
    row.attempts = 2
    store.outbox.settle(row, RowState.DELIVERED, NOW + 3)
    await store.record([row])
    assert await store.sent(incident().id) == [
        Sent("ops/webhook", "opened", NOW, "delivered", NOW + 3, 2, ""),
        Sent("ops/webhook", "resolved", NOW, "pending", None, 0, ""),
    ]


async def test_facts_that_the_disk_refused_are_written_later(tmp_path: Path) -> None:
    async with opened(tmp_path, max_file_bytes=40 * 4096) as store:
        bulky = [notification(str(number)) for number in range(200)]
        with pytest.raises(StoreError):
            await store.commit([incident()], bulky, NOW, told=[told()], events=[Event(NOW, "x")])
        store._file._max_pages = 10_000
        await store.tidy(NOW)
        assert (await store.told(), await store.events()) == ([told()], [Event(NOW, "x")])


async def test_a_file_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit([incident()], [notification("1")], NOW)
        path = store.path
    connection = sqlite3.connect(path)
    for table in ("told", "events", "recordings", "kept", "elsewhere"):
        connection.execute(f"DROP TABLE {table}")
    connection.executescript(
        "DROP INDEX outbox_of; PRAGMA user_version = 1;"
        "CREATE TABLE told(incident TEXT, destination TEXT, reason TEXT, severity INT, time REAL, repeats INT);"
    )
    connection.close()
    async with opened(tmp_path) as store:
        await store.commit([], [], NOW, told=[told()], events=[Event(NOW, "x")])
        assert await store.told() == [told()]
        assert await store.live_incidents(resolved_since=NOW) == [incident()]


async def test_resolved_incidents_are_given_only_if_recent(store: Store) -> None:
    recent = incident("a", state=IncidentState.RESOLVED, resolved=NOW - 10)
    old = incident("b", state=IncidentState.RESOLVED, resolved=NOW - 5000)
    await store.commit([recent, old, incident("c")], [], NOW)
    found = await store.live_incidents(resolved_since=NOW - 3600)
    assert {i.target for i in found} == {"a", "c"}


async def test_a_newer_incident_of_a_condition_takes_the_place_of_an_open_one(store: Store) -> None:
    await store.commit([incident()], [], NOW)
    await store.commit([incident(number=2)], [], NOW)
    found = [i.id for i in await store.live_incidents(resolved_since=NOW + 1)]
    assert found == [incident(number=2).id]


async def test_references_of_destinations_survive_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit([incident()], [notification("1")], NOW)
        (row,) = store.outbox.rows()
        row.ref = "C1/1503435956.000247"
        store.outbox.settle(row, RowState.DELIVERED, NOW)
        await store.record([row])
    async with opened(tmp_path) as store:
        assert store.refs == {("ops/webhook", incident().id): "C1/1503435956.000247"}


def public(number: int, stage: Stage = Stage.INVESTIGATING) -> Notification:
    """An update of a status page: its incident is in no table but the outbox's."""
    update = PublicUpdate(stage, "Delays", f"text {number}", (("1001", ComponentStatus.DEGRADED),), NOW)
    page = incident("page", sequence=number)
    reason = Reason.RESOLVED if stage is Stage.RESOLVED else Reason.UPDATED
    return Notification("page", "page/customers", reason, page, NOW, f"msg_p{number}", public=update)


async def deliver(store: Store, told: Notification, ref: str | None = None) -> None:
    await store.commit([], [told], NOW)
    (row,) = store.outbox.rows()
    row.ref = ref
    store.outbox.settle(row, RowState.DELIVERED, NOW)
    await store.record([row])


async def test_the_reference_of_a_public_incident_is_kept_as_long_as_its_history(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await deliver(store, public(1), "9001")
        await store.tidy(NOW + 86400.0)
    async with opened(tmp_path) as store:
        assert store.refs == {("page/customers", incident("page").id): "9001"}
        await store.tidy(NOW + 8 * 86400.0)
        assert store.refs == {}


async def test_references_are_forgotten_with_their_incidents_while_the_daemon_runs(store: Store) -> None:
    await store.commit([incident(state=IncidentState.RESOLVED, resolved=NOW)], [], NOW)
    await deliver(store, notification("1"), "C1/1")
    await store.tidy(NOW + 29 * 86400.0)
    assert len(store.refs) == 1
    await store.tidy(NOW + 31 * 86400.0)
    assert store.refs == {}


async def test_what_each_page_was_told_last_is_known(store: Store) -> None:
    for number, stage in enumerate((Stage.INVESTIGATING, Stage.MONITORING), start=1):
        await deliver(store, public(number, stage), "9001")
    await deliver(store, notification("1"))
    assert await store.public() == [public(2, Stage.MONITORING)]


async def test_what_was_told_elsewhere_is_kept_until_its_incident_is_forgotten(tmp_path: Path) -> None:
    elsewhere = {("oncall/pagerduty", incident().id): "it answered 401"}
    async with opened(tmp_path) as store:
        await store.commit([incident()], [], NOW, elsewhere=elsewhere)
    async with opened(tmp_path) as store:
        assert await store.elsewhere() == elsewhere
        await store.commit([incident(state=IncidentState.RESOLVED, resolved=NOW)], [], NOW)
        await store.tidy(NOW + 31 * 86400.0)
        assert await store.elsewhere() == {}


async def test_old_history_is_forgotten_and_live_rows_are_not(store: Store) -> None:
    await store.commit(
        [incident(state=IncidentState.RESOLVED, resolved=NOW), incident("b")],
        [notification("1"), notification("2", of=incident("b")), notification("3", of=incident("c"))],
        NOW,
        told=[told(), told(incident("b"))],
    )
    delivered, dead, _ = store.outbox.rows()
    store.outbox.settle(delivered, RowState.DELIVERED, NOW)
    store.outbox.settle(dead, RowState.DEAD, NOW, "refused")
    await store.record([delivered, dead])
    await store.tidy(NOW + 8 * 86400)
    assert [(letter.notification, letter.error) for letter in await store.dead_letters()] == [
        (dead.notification, "refused")
    ]
    await store.tidy(NOW + 31 * 86400)
    assert await store.dead_letters() == []
    assert [i.target for i in await store.live_incidents(resolved_since=0)] == ["b"]
    assert [item.incident for item in await store.told()] == [incident("b").id]
    assert [row.event_id for row in store.outbox.rows()] == ["msg_3"]


async def test_text_that_is_not_unicode_does_not_lose_the_row(tmp_path: Path) -> None:
    odd = incident(subject="enc\udc80ode")
    async with opened(tmp_path) as store:
        await store.commit([odd], [notification("1", of=odd)], NOW)
    async with opened(tmp_path) as store:
        assert [row.notification.incident.subject for row in store.outbox.rows()] == ["enc?ode"]


async def test_directory_and_files_are_for_us_alone(store: Store) -> None:
    await store.commit([incident()], [], NOW)
    await store.snapshot.save([b"state"], NOW)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.path.parent.iterdir()}
    assert set(modes) == {"sentinel.db", "sentinel.db-wal", "sentinel.db-shm", "sentinel.lock", "sentinel.snapshot"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


async def test_a_second_daemon_is_refused_and_told_who_has_the_file(store: Store) -> None:
    second = Store(store.path)
    with pytest.raises(StoreUnusableError, match=rf"another Sentinel \(process {os.getpid()}\) uses .*sentinel\.db"):
        await second.open()
    await second.close()


async def test_a_killed_daemon_leaves_no_lock_behind(tmp_path: Path) -> None:
    code = (
        "import asyncio, os, sys; from pathlib import Path; from sentinel.store import Store\n"
        "asyncio.run(Store(Path(sys.argv[1])).open()); os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "state" / "sentinel.db"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(path))
    assert await child.wait() == -9
    async with opened(tmp_path) as store:
        assert not store.failing


async def test_a_damaged_file_is_put_aside_and_the_daemon_begins_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit([incident()], [notification("1")], NOW)
    store.path.write_bytes(b"not a database at all" * 50)
    async with opened(tmp_path) as store:
        assert "was damaged; it is now sentinel.db.damaged-1" in store.notes[0]
        await store.commit([incident()], [], NOW)
        assert await store.live_incidents(resolved_since=NOW) == [incident()]
    assert (store.path.parent / "sentinel.db.damaged-1").exists()


async def test_a_file_that_is_damaged_while_in_use_is_written_anew_from_memory(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit([incident()], [notification("1")], NOW)
        await store._run(store._file._disconnect)  # so that the next transaction reads the damaged pages
        store.path.write_bytes(b"not a database at all" * 50)
        with pytest.raises(StoreError, match="not a database"):
            await store.commit([incident("b")], [notification("2", of=incident("b"))], NOW)
        await store.tidy(NOW)
        assert (store.failing, store.failures) == ("", 1)
    async with opened(tmp_path) as store:
        assert [row.event_id for row in store.outbox.rows()] == ["msg_1", "msg_2"]


async def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state" / "sentinel.db"
    path.parent.mkdir()
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE theirs(x)")
    foreign.close()
    store = Store(path)
    with pytest.raises(StoreUnusableError, match="is not a Sentinel state file"):
        await store.open()
    await store.close()


async def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        pass
    newer = sqlite3.connect(store.path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    store = Store(store.path)
    with pytest.raises(StoreUnusableError, match=r"newer Sentinel \(format 99, this one reads 3\)"):
        await store.open()
    await store.close()


async def test_a_full_disk_is_said_and_the_alert_goes_on_from_memory(tmp_path: Path) -> None:
    async with opened(tmp_path, max_file_bytes=30 * 4096) as store:
        with pytest.raises(StoreError, match=r"sentinel\.db: cannot write state: .*full; free space"):
            await store.commit([incident()], [notification(str(number)) for number in range(200)], NOW)
        assert (store.failures, "free space" in store.failing) == (1, True)
        assert [row.event_id for row in store.outbox.heads("ops/webhook", NOW)] == ["msg_0"]
        assert len(store.outbox) == 200


async def test_what_a_full_disk_refused_is_written_once_there_is_room(tmp_path: Path) -> None:
    async with opened(tmp_path, max_file_bytes=30 * 4096) as store:
        bulky = [notification(str(n)) for n in range(200)]
        with pytest.raises(StoreError):
            await store.commit([incident()], bulky, NOW, told=[told()])
        store._file._max_pages = 10_000
        await store.tidy(NOW)
        assert store.failing == ""
    async with opened(tmp_path) as store:
        assert [row.event_id for row in store.outbox.rows()] == [f"msg_{n}" for n in range(200)]
        assert await store.live_incidents(resolved_since=NOW) == [incident()]
        assert await store.told() == [told()]


@pytest.mark.usefixtures("nobody")
async def test_a_directory_that_cannot_be_written_is_said_and_the_alert_goes_on(tmp_path: Path) -> None:
    async with opened(Path(f"/proc/self/cwd{tmp_path}")) as store:
        assert "make the directory and its files writable for this user" in store.notes[0]
        with pytest.raises(StoreError, match="Permission denied"):
            await store.commit([incident()], [notification("1")], NOW)
        assert "msg_1" in store.outbox


async def test_delivery_marks_are_kept_while_the_directory_is_away(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit([incident()], [notification("1")], NOW)
        (row,) = store.outbox.rows()
        await store._run(store._file._disconnect)
        moved = store.path.parent.rename(tmp_path / "gone")
        store.path.parent.write_text("in the way")
        store.outbox.settle(row, RowState.DELIVERED, NOW)
        await store.record([row])
        assert store.failing
        store.path.parent.unlink()
        moved.rename(store.path.parent)
        await store.tidy(NOW)
        assert store.failing == ""
    async with opened(tmp_path) as store:
        assert list(store.outbox.rows()) == []


async def test_memory_is_bounded_while_the_disk_fails_and_keeps_what_matters(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    async with opened(tmp_path) as store:
        resolves = [notification(f"r{n}", of=incident(f"r{n}"), reason=Reason.RESOLVED) for n in range(10)]
        updates = [notification(f"u{n}", of=incident(f"u{n}"), reason=Reason.UPDATED) for n in range(1000)]
        for batch in (resolves, updates):
            with pytest.raises(StoreError):
                await store.commit([], batch, NOW)
        kept = [row.event_id for row in store.outbox.rows()]
        assert len(kept) == 1000
        assert kept[:10] == [f"msg_r{n}" for n in range(10)]
        assert store.outbox.settled["ops/webhook", RowState.DEAD] == 10


async def test_a_snapshot_comes_back_whole(store: Store) -> None:
    data = bytes(range(256)) * 100
    await store.snapshot.save([b"older"], NOW)
    await store.snapshot.save([data[:100], data[100:]], NOW)
    assert (await store.snapshot.load()).data == data


async def test_a_snapshot_that_breaks_off_leaves_the_old_one(store: Store) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise KeyError("a bug in what makes it")

    await store.snapshot.save([b"older"], NOW)
    with pytest.raises(KeyError):
        await store.snapshot.save(broken(), NOW)
    assert (await store.snapshot.load()).data == b"older"
    await store.snapshot.save([b"newer"], NOW)
    assert (await store.snapshot.load()).data == b"newer"


async def test_no_snapshot_is_an_ordinary_cold_start(store: Store) -> None:
    snapshot = await store.snapshot.load()
    assert (snapshot.data, snapshot.why) == (None, "no detector state yet: detectors start cold")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes().replace(b'"format": 2', b'"format": 3')),
            "is of format 3, this is 2",
        ),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is damaged"),
        (lambda path: path.write_bytes(b"\x80\x04K\x01."), "is not a snapshot"),
        (lambda path: path.chmod(0o666), "could have been written by others"),
        (lambda path: path.parent.chmod(0o777), "could have been written by others"),
    ],
)
async def test_a_snapshot_that_does_not_fit_is_left_and_says_why(store: Store, spoil, why: str) -> None:
    await store.snapshot.save([b"state"], NOW)
    spoil(store.path.with_suffix(".snapshot"))
    snapshot = await store.snapshot.load()
    assert snapshot.data is None
    assert why in snapshot.why


async def test_a_snapshot_that_cannot_be_saved_says_what_to_do(store: Store) -> None:
    store.path.with_suffix(".snapshot").mkdir()
    with pytest.raises(StoreError, match=r"cannot save detector state: .*; check the disk"):
        await store.snapshot.save([b"state"], NOW)


async def test_rows_found_late_come_before_rows_made_meanwhile(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit([incident()], [notification("1")], NOW)
    hidden = (tmp_path / "state").rename(tmp_path / "hidden")
    (tmp_path / "state").write_text("in the way")
    async with opened(tmp_path) as store:
        with pytest.raises(StoreError):
            await store.commit([], [notification("2", reason=Reason.RESOLVED)], NOW)
        (tmp_path / "state").unlink()
        hidden.rename(tmp_path / "state")
        await store.tidy(NOW)
        assert [row.event_id for row in store.outbox.rows()] == ["msg_1", "msg_2"]


async def test_the_outbox_given_is_the_one_used(tmp_path: Path) -> None:
    outbox = Outbox(max_rows=1)
    store = Store(tmp_path / "sentinel.db", outbox=outbox)
    await store.open()
    await store.commit([], [notification("1", reason=Reason.UPDATED), notification("2", of=incident("b"))], NOW)
    await store.close()
    assert [row.event_id for row in outbox.rows()] == ["msg_2"]
