"""The pipelines that are measured; every node renders a small template."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]


def chain(length: int) -> Document:
    nodes = [_text("n0", "step {{ input.n }}")]
    nodes += [_text(f"n{at}", f"{{{{ nodes.n{at - 1}.text }}}} {at}") for at in range(1, length)]
    edges = [{"source": f"n{at - 1}", "target": f"n{at}"} for at in range(1, length)]
    return _document("bench-chain", nodes, edges)


def fan(width: int) -> Document:
    """1 -> width -> 1."""
    middle = [f"m{at}" for at in range(width)]
    nodes = [_text("first", "start {{ input.n }}")]
    nodes += [_text(key, f"{{{{ nodes.first.text }}}} {key}") for key in middle]
    nodes.append(_text("last", "end {{ input.n }} {{ nodes.m0.text }}"))
    edges = [{"source": "first", "target": key} for key in middle]
    edges += [{"source": key, "target": "last"} for key in middle]
    return _document(f"bench-fan-{width}", nodes, edges)


def diamond() -> Document:
    """a; b, c; d; e."""
    nodes = [
        _text("a", "{{ input.n }}"),
        _text("b", "{{ nodes.a.text }} b"),
        _text("c", "{{ nodes.a.text }} c"),
        _text("d", "{{ nodes.b.text }} {{ nodes.c.text }}"),
        _text("e", "{{ nodes.d.text }} e"),
    ]
    pairs = (("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "e"))
    return _document("bench-diamond", nodes, [{"source": source, "target": target} for source, target in pairs])


def content(url: str, slug: str = "bench-content", provider: str = "bench") -> Document:
    """text -> HTTP GET -> LLM -> text."""
    llm = {"provider": provider, "model": "bench", "prompt": "About {{ nodes.fetch.body.title }}"}
    nodes = [
        _text("topic", "topic {{ input.n }}"),
        {"key": "fetch", "type": "http_request", "config": {"url": url, "query": {"q": "{{ nodes.topic.text }}"}}},
        {"key": "write", "type": "llm", "config": llm},
        _text("show", "Result: {{ nodes.write.text }}"),
    ]
    pairs = (("topic", "fetch"), ("fetch", "write"), ("write", "show"))
    return _document(slug, nodes, [{"source": source, "target": target} for source, target in pairs])


def _text(key: str, content: str) -> Document:
    return {"key": key, "type": "text", "config": {"content": content}}


def _document(slug: str, nodes: list[Document], edges: list[Document]) -> Document:
    return {"name": slug, "slug": slug, "nodes": nodes, "edges": edges}
