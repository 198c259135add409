"""Credentials stand in no result, no log line and no message of the command line."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.e2e.graphs import fetch, pipeline
from tests.ledger import Ledger
from tests.stack import API_KEY, Stack


async def test_credentials_are_in_no_result_and_no_log(api: httpx.AsyncClient, stack: Stack, ledger: Ledger) -> None:
    node = {
        "key": "call",
        "type": "http_request",
        "config": {
            "url": f"http://user:hunter2secret@127.0.0.1:{ledger.port}/status/403/secret?token=querysecret",
            "headers": {"authorization": "Bearer headersecret"},
        },
    }
    await api.post("/pipelines", json=pipeline("with-secrets", [node]))
    await api.post("/pipelines/with-secrets/publish")

    run = (await api.post("/pipelines/with-secrets/execute?wait=20", json={})).json()

    assert run["status"] == "failed"
    found = (await api.get(f"/pipeline_runs/{run['id']}?include=node_results")).text
    logs = "".join(path.read_text(errors="replace") for path in (stack.data_dir / "logs").glob("*.log"))
    for secret in ("hunter2secret", "querysecret", "headersecret", "cookie-of-the-other-side"):
        assert secret not in found
        assert secret not in logs
    passwords = [stack.status()["nats"].split(":")[2].split("@")[0], API_KEY]
    assert all(password not in logs for password in passwords)


async def test_cookies_of_the_other_side_are_not_kept(api: httpx.AsyncClient, ledger: Ledger) -> None:
    nodes = [fetch("call", f"{ledger.url}/echo/all/cookies")]
    await api.post("/pipelines", json=pipeline("cookies", nodes))
    await api.post("/pipelines/cookies/publish")

    for _ in range(2):
        run = (await api.post("/pipelines/cookies/execute?wait=20", json={})).json()
        output = run["output"]["call"]
        assert "set-cookie" not in output["headers"]
        assert "cookie" not in output["body"]["headers"]


def test_files_with_secrets_are_readable_by_their_user_alone(stack: Stack) -> None:
    files = [path for path in Path(stack.data_dir).iterdir() if path.suffix == ".json"]

    assert {path.name for path in files} >= {"state.json", "status.json"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    assert Path(stack.data_dir).stat().st_mode & 0o077 == 0
