"""One field, rendered as a node's config is: in this process, or in the child when it must."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.executors.kit.child import RenderPool
from shared.contracts.nodes import NodeInputs, UpstreamNode
from shared.contracts.problems import NodeProblem
from shared.contracts.states import NodeStatus
from shared.templates.config import CompiledConfig, ConfigProblems, compile_config
from shared.templates.render import TemplateRenderError
from shared.templates.scope import Scope

RUN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
STARTED_AT = datetime(2025, 3, 1, 12, 30, tzinfo=UTC)

#: What the schema may say of a field.
TEXT = {"type": "string"}
VALUE: dict[str, Any] = {}
EXPRESSION = {"type": "string", "format": "expression"}


def schema_of(field: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"field": field}}


def scope(
    input: dict[str, Any] | None = None, nodes: dict[str, UpstreamNode] | None = None, previous: str | None = None
) -> Scope:
    return Scope(NodeInputs(input=input or {}, nodes=nodes or {}, previous=previous), RUN_ID, STARTED_AT)


def completed(**output: Any) -> UpstreamNode:
    return UpstreamNode(status=NodeStatus.COMPLETED, output=output)


def skipped() -> UpstreamNode:
    return UpstreamNode(status=NodeStatus.SKIPPED)


def failed(code: str = "http_status", message: str = "it answered 500") -> UpstreamNode:
    return UpstreamNode(status=NodeStatus.FAILED, error=NodeProblem(code=code, message=message))


def compiled(source: Any, field: dict[str, Any] = TEXT) -> CompiledConfig:
    return compile_config({"field": source}, schema_of(field))


def rendered(source: Any, given: Scope | None = None, field: dict[str, Any] = TEXT) -> Any:
    """What the field gives, in this process, wherever it would be rendered."""
    return compiled(source, field).render(given or scope())["field"]


async def rendered_in(pool: RenderPool, source: Any, given: Scope | None = None, field: dict[str, Any] = TEXT) -> Any:
    return (await pool.render({"field": source}, schema_of(field), given or scope()))["field"]


def refusal(source: Any, field: dict[str, Any] = TEXT) -> str:
    """Why the template is not accepted, in words."""
    with pytest.raises(ConfigProblems) as refused:
        compiled(source, field)
    assert [finding.pointer for finding in refused.value.findings] == ["/field"]
    return refused.value.findings[0].detail


def failure(source: Any, given: Scope | None = None, field: dict[str, Any] = TEXT) -> str:
    """Why the template is accepted and does not render, in words."""
    with pytest.raises(TemplateRenderError) as failed:
        rendered(source, given, field)
    return str(failed.value)
