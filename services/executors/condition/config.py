"""What a condition node may be told."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from services.executors.kit.node_config import NodeConfig

#: A whole Jinja2 expression, without braces; arrives as its value.
Expression = Annotated[Any, Field(json_schema_extra={"type": "string", "format": "expression"})]


class Case(NodeConfig):
    branch: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="The branch that is taken", examples=["high"])
    when: Expression = Field(description="Taken when this is true", examples=["input.score >= 8"])


class ConditionConfig(NodeConfig):
    """Either one `expression`, or `cases` of which the first that is true wins."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["expression"]}, {"required": ["cases"]}]})

    expression: Expression = Field(
        default=None, description="Decides between the branches true and false", examples=["input.score > 3"]
    )
    cases: list[Case] | None = Field(
        default=None,
        min_length=1,
        max_length=50,
        description="The first that is true names the branch; none: the branch default",
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> ConditionConfig:
        if ("expression" in self.model_fields_set) == (self.cases is not None):
            raise ValueError("give either 'expression' or 'cases'")
        return self
