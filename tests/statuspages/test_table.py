"""The README's table of status pages, held against what each does to its double."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from sentinel.model import Stage
from sentinel.notifiers.base import DeliveryError
from sentinel.notifiers.http import open_session
from sentinel.statuspages import BY_NAME
from tests.statuspages.test_pages import NOW, PUSHED, looks_before, lost_answer, notification, served, settings

README = Path(__file__).parents[2] / "README.md"


def rows() -> dict[str, list[str]]:
    table = re.findall(
        r"^\| [^|]+ \| `(\w+)` \|(.+)\|$", README.read_text().partition("\n## Status pages")[2], re.MULTILINE
    )
    return {kind: [cell.strip() for cell in cells.split("|")] for kind, cells in table if kind != "kind"}


def test_every_page_has_a_row() -> None:
    assert rows().keys() == BY_NAME.keys()


@pytest.mark.parametrize("kind", sorted(BY_NAME))
async def test_the_row_says_what_the_page_does(kind: str) -> None:
    page = BY_NAME[kind]
    measured = [page.makes_incidents, changes_components_alone(kind), page.drafts]
    if kind in PUSHED:
        assert rows()[kind] == [*map(word, measured), "–", "–", "–"]
        return
    measured += [await is_made_once(kind), await is_left_to_people(kind), await is_found_by_its_key(kind)]
    assert rows()[kind] == list(map(word, measured))


def word(holds: bool) -> str:
    return "yes" if holds else "no"


def changes_components_alone(kind: str) -> bool:
    made = settings(kind, "https://status.example.com")
    try:
        replace(made, mode="component_only")
    except ValueError:
        return False
    return True


async def is_made_once(kind: str) -> bool:
    async with served(kind) as told:
        told.fake.modes.extend([*looks_before(told), *lost_answer(told)])
        with pytest.raises(DeliveryError):
            await told.tell(Stage.INVESTIGATING)
        await told.tell(Stage.INVESTIGATING, unsure=NOW - 1)
        return len(told.fake.incidents) == 1


async def is_left_to_people(kind: str) -> bool:
    async with served(kind) as told:
        await told.tell(Stage.INVESTIGATING)
        told.fake.person_edits(told.only)
        written = len(told.fake.accepted)
        await told.tell(Stage.RESOLVED)
        return len(told.fake.accepted) == written


async def is_found_by_its_key(kind: str) -> bool:
    async with served(kind) as told:
        await told.tell(Stage.INVESTIGATING)
        if not told.page.keyed:
            return False
        key = notification(Stage.INVESTIGATING).incident.dedup_key
        async with open_session(told.page) as session:
            found = await told.page.left_open(session, key, "1001", NOW)
            other = await told.page.left_open(session, f"{key}-other", "1001", NOW)
        return (len(found), len(other)) == (1, 0)
