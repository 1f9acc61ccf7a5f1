"""The README's table of job systems says what the adapters offer, row by row."""

from __future__ import annotations

from pathlib import Path

from sentinel.samplers.queues import BY_NAME
from sentinel.samplers.queues.base import COLUMNS, Cell

TITLES = {
    "celery": "Celery",
    "rq": "RQ",
    "arq": "arq",
    "dramatiq": "dramatiq",
    "huey": "Huey",
    "taskiq": "taskiq (streams)",
    "bullmq": "BullMQ",
    "bull": "Bull",
    "bee": "Bee-Queue",
    "sidekiq": "Sidekiq",
    "resque": "Resque",
    "laravel": "Laravel, Horizon",
    "asynq": "asynq",
    "list": "a list",
    "zset": "a sorted set of times",
    "stream": "a stream's group",
}
WORDS: dict[Cell, str] = {"yes": "yes", "estimate": "estimate", "no": "not offered"}


def rows() -> list[str]:
    """The table as it must be."""
    titles = " | ".join(["system", *COLUMNS])
    lines = [f"| {titles} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for kind, queue in BY_NAME.items():
        cells = [WORDS[cell] for cell in queue.offers.cells]
        lines.append(f"| {' | '.join([TITLES[kind], *cells])} |")
    return lines


def test_the_table_of_the_readme_is_what_the_adapters_offer() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert "\n".join(rows()) in readme, "\n" + "\n".join(rows())
