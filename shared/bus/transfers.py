"""Bodies over 512 KiB travel through the object store `transfers`; the message holds where they lie."""

from __future__ import annotations

import asyncio
import hashlib
from uuid import uuid4

import nats.js.errors
from nats.js import JetStreamContext
from nats.js.object_store import ObjectStore

from shared.contracts import subjects
from shared.contracts.message import TransferRef

#: The most that travels inside a message; a server's own limit is 1 MiB by default.
MESSAGE_LIMIT = 512 * 1024
#: The most that is carried at all.
TRANSFER_LIMIT = 64 * 1024 * 1024
#: A body that has not come whole by then is not coming.
GET_LIMIT_S = 30.0


class TransferError(Exception):
    """A body that was announced is not there, or is not what was announced."""


class Transfers:
    """Puts and gets large bodies. The bucket is a vehicle, never the truth: it forgets after an hour."""

    def __init__(self, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream
        self._store: ObjectStore | None = None

    async def put(self, body: bytes) -> TransferRef:
        store = await self._open()
        name = uuid4().hex
        await store.put(name, body)
        return TransferRef(object=name, sha256=hashlib.sha256(body).hexdigest(), size=len(body))

    async def get(self, reference: TransferRef) -> bytes:
        """The body; raises TransferError when it is gone or differs from what was announced."""
        if reference.size > TRANSFER_LIMIT:
            raise TransferError(f"a body of {reference.size} bytes is over the limit of {TRANSFER_LIMIT}")
        store = await self._open()
        try:
            # nats-py waits for ever for a part that the server has lost.
            async with asyncio.timeout(GET_LIMIT_S):
                found = await store.get(reference.object)
        except (nats.js.errors.Error, TimeoutError) as error:
            raise TransferError(f"the body {reference.object} is not in the bucket 'transfers' any more") from error
        body = found.data or b""
        if hashlib.sha256(body).hexdigest() != reference.sha256:
            raise TransferError(f"the body {reference.object} is not the one that was announced")
        return body

    async def _open(self) -> ObjectStore:
        if self._store is None:
            self._store = await self._jetstream.object_store(subjects.TRANSFERS_BUCKET)
        return self._store
