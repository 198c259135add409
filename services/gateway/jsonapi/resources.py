"""The resource types of JSON:API: what names one, what it belongs to, and which flat fields are relationships.

Every other flat field is an attribute, so that a field which is added to a contract shows up by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias
from urllib.parse import quote

from pydantic import BaseModel

from shared.contracts.api_keys import MadeApiKey
from shared.contracts.edits import EdgeView, NodeView, edge_id
from shared.contracts.message import JsonObject
from shared.contracts.pipelines import NodeTypeView, Pipeline
from shared.contracts.rest import PREFIX
from shared.contracts.runs import Attempt, NodeResultView, Run
from shared.contracts.versions import PipelineVersion
from shared.contracts.webhooks import MadeWebhook, WebhookDelivery

_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Linked:
    """Others that only a link leads to."""

    type: str
    related: str


@dataclass(frozen=True)
class Named:
    """One other, which a flat field names: by its id, or by its key inside the same owner."""

    type: str
    field: str
    related: str | None = None
    is_key: bool = False


@dataclass(frozen=True)
class Held:
    """Others that a flat field holds whole; they become `included` when they are asked for."""

    type: str
    field: str
    related: str | None = None
    #: Flat lists hold them too.
    in_lists: bool = False
    #: The flat interface leaves them out unless `?include=<field>` asks for them; only reading one can.
    on_request: bool = False


Relation: TypeAlias = Linked | Named | Held


@dataclass(frozen=True)
class Resource:
    """One type. Links are patterns, filled in with flat fields."""

    #: What the flat interface tells of one; of what is shown once, with that.
    model: type[BaseModel]
    type: str
    #: The last collection of its path, and the field of a flat page that holds the items.
    collection: str
    items: str
    #: The flat field that names it.
    key: str = "id"
    #: The flat field that names what it belongs to.
    owner: str | None = None
    #: Its id is `<owner>:<key>`, because the key alone is not unique.
    is_part: bool = False
    link: str | None = None
    relations: Mapping[str, Relation] = field(default_factory=dict)
    #: Flat name -> attribute, where JSON:API has the flat name for itself.
    renamed: Mapping[str, str] = field(default_factory=dict)
    #: Flat fields that speak of the owner; told in `meta`.
    told: frozenset[str] = frozenset()
    #: What the flat interface can do with a list of them.
    filters: tuple[str, ...] = ()
    #: The first one is that of a list which is asked for without any.
    orders: tuple[str, ...] = ()
    is_paged: bool = True

    @cached_property
    def elsewhere(self) -> frozenset[str]:
        """Flat fields that are no attributes: they stand in the id, in `meta`, or are relationships."""
        related = {relation.field for relation in self.relations.values() if not isinstance(relation, Linked)}
        return frozenset({"id", *filter(None, [self.owner]), *self.told, *related})

    @cached_property
    def fields(self) -> frozenset[str]:
        """All that `fields[...]` may name: attributes and relationships."""
        attributes = set(self.model.model_fields) - self.elsewhere
        return frozenset({self.renamed.get(name, name) for name in attributes} | set(self.relations))

    def completed(self, flat: JsonObject, owner: str | None) -> JsonObject:
        """The flat fields with those that a part of a larger answer leaves out."""
        whole = dict(flat)
        if self.owner is not None and owner is not None:
            whole.setdefault(self.owner, owner)
        if self.type == "edges":
            whole.setdefault("id", edge_id(flat["source"], flat["target"], flat.get("branch")))
        return whole

    def id_of(self, whole: JsonObject) -> str:
        name = str(whole[self.key])
        return f"{whole[self.owner]}:{name}" if self.is_part and self.owner is not None else name


def link_to(pattern: str, whole: JsonObject) -> str:
    """The pattern filled in; values are escaped."""
    return PREFIX + _FIELD.sub(lambda found: quote(str(whole[found[1]]), safe=""), pattern)


PIPELINES = Resource(
    Pipeline,
    "pipelines",
    "pipelines",
    "pipelines",
    link="/pipelines/{id}",
    relations={
        "nodes": Held("nodes", "nodes", "/pipelines/{id}/nodes"),
        "edges": Held("edges", "edges", "/pipelines/{id}/edges"),
        "versions": Linked("pipeline_versions", "/pipelines/{id}/versions"),
        "pipeline_runs": Linked("pipeline_runs", "/pipeline_runs?filter%5Bpipeline_id%5D={id}"),
    },
    filters=("status",),
    orders=("slug", "-slug"),
)
NODES = Resource(
    NodeView,
    "nodes",
    "nodes",
    "nodes",
    key="key",
    owner="pipeline_id",
    is_part=True,
    link="/pipelines/{pipeline_id}/nodes/{key}",
    relations={"pipeline": Named("pipelines", "pipeline_id", "/pipelines/{pipeline_id}")},
    renamed={"type": "node_type"},
    told=frozenset({"revision"}),
    orders=("key", "-key"),
)
EDGES = Resource(
    EdgeView,
    "edges",
    "edges",
    "edges",
    owner="pipeline_id",
    is_part=True,
    link="/pipelines/{pipeline_id}/edges/{id}",
    relations={
        "pipeline": Named("pipelines", "pipeline_id", "/pipelines/{pipeline_id}"),
        "source": Named("nodes", "source", "/pipelines/{pipeline_id}/nodes/{source}", is_key=True),
        "target": Named("nodes", "target", "/pipelines/{pipeline_id}/nodes/{target}", is_key=True),
    },
    told=frozenset({"revision"}),
    orders=("id", "-id"),
)
VERSIONS = Resource(
    PipelineVersion,
    "pipeline_versions",
    "versions",
    "versions",
    owner="pipeline_id",
    link="/pipelines/{pipeline_id}/versions/{number}",
    relations={"pipeline": Named("pipelines", "pipeline_id", "/pipelines/{pipeline_id}")},
    orders=("-number", "number"),
)
RUNS = Resource(
    Run,
    "pipeline_runs",
    "pipeline_runs",
    "runs",
    link="/pipeline_runs/{id}",
    relations={
        "pipeline": Named("pipelines", "pipeline_id", "/pipelines/{pipeline_id}"),
        "retry_of": Named("pipeline_runs", "retry_of", "/pipeline_runs/{retry_of}"),
        "node_results": Held("node_results", "node_results", "/pipeline_runs/{id}/node_results", on_request=True),
    },
    filters=("status", "pipeline", "pipeline_id", "created_after", "created_before"),
    orders=("-created_at", "created_at"),
)
NODE_RESULTS = Resource(
    NodeResultView,
    "node_results",
    "node_results",
    "node_results",
    key="node_key",
    owner="run_id",
    is_part=True,
    link="/pipeline_runs/{run_id}/node_results/{node_key}",
    relations={
        "pipeline_run": Named("pipeline_runs", "run_id", "/pipeline_runs/{run_id}"),
        "attempts": Held("attempts", "attempts", in_lists=True),
    },
    filters=("status",),
)
ATTEMPTS = Resource(
    Attempt,
    "attempts",
    "attempts",
    "attempts",
    key="attempt",
    owner="node_result_id",
    is_part=True,
    relations={"node_result": Named("node_results", "node_result_id")},
)
NODE_TYPES = Resource(
    NodeTypeView, "node_types", "node_types", "node_types", key="node_type", orders=("id",), is_paged=False
)
WEBHOOKS = Resource(
    MadeWebhook,
    "webhooks",
    "webhooks",
    "webhooks",
    link="/webhooks/{id}",
    relations={
        "pipeline": Named("pipelines", "pipeline_id", "/pipelines/{pipeline_id}"),
        "pipeline_run": Named("pipeline_runs", "run_id", "/pipeline_runs/{run_id}"),
        "deliveries": Linked("webhook_deliveries", "/webhooks/{id}/deliveries"),
    },
    filters=("pipeline_id", "run_id"),
    orders=("-created_at", "created_at"),
)
WEBHOOK_DELIVERIES = Resource(
    WebhookDelivery,
    "webhook_deliveries",
    "webhook_deliveries",
    "webhook_deliveries",
    link="/webhook_deliveries/{id}",
    relations={
        "webhook": Named("webhooks", "webhook_id", "/webhooks/{webhook_id}"),
        "pipeline_run": Named("pipeline_runs", "run_id", "/pipeline_runs/{run_id}"),
    },
    filters=("status",),
    orders=("-created_at", "created_at"),
)
API_KEYS = Resource(
    MadeApiKey, "api_keys", "api_keys", "keys", link="/api_keys/{id}", orders=("-created_at", "created_at")
)

ALL = (
    PIPELINES, NODES, EDGES, VERSIONS, RUNS, NODE_RESULTS, ATTEMPTS, NODE_TYPES, WEBHOOKS, WEBHOOK_DELIVERIES, API_KEYS
)  # fmt: skip
BY_TYPE = {resource.type: resource for resource in ALL}
#: Attempts are in no collection of their own.
BY_COLLECTION = {resource.collection: resource for resource in ALL if resource is not ATTEMPTS} | {
    "deliveries": WEBHOOK_DELIVERIES
}
