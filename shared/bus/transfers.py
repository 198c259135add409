"""Bodies over 512 KiB travel through the object store `transfers`; the message holds where they lie."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from uuid import uuid4

import nats.errors
import nats.js.errors
import orjson
from nats.js import JetStreamContext
from nats.js.api import ObjectInfo, ObjectMetaOptions

from shared.contracts import subjects
from shared.contracts.message import TransferRef

#: The most that travels inside a message; a server's own limit is 1 MiB by default.
MESSAGE_LIMIT = 512 * 1024
#: The most that is carried at all.
TRANSFER_LIMIT = 64 * 1024 * 1024
#: The most that the name of a body may have: it becomes part of a subject, and a server ends whoever sends a long one.
NAME_LIMIT = 200
#: A body that has not come whole by then is not coming.
GET_LIMIT_S = 30.0
#: Bytes of a message of the bucket.
PART = 512 * 1024
#: How often a body that is not there is asked for, and the time between.
TRIES = 3
BEHIND_S = 0.1


class TransferError(Exception):
    """A body that was announced is not there, or is not what was announced."""


class Transfers:
    """Puts and gets large bodies. The bucket is a vehicle, never the truth: it forgets after an hour.

    What it writes any object store client can read. It reads by request and reply alone: nats-py's own `get` makes
    a consumer, which an executor has no right to, and waits for ever for a part that the server has lost.
    """

    def __init__(self, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream

    async def put(self, body: bytes) -> TransferRef:
        name, digest = uuid4().hex, hashlib.sha256(body)
        parts = [body[start : start + PART] for start in range(0, len(body), PART)]
        for part in parts:
            await self._jetstream.publish(subjects.transfer_parts(name), part)
        info = ObjectInfo(
            name=name,
            bucket=subjects.TRANSFERS_BUCKET,
            nuid=name,
            size=len(body),
            chunks=len(parts),
            digest=f"SHA-256={base64.urlsafe_b64encode(digest.digest()).decode()}",
            mtime=datetime.now(UTC).isoformat(),
            options=ObjectMetaOptions(max_chunk_size=PART),
        )
        await self._jetstream.publish(subjects.transfer_info(_encoded(name)), orjson.dumps(info.as_dict()))
        return TransferRef(object=name, sha256=digest.hexdigest(), size=len(body))

    async def get(self, reference: TransferRef) -> bytes:
        """The body; raises TransferError when it is gone or differs from what was announced."""
        if reference.size > TRANSFER_LIMIT:
            raise TransferError(f"a body of {reference.size} bytes is over the limit of {TRANSFER_LIMIT}")
        if len(reference.object) > NAME_LIMIT:
            raise TransferError(f"a name of {len(reference.object)} characters is over the limit of {NAME_LIMIT}")
        try:
            async with asyncio.timeout(GET_LIMIT_S):
                body = await self._read(reference.object)
        except (nats.js.errors.Error, nats.errors.Error, TimeoutError, ValueError, TypeError, KeyError) as error:
            raise TransferError(f"the body {reference.object} is not in the bucket 'transfers' any more") from error
        if hashlib.sha256(body).hexdigest() != reference.sha256:
            raise TransferError(f"the body {reference.object} is not the one that was announced")
        return body

    async def _read(self, name: str) -> bytes:
        """Tried a few times: a replica that answers may be a moment behind the one that was written to."""
        for _ in range(TRIES - 1):
            with suppress(nats.js.errors.NotFoundError):
                return await self._read_once(name)
            await asyncio.sleep(BEHIND_S)
        return await self._read_once(name)

    async def _read_once(self, name: str) -> bytes:
        stream = subjects.TRANSFERS_STREAM
        about = await self._jetstream.get_last_msg(stream, subjects.transfer_info(_encoded(name)), direct=True)
        info = orjson.loads(about.data or b"")
        parts: list[bytes] = []
        sequence, subject = 1, subjects.transfer_parts(info["nuid"])
        for _ in range(min(int(info["chunks"]), TRANSFER_LIMIT // 1024)):
            part = await self._jetstream.get_msg(stream, seq=sequence, subject=subject, next=True, direct=True)
            parts.append(part.data or b"")
            sequence = int(part.seq or 0) + 1
        return b"".join(parts)


def _encoded(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()
