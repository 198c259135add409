"""The page at /docs is whole with nobody but the gateway."""

from __future__ import annotations

import re

import httpx

from services.gateway.app import make_app
from services.gateway.settings import GatewaySettings


async def test_all_that_the_page_loads_comes_from_the_gateway():
    app = make_app(GatewaySettings())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        page = await client.get("/docs")
        named = re.findall(r"""(?:src|href)="([^"]+)"|url: '([^']+)'""", page.text)
        loaded = {path: await client.get(path) for pair in named for path in pair if path}

    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "://" not in page.text
    assert {answer.status_code for answer in loaded.values()} == {200}
    kinds = {answer.headers["content-type"].split(";")[0] for answer in loaded.values()}
    assert kinds == {"text/javascript", "text/css", "image/png", "application/json"}
