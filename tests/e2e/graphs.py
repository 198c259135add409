"""Pipelines that the end-to-end tests run."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]


def text(key: str, content: str, **more: Any) -> Document:
    return {"key": key, "type": "text", "config": {"content": content}, **more}


def fetch(key: str, url: str, **more: Any) -> Document:
    return {"key": key, "type": "http_request", "config": {"url": url}, **more}


def edge(source: str, target: str, branch: str | None = None) -> Document:
    return {"source": source, "target": target} | ({"branch": branch} if branch else {})


def pipeline(slug: str, nodes: list[Document], edges: list[Document] | None = None, **more: Any) -> Document:
    return {"name": slug, "slug": slug, "nodes": nodes, "edges": edges or [], **more}


def fan(slug: str, width: int) -> Document:
    """first -> m0 ... -> last."""
    middle = [f"m{number}" for number in range(width)]
    nodes = [text("first", "start"), *(text(key, f"{{{{ nodes.first.text }}}} {key}") for key in middle)]
    nodes.append(text("last", "{{ nodes.m0.text }}, and so on"))
    edges = [edge("first", key) for key in middle] + [edge(key, "last") for key in middle]
    return pipeline(slug, nodes, edges)


def journey(slug: str, ledger_url: str) -> Document:
    """text -> HTTP -> two texts -> a text that joins them; each HTTP request is in the ledger by the run's number."""
    url = f"{ledger_url}/nap/0.02/{slug}-{{{{ input.number }}}}"
    nodes = [
        text("first", "number {{ input.number }}"),
        fetch("call", url, retry={"max_attempts": 5, "initial_delay_s": 0.1, "max_delay_s": 1}),
        text("left", "left {{ nodes.call.body.name }}"),
        text("right", "right {{ nodes.first.text }}"),
        text("join", "{{ nodes.left.text }} {{ nodes.right.text }}"),
    ]
    pairs = (("first", "call"), ("call", "left"), ("call", "right"), ("left", "join"), ("right", "join"))
    return pipeline(slug, nodes, [edge(source, target) for source, target in pairs])
