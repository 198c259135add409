"""Templates without Jinja2's compiler give exactly what Jinja2 gives; and no text brings the reader down."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from shared.templates.config import ConfigProblems, compile_config
from shared.templates.environment import ENVIRONMENT
from shared.templates.plain import read_plain
from shared.templates.render import TemplateRenderError, render_field, text_field, value_field
from shared.templates.scope import Scope
from shared.templates.syntax import SyntaxProblem, inner_expression, parse_template
from tests.unit.templates.rendering import EXPRESSION, TEXT, VALUE, completed, failed, schema_of, scope, skipped

thorough = settings(max_examples=250, deadline=None, database=None)

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=6,
)
names = st.sampled_from([
    "a", "b", "input.a", "input.b.a", "nodes.done.text", "nodes.done", "nodes.skipped.text", "nodes.skipped.a.b",
    "nodes.failed.error.code", "nodes.none.text", "previous", "previous.text", "run.id", "run.started_at", "missing",
    "missing.a", "for", "_a", "a._b", "a.b", "true", "none", "not", "loop", "self", "range", "if.a", "a.if", "items.a",
])  # fmt: skip
pieces = st.one_of(
    names.map("{{{{ {} }}}}".format),
    names.map("{{{{{}}}}}".format),
    names.map("{{{{\t{}  }}}}".format),
    st.sampled_from(
        ["{", "}", "{{", "}}", "#}", "{#", "%}", "{%", "\n", "\r", "\n\n", "ü", " ", "-", "x", "\u2028", "\\"]
    ),
    st.text(max_size=3),
)
sources = st.lists(pieces, min_size=1, max_size=5).map("".join)


def outcome(render: Any, given_scope: Scope) -> tuple[str, Any]:
    """What comes out with its type, or the error's code with its words."""
    try:
        found = render_field("/field", render, given_scope.variables(), given_scope)
    except TemplateRenderError as error:
        return error.code, str(error)
    return type(found).__name__, found


def by_jinja(source: str, is_value: bool) -> Any:
    tree, _ = parse_template(source)
    expression = inner_expression(tree, source)
    return value_field(expression) if expression is not None and is_value else text_field(source)


@thorough
@given(source=sources, a=values, is_value=st.booleans())
@example(source="{{{ a }}}", a=1, is_value=False)
@example(source="{{ a }}}", a=1, is_value=True)
@example(source="{\n{{ a }}", a=None, is_value=True)
def test_what_plain_takes_on_it_renders_as_jinja_does(source: str, a: Any, is_value: bool):
    try:
        plain = read_plain(source)
    except SyntaxProblem as error:
        with pytest.raises(SyntaxProblem, match=re.escape(str(error))):
            parse_template(source)
        return
    if plain is None:
        return
    nodes = {"done": completed(text=a), "skipped": skipped(), "failed": failed()}
    world = scope({"a": a, "b": {"a": a}, "for": 1, "if": {"a": 2}}, nodes, previous="done")
    ours = plain.render_value if is_value and plain.is_value else plain.render_text
    assert outcome(ours, world) == outcome(by_jinja(source, is_value and plain.is_value), world)
    assert plain.findings == parse_template(source)[1]


@thorough
@given(source=sources)
def test_what_plain_takes_on_jinja_accepts(source: str):
    try:
        plain = read_plain(source)
    except SyntaxProblem:
        return
    if plain is not None:
        ENVIRONMENT.parse(source)


@pytest.mark.parametrize(
    ("source", "is_plain"),
    [
        ("Dear {{ name }},", True),
        ("{{ nodes.a.text }}", True),
        ("{{a}}{{b.c}}", True),
        ("no template", True),
        ("{{ name | upper }}", False),
        ("{{ a[0] }}", False),
        ("{{- a }}", False),
        ("{{\na }}", False),
        ("{{ true }}", False),
        ("{{ a.__class__ }}", False),
        ("{{{ a }}}", False),
        ("{# c #}{{ a }}", False),
        ("{% if a %}{{ a }}{% endif %}", False),
    ],
)
def test_plain_takes_on_text_and_dotted_names_alone(source: str, is_plain: bool):
    assert (read_plain(source) is not None) is is_plain


tokens = st.lists(
    st.sampled_from([
        "{{", "}}", "{%", "%}", "{#", "#}", " ", "\n", "a", "b", "input", "nodes", "previous", "run", "loop", "self",
        ".", ",", ":", "|", "~", "+", "-", "/", "(", ")", "[", "]", "{", "}", "'", '"', "=", "==", "<", "1", "1.5",
        "9e9", "if", "else", "elif", "endif", "set", "and", "or", "not", "in", "is", "none", "true", "upper", "join",
        "select", "tojson", "round", "date", "default", "items", "sum", "raw", "endraw", "print", "\\", "_", "\x00",
    ]),
    max_size=14,
).map(" ".join)  # fmt: skip


@thorough
@given(source=tokens | tokens.map("{{{{ {} }}}}".format), field=st.sampled_from([TEXT, VALUE, EXPRESSION]), a=values)
def test_any_text_is_refused_in_words_or_renders_or_says_why_not(source: str, field: dict[str, Any], a: Any):
    try:
        config = compile_config({"field": source}, schema_of(field))
    except ConfigProblems:
        return
    if not config.needs_child:
        with suppress(TemplateRenderError):
            config.render(scope({"a": a, "b": [a, 2]}))
