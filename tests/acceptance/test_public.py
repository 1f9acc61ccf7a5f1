"""The real daemon and the public: a draft answered by its link, SIGKILL in between, and a dead man's switch."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import aiohttp
import pytest

from sentinel.drill.daemon import Daemon
from sentinel.drill.receiver import Receiver
from sentinel.embedded import free_port
from tests.acceptance.test_people import until
from tests.daemon.test_switches import CHECK, FakeHealthchecks
from tests.notifiers.fakes import serving
from tests.servers import frozen, server
from tests.statuspages.fakes import KEY, FakeStatuspage

pytestmark = pytest.mark.slow


def configured(directory: Path, target: str, receiver: str, page: str, switch: str, port: int) -> list[str]:
    """Times pass 30 times faster: five minutes of trouble are ten seconds."""
    (directory / "sentinel.yaml").write_text(
        f"state_dir: {directory / 'state'}\n"
        f"targets: [{{name: redis-a, url: '{target}'}}]\n"
        f"receivers: {{ops: [{{kind: webhook, url: '{receiver}'}}]}}\n"
        f"http: {{url: 'http://127.0.0.1:{port}'}}\n"
        f"dead_mans_switches: {{outside: {{kind: healthchecks, url: '{switch}', interval: 120s}}}}\n"
        "status_pages:\n"
        f"  customers: {{kind: statuspage, page: pg1, api_key: {KEY}, url: '{page}', publish: [\n"
        "    {component: '1001', name: Background jobs, causes: [frozen], quorum: 1}]}\n"
    )
    return ["-c", str(directory / "sentinel.yaml"), "--interval", "0.2", "--time-scale", "30"]


def link(receiver: Receiver) -> str:
    """The newest that was told."""
    found = re.findall(
        r"http://127\.0\.0\.1:\d+/approve/\S+?sig=[\w-]+", "\n".join(repr(a.event) for a in receiver.arrivals)
    )
    return found[-1] if found else ""


async def test_what_a_person_approved_is_public_once_and_ends_although_the_daemon_was_killed(tmp_path: Path) -> None:
    port = free_port()
    async with (
        serving(FakeStatuspage(), "") as page,
        serving(FakeHealthchecks(), f"/{CHECK}") as switch,
        Receiver() as receiver,
    ):
        assert isinstance(page, FakeStatuspage)
        assert isinstance(switch, FakeHealthchecks)
        with server() as running:
            arguments = configured(tmp_path, running.url, receiver.url, page.url, switch.url, port)
            async with Daemon(arguments, listen=f"127.0.0.1:{port}", log=tmp_path / "log") as daemon:
                await until(lambda: len(switch.pings) >= 2)
                with frozen(running):
                    await until(lambda: link(receiver), within=60.0)
                    assert page.incidents == {}
                    async with aiohttp.ClientSession() as person:
                        async with person.post(link(receiver), data={"verb": "approve", "by": "ada"}) as answer:
                            assert answer.status == 200
                        await until(lambda: page.incidents)
                        os.kill(daemon.pid, signal.SIGKILL)
                        await daemon.stopped()
            async with Daemon(arguments, listen=f"127.0.0.1:{port}", log=tmp_path / "log"):
                (identity,) = page.incidents
                await until(lambda: page.stages(identity)[-1] == "resolved", within=90.0)
        assert page.stages(identity) == ["investigating", "monitoring", "resolved"]
        assert page.components["1001"] == "operational"
        assert [signal for signal, _, _ in switch.pings][:2] == ["start", ""]
        assert {signal for signal, _, _ in switch.pings} == {"start", ""}
