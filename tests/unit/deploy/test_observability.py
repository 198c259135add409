"""Dashboards, alerts and the guide speak of metrics that are there, and each alert has its page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

#: Each registers its own.
for module in ("coordinator.metrics", "executors.kit.metrics", "executors.llm.metrics", "gateway.metrics"):
    import_module(f"services.{module}")

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "observability"
ALERTS = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARDS = sorted((FOLDER / "grafana" / "dashboards").glob("*.json"))
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()

#: What is in the expressions beside our own metrics.
OTHERS = {"up", "process_resident_memory_bytes"}


def families() -> dict[str, set[str]]:
    """Name -> its labels, as the code registers them."""
    found = {}
    for collector in REGISTRY._collector_to_names:
        name = getattr(collector, "_name", "")
        if name.startswith("pipewright_"):
            found[name] = set(collector._labelnames)  # type: ignore[attr-defined]
    return found


def samples() -> set[str]:
    """Names that Prometheus stores."""
    names = {name for names in REGISTRY._collector_to_names.values() for name in names}
    return {name for name in names if name.startswith("pipewright_")}


def expressions() -> Iterator[tuple[str, str]]:
    for rule in ALERTS:
        yield rule["alert"], rule["expr"]
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target["expr"]


@pytest.mark.parametrize(("place", "expression"), list(expressions()))
def test_every_metric_and_label_of_an_expression_is_there(place: str, expression: str):
    used = set(re.findall(r"\b(?:pipewright_\w+|process_\w+|up\b)", expression))
    assert used
    assert used <= samples() | OTHERS, place
    labels = {"le", "instance", "service", "job"}
    for name in used - OTHERS:
        base = re.sub(r"_(bucket|count|sum|total)$", "", name)
        labels |= families().get(base, families().get(name, set()))
    grouped = re.findall(r"\bby \(([^)]*)\)", expression)
    named = {label.strip() for group in grouped for label in group.split(",")}
    named |= set(re.findall(r'[{,]\s*(\w+)\s*(?:=~|!=|=)\s*"', expression))
    assert named <= labels, place


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_it_means_and_has_its_section(rule: dict[str, Any]):
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
    assert f"\n## {rule['alert']}\n" in RUNBOOK


def test_the_runbook_has_no_section_of_an_alert_that_is_gone():
    assert set(re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)) == {rule["alert"] for rule in ALERTS}


def test_the_guide_lists_every_metric_with_its_labels():
    listed = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(pipewright_\w+)` \|([^|]*)\|", OPERATIONS, re.MULTILINE)
    }

    assert listed == families()


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_ask_the_source_that_is_provisioned(path: Path):
    source = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"][0]
    dashboard = json.loads(path.read_text())

    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_prometheus_asks_every_service_of_the_compose_file():
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    asked = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"][0]["dns_sd_configs"][0]

    serving = {name for name, service in compose.items() if service.get("command", [""])[0] == "serve"}

    assert set(asked["names"]) == serving
    assert {compose[name]["environment"]["PIPEWRIGHT_HEALTH_PORT"] for name in serving} == {str(asked["port"])}
