"""Every example runs on a fresh stack, offline, and gives what it promises."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

EXAMPLES: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("greeting", {"name": "ada"}, {"greet": "Hello, Ada!"}),
    ("greeting", {"name": "ada", "language": "Deutsch"}, {"greet": "Guten Tag, Ada!"}),
    (
        "http-fetch",
        {"user": 1},
        {"summary": "Ada Lovelace from London wrote: Notes on the engine; On numbers and music"},
    ),
    (
        "content-generation",
        {"topic": "message queues"},
        {
            "article": "# Message queues\n\n[demo model, not a real one] You asked: Write two sentences about message "
            "queues for beginners."
        },
    ),
    (
        "image-description",
        {"image": "data:image/png;base64,iVBORw0KGgo="},
        {
            "caption": "Caption: [demo model, not a real one] You asked: Describe this image in one sentence. "
            "I was shown 1 image."
        },
    ),
    ("review", {"text": "Lovely"}, {"report": "Thank you for 'Lovely'."}),
    (
        "review",
        {"text": "I waited an hour for it"},
        {
            "report": "Summary: [demo model, not a real one] You asked: Sum this up in five words: I waited an hour "
            "for it\nFriendly: [demo model, not a real one] You asked: Is this friendly? Answer yes or no: I waited "
            "an hour for ..."
        },
    ),
]


@pytest.mark.parametrize(("slug", "run_input", "texts"), EXAMPLES)
async def test_example_gives_its_text(
    api: httpx.AsyncClient, slug: str, run_input: dict[str, Any], texts: dict[str, str]
) -> None:
    answer = await api.post(f"/pipelines/{slug}/execute?wait=20", json={"input": run_input})

    run = answer.json()
    assert (answer.status_code, run["status"]) == (200, "completed"), run
    assert {key: output["text"] for key, output in run["output"].items()} == texts


async def test_review_skips_the_branch_not_taken(api: httpx.AsyncClient) -> None:
    run = (await api.post("/pipelines/review/execute?wait=20", json={"input": {"text": "Lovely"}})).json()

    found = (await api.get(f"/pipeline_runs/{run['id']}?include=node_results")).json()

    statuses = {node["node_key"]: node["status"] for node in found["node_results"]}
    assert statuses == {
        "is_long": "completed",
        "thank": "completed",
        "summarise": "skipped",
        "judge": "skipped",
        "report": "completed",
    }


async def test_model_call_says_what_it_used(api: httpx.AsyncClient) -> None:
    run = (await api.post("/pipelines/content-generation/execute?wait=20", json={"input": {"topic": "tea"}})).json()

    found = (await api.get(f"/pipeline_runs/{run['id']}?include=node_results")).json()

    draft = next(node for node in found["node_results"] if node["node_key"] == "draft")
    usage = draft["output"]["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert draft["metadata"]["usage"] == usage
    assert draft["metadata"]["retry_count"] == 0
    assert draft["metadata"]["duration_ms"] > 0
