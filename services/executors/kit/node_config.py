"""The base of every type's config; imports pydantic alone, so that a config can be read without the kit."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class NodeConfig(BaseModel):
    """An unknown field is an error, so that a typing error is found."""

    model_config = ConfigDict(extra="forbid", frozen=True)
