"""How a receiver verifies a completion webhook, with the standard library alone.

The libraries of https://www.standardwebhooks.com do the same in other languages.
"""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Mapping

#: Older or newer than this is refused, so that nobody can send again what they overheard.
TOLERANCE_S = 300


def is_genuine(secret: str, headers: Mapping[str, str], body: bytes, now: float | None = None) -> bool:
    """True when who has the secret sent this body, just now. `headers` have names in lower case."""
    delivery, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs((time.time() if now is None else now) - int(timestamp)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, f"{delivery}.{timestamp}.".encode() + body, "sha256"))
    # Several signatures may stand there, with spaces between, while a secret is being replaced.
    given = [part.partition(",") for part in headers.get("webhook-signature", "").split()]
    return any(version == "v1" and hmac.compare_digest(found.encode(), expected) for version, _, found in given)
