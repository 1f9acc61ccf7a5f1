"""The house keeps its own rules: who may import whom, where the time is read, what lies at the root."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("sentinel", "detectors")
ROOMS_AT_THE_ROOT = {".ci", "config", "deploy", "detectors", "sentinel", "tests"}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {contract["id"]: contract["name"] for contract in PYPROJECT["tool"]["importlinter"]["contracts"]}


def tracked() -> list[Path]:
    """Files that are in git or would be added to it."""
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode:
        pytest.skip("needs a git checkout")
    return [ROOT / name for name in answer.stdout.split("\0") if name and (ROOT / name).is_file()]


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path, ast.parse(path.read_text(), str(path))


def lint(tree: Path) -> tuple[int, str]:
    """Runs import-linter on a tree; gives its exit code and what it says."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    answer = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    return answer.returncode, answer.stdout + answer.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what import-linter reads, to be broken."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


BREACHES = [
    ("layers", "sentinel/model.py", "import sentinel.pipeline"),
    ("layers", "sentinel/store/store.py", "import sentinel.config.newcomer"),
    ("layers", "sentinel/unplaced_room.py", ""),
    ("detectors", "detectors/newcomer.py", "import sentinel"),
    ("pure", "sentinel/pipeline/newcomer.py", "import asyncio"),
    ("pure", "sentinel/model.py", "import logging"),
    ("pure", "detectors/newcomer.py", "import random"),
    ("time", "sentinel/samplers/newcomer.py", "from time import monotonic"),
    ("river", "detectors/newcomer.py", "import river.anomaly"),
    ("kinds", "detectors/newcomer.py", "import detectors.limits"),
    ("samplers", "sentinel/samplers/newcomer.py", "import sentinel.samplers.neighbour"),
    ("queues", "sentinel/samplers/queues/newcomer.py", "import sentinel.samplers.queues.neighbour"),
    ("samplers", "sentinel/samplers/queues/newcomer.py", "import sentinel.samplers.neighbour"),
    ("notifiers", "sentinel/notifiers/newcomer.py", "import sentinel.notifiers.neighbour"),
    ("causes", "sentinel/pipeline/diagnosis/newcomer.py", "import sentinel.pipeline.diagnosis.neighbour"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("contract", "path", "line"), BREACHES)
def test_a_breach_is_named_by_its_contract(copy: Path, contract: str, path: str, line: str) -> None:
    for room in ("samplers", "samplers/queues", "notifiers", "pipeline/diagnosis", "config"):
        (copy / "sentinel" / room).mkdir(exist_ok=True)
        (copy / "sentinel" / room / "__init__.py").touch()
        (copy / "sentinel" / room / "neighbour.py").touch()
        (copy / "sentinel" / room / "newcomer.py").touch()
    with (copy / path).open("a") as file:
        file.write(f"\n{line}\n")
    code, said = lint(copy)
    assert code == 1
    assert CONTRACTS[contract] in re.findall(r"^(.+) BROKEN", said, re.MULTILINE), said


def test_every_contract_is_known_to_bite() -> None:
    assert {contract for contract, _, _ in BREACHES} == set(CONTRACTS)


@pytest.mark.slow
def test_the_tree_as_it_is_keeps_every_contract(copy: Path) -> None:
    code, said = lint(copy)
    assert code == 0, said


def test_no_code_asks_the_calendar_for_now() -> None:
    asked = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}
        if isinstance(node.value, ast.Name | ast.Attribute)
        if (node.value.id if isinstance(node.value, ast.Name) else node.value.attr) in {"datetime", "date"}
    ]
    assert asked == []


def test_every_module_says_what_it_knows() -> None:
    silent = [str(path.relative_to(ROOT)) for path, tree in sources() if not ast.get_docstring(tree)]
    assert silent == []


def test_the_root_has_only_its_rooms() -> None:
    rooms = {path.relative_to(ROOT).parts[0] for path in tracked() if path.parent != ROOT}
    assert rooms <= ROOMS_AT_THE_ROOT


def test_no_tracked_file_names_a_package_registry() -> None:
    hosts = re.compile(rb"\b(pypi|pythonhosted|npmjs|debian|crates|npmmirror|anaconda)\.(org|com|io|net)\b")
    naming = [str(path.relative_to(ROOT)) for path in tracked() if hosts.search(path.read_bytes())]
    assert naming == []


def locked() -> dict[str, list[str]]:
    """Versions of every package in the lock; more than one where they differ by Python version."""
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^ ]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE):
        versions.setdefault(canonicalize_name(name), []).append(version)
    return versions


def asked_for() -> list[Requirement]:
    project = PYPROJECT["project"]
    lists = [
        project["dependencies"],
        *project["optional-dependencies"].values(),
        PYPROJECT["dependency-groups"]["dev"],
    ]
    return [Requirement(line) for lines in lists for line in lines]


@pytest.mark.parametrize("requirement", asked_for(), ids=str)
def test_the_lock_holds_what_the_project_asks_for(requirement: Requirement) -> None:
    versions = locked().get(canonicalize_name(requirement.name), [])
    assert versions, "missing: run `make lock`"
    assert all(requirement.specifier.contains(version) for version in versions)


def test_every_line_of_the_lock_is_hashed() -> None:
    pins = re.split(r"^(?=[\w.-]+==)", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)[1:]
    assert pins
    assert [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin] == []
