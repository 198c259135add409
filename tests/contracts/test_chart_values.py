"""The values of the Helm chart fit their schema, and the templates use them; without Helm, so that it is always run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from jsonschema import Draft7Validator

from services.executors.registry import BUILT_IN

HELM = Path(__file__).parents[2] / "deploy" / "helm"
CHART = HELM / "pipewright"
SCHEMA = orjson.loads((CHART / "values.schema.json").read_bytes())
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
PRODUCTION: dict[str, Any] = yaml.safe_load((HELM / "production.yaml").read_text())


def merged(base: Any, over: Any) -> Any:
    """As Helm lays values over each other."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return base | {key: merged(base.get(key), value) for key, value in over.items()}


def findings(values: dict[str, Any]) -> list[str]:
    return [error.json_path for error in Draft7Validator(SCHEMA).iter_errors(values)]


@pytest.mark.parametrize("more", [{}, PRODUCTION], ids=["default", "production"])
def test_values_fit_the_schema(more: dict[str, Any]):
    Draft7Validator.check_schema(SCHEMA)
    assert findings(merged(VALUES, more)) == []


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"coordinators": {"replicas": 3}}, "$"),
        ({"coordinator": {"replicas": "three"}}, "$.coordinator.replicas"),
        ({"executors": {"shout": {"replicas": 1}}}, "$.executors.shout"),
        ({"executors": {"shout": {"types": ["Shout!"]}}}, "$.executors.shout.types[0]"),
        ({"executors": {"Shout": {"types": ["shout"]}}}, "$.executors"),
        ({"networkPolicy": {"enabled": True}}, "$.networkPolicy.nats.peers"),
        ({"keda": {"natsMonitoringEndpoint": "http://nats:8222"}}, "$.keda.natsMonitoringEndpoint"),
        ({"gateway": {"env": {"PIPEWRIGHT_PORT": 1}}}, "$.gateway.env.PIPEWRIGHT_PORT"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(more: dict[str, Any], place: str):
    assert place in findings(merged(VALUES, more))


def test_every_value_that_a_template_names_is_there():
    text = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    for name in set(re.findall(r"\.Values((?:\.\w+)+)", text)):
        place: Any = VALUES
        for part in name.strip(".").split("."):
            assert part in place, name
            place = place[part]


def test_every_built_in_type_has_an_executor():
    types = [name for executor in VALUES["executors"].values() for name in executor["types"]]
    assert sorted(types) == sorted(BUILT_IN)
