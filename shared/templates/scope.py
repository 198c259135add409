"""The variables of a template, from what a node was sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from shared.contracts.nodes import NodeInputs, UpstreamNode
from shared.contracts.states import NodeStatus


class AbsentOutput(dict[str, Any]):
    """The fields of a node that gave none: each is none."""

    def __missing__(self, key: str) -> None:
        return None


class Scope(NamedTuple):
    """What a node's templates see."""

    inputs: NodeInputs
    run_id: str
    run_started_at: datetime

    def variables(self, with_run: bool = True) -> dict[str, Any]:
        """The input's keys at top level, unless a reserved name wins. `run` may be left out where nothing names it."""
        inputs = self.inputs
        variables: dict[str, Any] = {
            **inputs.input,
            "input": inputs.input,
            "nodes": {key: _fields(node) for key, node in inputs.nodes.items()},
        }
        variables.pop("previous", None)
        if with_run:
            variables["run"] = {"id": self.run_id, "started_at": self.run_started_at.isoformat()}
        if inputs.previous is not None:
            variables["previous"] = inputs.nodes[inputs.previous].output
        return variables

    def known_names(self) -> list[str]:
        """What could have been meant, for an error."""
        names = [f"input.{key}" for key in self.inputs.input]
        for key, node in self.inputs.nodes.items():
            names += [f"nodes.{key}.{name}" for name in (node.output or {})] or [f"nodes.{key}.status"]
        return names + (["previous"] if self.inputs.previous else []) + ["run.id"]


def _fields(node: UpstreamNode) -> dict[str, Any]:
    error = node.error.model_dump(include={"code", "message"}) if node.error is not None else None
    if node.status is NodeStatus.COMPLETED:
        return {"error": error, **(node.output or {}), "status": node.status.value}
    return AbsentOutput(error=error, status=node.status.value)
