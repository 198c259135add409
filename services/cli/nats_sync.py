"""Asks the monitoring port of NATS what no client is told: whether JetStream syncs every write to disk."""

from __future__ import annotations

import httpx

from shared.errors import words_of

ADVICE = "Set 'sync_interval: always' in the block 'jetstream' of its configuration, as deploy/nats/nats.conf does."


async def problem_of_sync(monitoring_url: str) -> str | None:
    """What is wrong with the server at this address, and what to do; None when it syncs every write."""
    try:
        async with httpx.AsyncClient(timeout=5) as http:
            answer = await http.get(f"{monitoring_url.rstrip('/')}/varz")
            found = answer.raise_for_status().json()
        config = found.get("jetstream", {}).get("config", {})
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError) as error:
        words = words_of(error)
        return f"the monitoring port of NATS did not tell whether writes are synced ({words}). Correct its address."
    if config.get("sync_always") is True:
        return None
    return f"JetStream acknowledges writes before they are on disk. {ADVICE}"
