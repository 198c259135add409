"""Signs what is delivered in the form of Standard Webhooks (standardwebhooks.com); pure but for the random secret."""

from __future__ import annotations

import base64
import hmac
import os

SECRET_BYTES = 32


def new_secret() -> bytes:
    return os.urandom(SECRET_BYTES)


def shown_secret(secret: bytes) -> str:
    """As the receiver's library takes it."""
    return f"whsec_{base64.b64encode(secret).decode()}"


def sign(secret: bytes, delivery_id: str, timestamp: int, body: str) -> str:
    """The header `webhook-signature`: whoever has the secret knows who sent this body, as what, and when."""
    signed = f"{delivery_id}.{timestamp}.{body}".encode()
    return f"v1,{base64.b64encode(hmac.digest(secret, signed, 'sha256')).decode()}"
