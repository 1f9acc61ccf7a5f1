"""Samplers: each asks one source of a target for samples.

What they say (metric names, base units; `_total` marks counters that only rise, and fall on a restart):

INFO (`redis_info.py`)
    redis_connected_clients · redis_blocked_clients · redis_pubsub_clients · redis_max_clients ·
    redis_connected_replicas · redis_cluster_links · redis_reserved_clients (Valkey's `maxclients-reserved`)
    redis_connections_received_total · redis_connections_rejected_total · redis_evicted_clients_total ·
    redis_commands_total · redis_errors_total{prefix} · redis_restarts_total (a new run_id)
    redis_memory_used_bytes · redis_memory_max_bytes (0: no limit) · redis_memory_clients_bytes ·
    redis_memory_rss_bytes · redis_memory_system_bytes (the host's) · redis_evicted_keys_total ·
    redis_memory_noeviction = 1 or 0 (maxmemory-policy) · redis_client_output_buffer_max_bytes ·
    redis_output_buffer_disconnections_total (cut off for their output buffer; 7.4, Valkey 8)
    redis_uptime_seconds · redis_info{role,server,version} = 1 · redis_master_link_up = 1 or 0 (replicas only)
    redis_saving = 1 or 0 (a snapshot or rewrite runs) · redis_last_fork_seconds · redis_loading = 1 or 0 ·
    redis_cpu_seconds_total (of the thread that runs commands) · redis_paused{reason} = 1 (CLIENT PAUSE; Valkey 8.1)
    redis_command_calls_total{command} · redis_command_seconds_total{command} (the 40 that took most; now and then,
    and with each poll while a PING is slow)

Connections (`seats.py`, `probe.py`)
    redis_seats (open reserved seats, 0-2) · redis_ping_seconds (own round trip) · redis_dial_seconds (a
    newcomer's connect and PING) · redis_dial_failed{reason} = 1

Census (`redis_clients.py`), one series a client group; labels: group
    redis_group_clients · redis_group_unused_clients (idle ≈ age, old, not blocked: the cohort;
    exemplar: one row) · redis_group_untouched_clients (the same from 2 seconds of age on: the fast clock of the
    cohort) · redis_group_blocked_clients · redis_group_sources (distinct name and address pairs) ·
    redis_group_births_total · redis_group_deaths_total (by id; lives shorter than a census are not seen)
    redis_census_seconds (server time that CLIENT LIST took)

Output buffers (`client_buffers.py`)
    redis_client_output_bytes (the largest, only while it is large; exemplar: its row)

Queues and the workers of job systems (`queues/`): the table in `queues/base.py`

Heartbeats named in YAML (`heartbeats.py`), labels: group, worker
    heartbeat_age_seconds (seconds since the last beat; grows while none comes; the series ends when
    the worker signs off) · worker_clock_skew_seconds (where a beat lies in the future)

Every sampler, labels: sampler
    sampler_up = 1 or 0 · sampler_failed{sampler,reason} = 1, only while it fails
"""

from __future__ import annotations

from collections.abc import Mapping

from sentinel.samplers.client_buffers import ClientBuffers
from sentinel.samplers.heartbeats import Heartbeats
from sentinel.samplers.probe import DialProbe
from sentinel.samplers.queues import Queues
from sentinel.samplers.redis_clients import Census
from sentinel.samplers.redis_info import RedisInfo

__all__ = ["BY_NAME"]

BY_NAME: Mapping[str, type] = {
    "info": RedisInfo,
    "probe": DialProbe,
    "census": Census,
    "buffers": ClientBuffers,
    "queues": Queues,
    "heartbeats": Heartbeats,
}
"""Every sampler under its name in `sampler_up{sampler="…"}`."""
