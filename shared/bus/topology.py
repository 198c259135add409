"""Streams, durable consumers and buckets: made, compared and updated in one place; services use what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    KeyValueConfig,
    ObjectStoreConfig,
    PersistMode,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError

from shared.contracts import subjects

#: A worker beats every 3 s; three lost beats mean that it died.
ACK_WAIT_S = 10.0
#: More than all workers together can hold; a cap here would block types that have slots.
MAX_ACK_PENDING = 20_000
#: A publisher's retry within this time is one message.
DUPLICATE_WINDOW_S = 120.0

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Difference:
    """What was made or changed; empty `changes` mean that it was made."""

    kind: str
    name: str
    changes: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = f"changed {', '.join(self.changes)}" if self.changes else "made"
        return f"{self.kind} {self.name}: {what}"


class TopologyError(Exception):
    """Something is there that cannot be changed into what is needed; the message says what to do."""


def _stream(name: str, subject: str, max_bytes: int, *, is_queue: bool = True, max_age_s: float = 0.0) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=[subject],
        retention=RetentionPolicy.WORK_QUEUE if is_queue else RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        # An overflow is an error to the publisher, never a silent loss; old events may leave.
        discard=DiscardPolicy.NEW if is_queue else DiscardPolicy.OLD,
        max_bytes=max_bytes,
        max_age=max_age_s,
        duplicate_window=DUPLICATE_WINDOW_S,
        max_msgs_per_subject=-1,
        allow_direct=True,
    )


def streams(replicas: int = 1) -> list[StreamConfig]:
    """Every stream. The busy ones are written asynchronously on a single server: Postgres covers their loss."""
    requests = _stream(subjects.RUN_REQUESTS, subjects.RUN_REQUEST, 1024 * MEBIBYTE)
    busy = [
        _stream(subjects.NODE_WORK, subjects.ALL_NODE_READY, 4096 * MEBIBYTE),
        _stream(subjects.NODE_RESULTS, subjects.ALL_NODE_RESULTS, 4096 * MEBIBYTE),
        _stream(subjects.RUN_EVENTS, subjects.ALL_RUN_EVENTS, 1024 * MEBIBYTE, is_queue=False, max_age_s=DAY_S),
    ]
    dead = _stream(
        subjects.DEAD_LETTERS, subjects.ALL_DEAD_LETTERS, 256 * MEBIBYTE, is_queue=False, max_age_s=7 * DAY_S
    )
    for config in (requests, dead, *busy):
        config.num_replicas = replicas
    if replicas == 1:
        for config in busy:
            config.persist_mode = PersistMode.ASYNC
    return [requests, *busy, dead]


def coordinator_durables() -> list[tuple[str, ConsumerConfig]]:
    return [
        (subjects.RUN_REQUESTS, _durable(subjects.RUN_REQUESTS_DURABLE, subjects.RUN_REQUEST)),
        (subjects.NODE_RESULTS, _durable(subjects.NODE_RESULTS_DURABLE, subjects.ALL_NODE_RESULTS)),
    ]


def _durable(name: str, filter_subject: str) -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=name,
        filter_subject=filter_subject,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_S,
        # A message that used up a limit would stay in the queue unseen; the worker counts instead.
        max_deliver=-1,
        max_ack_pending=MAX_ACK_PENDING,
        max_waiting=512,
        deliver_policy=DeliverPolicy.ALL,
    )


async def ensure_node_type_durable(jetstream: JetStreamContext, node_type: str) -> list[Difference]:
    """The durable from which the workers of this type take their work."""
    return await _apply_durable(jetstream, subjects.NODE_WORK, _node_type_durable(node_type))


def _node_type_durable(node_type: str) -> ConsumerConfig:
    return _durable(node_type, subjects.node_ready(node_type))


async def ensure_coordinator_durable(jetstream: JetStreamContext, stream: str) -> list[Difference]:
    """The durable from which the coordinators take what is in this stream."""
    configs = dict(coordinator_durables())
    return await _apply_durable(jetstream, stream, configs[stream])


async def apply_topology(jetstream: JetStreamContext, replicas: int = 1) -> list[Difference]:
    """Make what is missing and change what differs; returns both. Safe to run twice, and while all runs."""
    differences: list[Difference] = []
    for config in streams(replicas):
        differences += await _apply_stream(jetstream, config)
    for stream, durable in coordinator_durables():
        differences += await _apply_durable(jetstream, stream, durable)
    return differences + await _apply_buckets(jetstream, replicas)


async def compare_topology(jetstream: JetStreamContext, replicas: int = 1) -> list[str]:
    """What is missing or differs, in words; changes nothing."""
    findings: list[str] = []
    for config in streams(replicas):
        try:
            found = (await jetstream.stream_info(str(config.name))).config
        except NotFoundError:
            findings.append(f"stream {config.name} is missing")
        else:
            findings += [f"stream {config.name} differs in {field}" for field in _differing(config, found)]
    for stream, durable in coordinator_durables():
        findings += await _compare_durable(jetstream, stream, durable)
    missing = await _missing_buckets(jetstream)
    findings += [f"bucket {bucket} is missing" for bucket in missing]
    for bucket, stream in _KEY_VALUES.items():
        if bucket not in missing:
            loose = _loose_fields((await jetstream.stream_info(stream)).config)
            findings += [f"bucket {bucket} differs in {field}" for field in loose]
    return findings


async def compare_node_type_durable(jetstream: JetStreamContext, node_type: str) -> list[str]:
    """As `compare_topology`, of what the workers of this type take their work from."""
    return await _compare_durable(jetstream, subjects.NODE_WORK, _node_type_durable(node_type))


async def _compare_durable(jetstream: JetStreamContext, stream: str, config: ConsumerConfig) -> list[str]:
    name = f"consumer {stream}/{config.durable_name}"
    try:
        found = (await jetstream.consumer_info(stream, str(config.durable_name))).config
    except NotFoundError:
        return [f"{name} is missing"]
    return [f"{name} differs in {field}" for field in _differing(config, found, _DURABLE_FIELDS)]


_STREAM_FIELDS = (
    "subjects", "retention", "storage", "discard", "max_bytes", "max_age", "num_replicas", "duplicate_window",
    "persist_mode",
)  # fmt: skip
_DURABLE_FIELDS = ("filter_subject", "ack_wait", "max_deliver", "max_ack_pending", "max_waiting")
#: What a server cannot change on a stream that is there.
_FIXED_FIELDS = frozenset({"retention", "storage", "persist_mode"})


def _differing(wanted: Any, found: Any, fields: Sequence[str] = _STREAM_FIELDS) -> list[str]:
    return [field for field in fields if getattr(wanted, field) != getattr(found, field)]


async def _apply_stream(jetstream: JetStreamContext, config: StreamConfig) -> list[Difference]:
    try:
        found = (await jetstream.stream_info(str(config.name))).config
    except NotFoundError:
        await jetstream.add_stream(config)
        return [Difference("stream", str(config.name))]
    changes = _differing(config, found)
    if fixed := _FIXED_FIELDS.intersection(changes):
        raise TopologyError(
            f"stream {config.name} differs in {', '.join(sorted(fixed))}, which a server cannot change. "
            "Delete the stream when no run is going on, then run 'pipewright topology' again; "
            "no run is lost, since Postgres holds them."
        )
    if changes:
        await jetstream.update_stream(config)
    return [Difference("stream", str(config.name), tuple(changes))] if changes else []


async def _apply_durable(jetstream: JetStreamContext, stream: str, config: ConsumerConfig) -> list[Difference]:
    name = f"{stream}/{config.durable_name}"
    try:
        found = (await jetstream.consumer_info(stream, str(config.durable_name))).config
    except NotFoundError:
        await jetstream.add_consumer(stream, config)
        return [Difference("consumer", name)]
    changes = _differing(config, found, _DURABLE_FIELDS)
    if changes:
        await jetstream.add_consumer(stream, config)
    return [Difference("consumer", name, tuple(changes))] if changes else []


#: An announcement not repeated for so long is over.
ANNOUNCEMENT_TTL_S = 90.0


async def _apply_buckets(jetstream: JetStreamContext, replicas: int) -> list[Difference]:
    missing = await _missing_buckets(jetstream)
    if subjects.NODE_TYPES_BUCKET in missing:
        await jetstream.create_key_value(
            KeyValueConfig(subjects.NODE_TYPES_BUCKET, ttl=ANNOUNCEMENT_TTL_S, replicas=replicas)
        )
    if subjects.ENDED_RUNS_BUCKET in missing:
        await jetstream.create_key_value(
            KeyValueConfig(subjects.ENDED_RUNS_BUCKET, ttl=DAY_S, replicas=replicas, direct=True)
        )
    if subjects.TRANSFERS_BUCKET in missing:
        await jetstream.create_object_store(
            subjects.TRANSFERS_BUCKET,
            ObjectStoreConfig(bucket=subjects.TRANSFERS_BUCKET, ttl=HOUR_S, replicas=replicas),
        )
    differences = [Difference("bucket", bucket) for bucket in missing]
    for bucket, stream in _KEY_VALUES.items():
        config = (await jetstream.stream_info(stream)).config
        changes = _loose_fields(config)
        if changes:
            config.allow_direct, config.allow_rollup_hdrs = True, False
            await jetstream.update_stream(config)
            differences += [] if bucket in missing else [Difference("bucket", bucket, tuple(changes))]
    return differences


_KEY_VALUES = {
    subjects.NODE_TYPES_BUCKET: subjects.NODE_TYPES_STREAM,
    subjects.ENDED_RUNS_BUCKET: subjects.ENDED_RUNS_STREAM,
}
_BUCKETS = _KEY_VALUES | {subjects.TRANSFERS_BUCKET: subjects.TRANSFERS_STREAM}


def _loose_fields(config: StreamConfig) -> list[str]:
    """Workers read without making a consumer; and by a roll-up, whoever may write one key could remove all."""
    wanted = {"allow_direct": True, "allow_rollup_hdrs": False}
    return [field for field, value in wanted.items() if bool(getattr(config, field)) is not value]


async def _missing_buckets(jetstream: JetStreamContext) -> list[str]:
    missing = []
    for bucket, stream in _BUCKETS.items():
        try:
            await jetstream.stream_info(stream)
        except NotFoundError:
            missing.append(bucket)
    return missing
