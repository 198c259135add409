"""Parks what nobody can read: once, with the reason, for a week."""

from __future__ import annotations

import nats.errors
from nats.js import JetStreamContext

from shared.contracts import subjects
from shared.contracts.runs import Parked
from shared.errors import words_of
from shared.logging import get_logger
from shared.metrics import DEAD_LETTERS

log = get_logger(__name__)

BODY_LIMIT = 64 * 1024


async def park(jetstream: JetStreamContext, kind: str, subject: str, reason: str, body: bytes) -> None:
    """Keep this message in DEAD_LETTERS and say so in the log; a failure to keep it is only logged."""
    parked = Parked(subject=subject, reason=reason[:2000], body=body[:BODY_LIMIT].decode(errors="replace"), kind=kind)
    DEAD_LETTERS.labels(kind).inc()
    log.warning("a message could not be read and was parked", subject=subject, reason=reason[:300])
    try:
        await jetstream.publish(subjects.dead_letter(kind), parked.model_dump_json().encode(), timeout=5)
    except (nats.errors.Error, TimeoutError) as error:
        log.warning("the dead letter could not be kept", error=words_of(error))
