"""The catalogue of node types: what workers announced, kept in our tables; the bucket only tells it."""

from __future__ import annotations

import psycopg
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from nats.js import JetStreamContext
from nats.js.kv import KeyValue
from pydantic import ValidationError

from services.definition import type_store
from services.definition.built_in import reason_to_refuse
from services.definition.validation import KnownType
from shared.bus.dead_letters import park
from shared.bus.topology import ANNOUNCEMENT_TTL_S, ensure_node_type_durable
from shared.bus.watch import BucketWatch
from shared.contracts import subjects
from shared.contracts.message import JsonObject
from shared.contracts.nodes import NodeTypeAnnounced
from shared.contracts.pipelines import NodeTypeView
from shared.errors import words_of
from shared.logging import get_logger
from shared.postgres import Connection, Pool
from shared.storable import fault_of

log = get_logger(__name__)


class RefusedError(Exception):
    """An announcement that cannot be accepted."""


class NodeTypes:
    """Hears announcements and knows the types."""

    def __init__(self, pool: Pool, jetstream: JetStreamContext) -> None:
        self._pool = pool
        self._jetstream = jetstream
        self._known: dict[str, tuple[int, KnownType]] = {}
        self._refused: set[tuple[str, str, int]] = set()
        #: Type -> the schema that was last found to be one; each worker tells it again every 30 s.
        self._sound: dict[str, JsonObject] = {}

    def watch(self) -> BucketWatch:
        """Hears announcements for as long as it runs."""
        return BucketWatch(self._jetstream, subjects.NODE_TYPES_BUCKET, self._hear, (psycopg.Error,))

    async def _hear(self, entry: KeyValue.Entry) -> None:
        node_type, _, worker = entry.key.partition(".")
        if entry.operation in ("DEL", "PURGE"):
            async with self._pool.connection() as connection:
                await type_store.forget_worker(connection, node_type, worker)
            return
        try:
            announced = NodeTypeAnnounced.model_validate_json(entry.value or b"")
            if (announced.node_type, announced.worker) != (node_type, worker):
                raise RefusedError(f"the key {entry.key} is not its own")
            if fault := fault_of([announced.config_schema, announced.output_schema, announced.examples]):
                raise RefusedError(f"it holds {fault}")
            if announced.config_schema != self._sound.get(node_type):
                Draft202012Validator.check_schema(announced.config_schema)
                self._sound[node_type] = announced.config_schema
        except (ValidationError, RefusedError, SchemaError) as error:
            await park(
                self._jetstream,
                "announcement",
                f"{subjects.NODE_TYPES_BUCKET}/{entry.key}",
                words_of(error),
                entry.value or b"",
            )
            return
        if announced.node_type == subjects.WEBHOOK:
            # Work of the coordinators' own: it needs its durable, and is nothing that a pipeline can use.
            await self._ensure_durable(announced.node_type)
            return
        await self._accept(announced)

    async def _accept(self, announced: NodeTypeAnnounced) -> None:
        try:
            async with self._pool.connection() as connection, connection.transaction():
                await self._save(connection, announced)
        except RefusedError as error:
            known = (announced.node_type, announced.worker, announced.schema_version)
            if known not in self._refused:
                self._refused.add(known)
                log.warning(
                    "an announcement was refused",
                    node_type=announced.node_type,
                    worker=announced.worker,
                    reason=str(error),
                )
            return
        await self._ensure_durable(announced.node_type)

    async def _ensure_durable(self, node_type: str) -> None:
        for difference in await ensure_node_type_durable(self._jetstream, node_type):
            log.info("made what a node type needs", what=str(difference))

    async def _save(self, connection: Connection, announced: NodeTypeAnnounced) -> None:
        """Raises RefusedError when it would change a type that is known without saying so, or takes a name of ours."""
        if reason := reason_to_refuse(announced):
            raise RefusedError(reason)
        known = await type_store.load_type(connection, announced.node_type)
        if known is not None and announced.schema_version < known["schema_version"]:
            raise RefusedError(
                f"schema_version {announced.schema_version} is lower than {known['schema_version']}, "
                "which is known. Deploy the newer worker."
            )
        is_same = known is not None and known["config_schema"] == announced.config_schema
        if known is not None and announced.schema_version == known["schema_version"] and not is_same:
            raise RefusedError(
                f"its config schema differs from the known one of schema_version {known['schema_version']}. "
                "Raise schema_version with every change."
            )
        if known is None or not is_same or known["schema_version"] != announced.schema_version:
            await type_store.save_type(connection, announced)
            log.info("a node type was accepted", node_type=announced.node_type, worker=announced.worker)
        await type_store.save_worker(connection, announced)

    async def known(self, connection: Connection) -> dict[str, KnownType]:
        """All types, online or not; the same object for a type as long as its schema is the same."""
        found = {}
        for row in await type_store.list_types(connection, ANNOUNCEMENT_TTL_S):
            name, version = row["node_type"], row["schema_version"]
            kept = self._known.get(name)
            if kept is None or kept[0] != version:
                known = KnownType(name, row["config_schema"], row["default_timeout_s"], row["branches"])
                kept = self._known[name] = (version, known)
            found[name] = kept[1]
        return found

    async def views(self, connection: Connection) -> list[NodeTypeView]:
        rows = await type_store.list_types(connection, ANNOUNCEMENT_TTL_S)
        return [NodeTypeView.model_validate({**row, "is_online": bool(row["workers"])}) for row in rows]
