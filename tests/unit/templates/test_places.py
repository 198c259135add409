"""Where a template renders: in this process only what costs no more than it reads and writes."""

from __future__ import annotations

from typing import Any

import pytest

from shared.templates.filters import CHILD_FILTERS, TEXT_LIMIT
from shared.templates.queries import is_linear
from shared.templates.render import TemplateRenderError
from tests.unit.templates.rendering import EXPRESSION, TEXT, VALUE, compiled, rendered, scope

IN_PROCESS = [
    "plain text",
    "Dear {{ name }},",
    "{{ nodes.a.text }}",
    "{{ nodes.a['text'][0] }}",
    "{{ a.b.c.d }}",
    "{{ a[1:3] }}",
    "{{ a[b] }}",
    "{{ a > 1 and not b or c in [1, 2] }}",
    "{{ a if b else c }}",
    "{% if a %}x{% elif b %}y{% else %}z{% endif %}",
    "{{ a | upper | default('x') | truncate(5) }}",
    "{{ a is none }}",
    "{{ a + 1 }} {{ a - 1 }} {{ a / 2 }} {{ -a }}",
    "{{ a ~ b ~ c }}",
    "{{ {'a': a, 'b': [b, (c,)]} | tojson }}",
    "{{ a | join(', ') }}",
    "{{ rows | jmespath('[?ok].{name: name, id: id}') }}",
    "{{ rows | jmespath('sort_by(@, &name)[0].name') }}",
    "{{ rows | sum(attribute='n') }}",
    "{{ a in ['" + "', '".join("abcdefghijklmnopqrstuvwxyz") + "'] }}",
    "{% raw %}{% for x in y %}{% endraw %}",
    "{# {% for %} #}",
]
IN_THE_CHILD = [
    "{% for x in a %}{{ x }}{% endfor %}",
    "{% set x = a %}{{ x }}",
    "{% set x %}y{% endset %}{{ x }}",
    "{% with x = a %}{{ x }}{% endwith %}",
    "{% filter upper %}x{% endfilter %}",
    "{% autoescape true %}{{ x }}{% endautoescape %}",
    "{{ a * 2 }}",
    "{{ a ** 2 }}",
    "{{ a % 2 }}",
    "{{ a // 2 }}",
    "{{ range(3) }}",
    "{{ a | tojson(2) }}",
    "{{ a | tojson(indent=2) }}",
    "{{ a | jmespath(b) }}",
    "{{ a | jmespath('[@, @] | [@, @] | [@, @] | [@, @] | [@, @]') }}",
    "{{ a | jmespath('to_string(to_string(@))') }}",
    "{{ a" + " ~ a" * 16 + " }}",
    "{{ a" + " + a" * 9 + " }}",
    "{{ [" + "a, " * 17 + "] }}",
    "{{ {" + "".join(f"'k{number}': a, " for number in range(17)) + "} }}",
    "{{ a" + " | strip" * 201 + " }}",
    "{{ a" + " | sort" * 11 + " }}",
    "{{ (a" + ".b" * 30 + ") }}",
    "{{ (a" + ".b" * 10_000 + ") }}",
    "{{ a" + "[0]" * 8_000 + " }}",
    "{{ (a | first)" + ".b" * 10_000 + " }}",
    "{{ a" + " and a" * 30 + " }}",
    "{{ " + "not " * 30 + "a }}",
    "{% if a == b %}{% endif %}" * 201,
    *(f"{{{{ a | {name} }}}}" for name in CHILD_FILTERS),
]


@pytest.mark.parametrize("source", IN_PROCESS, ids=lambda source: source[:50])
def test_what_is_linear_renders_in_process(source: str):
    assert not compiled(source).needs_child


@pytest.mark.parametrize("source", IN_THE_CHILD, ids=lambda source: source[:50])
def test_all_else_renders_in_the_child(source: str):
    assert compiled(source).needs_child


@pytest.mark.parametrize(("expression", "needs_child"), [("a > 3", False), ("a * 3 > 9", True), ("range(3)", True)])
def test_an_expression_field_is_judged_in_the_same_way(expression: str, needs_child: bool):
    assert compiled(expression, EXPRESSION).needs_child is needs_child


def test_one_costly_field_takes_the_whole_config_to_the_child():
    assert compiled(["{{ a }}", {"b": "{{ a * 2 }}"}], VALUE).needs_child


@pytest.mark.parametrize(
    ("query", "linear"),
    [
        ("a.b[0].c", True),
        ("a[*].b[].c[?d > `1`] | [1:3]", True),
        ("length(a) > `3` && contains(b, 'x') || !c", True),
        ("[].{a: a, b: b, c: c, d: d}", True),
        ("[@, @, @] | [@, @, @]", True),
        ("[@, @, @] | [@, @, @, @, @, @]", False),
        ("{a: {b: [a, b, c], c: [a, b, c]}, d: @}", False),
        ("join(@, [@])", False),
        ("map(&[@, @], @)", False),
        ("merge(@, @)", False),
        ("not a query [", True),
        ("a" * 3000, True),
    ],
)
def test_a_query_is_linear_when_it_copies_little(query: str, linear: bool):
    assert is_linear(query) is linear


@pytest.mark.parametrize(
    "source",
    ["{{ x }}", "{{ x }}!", "{{ (x) }}", "{{ x | upper }}", "{{ x }}{{ x | lower }}", "{% if x %}{{ x }}{% endif %}"],
)
def test_rendered_text_has_a_limit(source: str):
    with pytest.raises(TemplateRenderError) as refused:
        rendered(source, scope({"x": "x" * (TEXT_LIMIT + 1)}))
    assert refused.value.code == "output_too_large"
    assert str(refused.value).startswith("/field: the rendered text has more than 1048576 characters")


@pytest.mark.parametrize("source", ["{{ x }}", "{{ (x) }}", "{{ x }}{{ '' }}"])
def test_rendered_text_may_be_as_long_as_the_limit(source: str):
    assert len(rendered(source, scope({"x": "x" * TEXT_LIMIT}))) == TEXT_LIMIT


@pytest.mark.parametrize("source", ["{{ x }}" * 3000, "{{ x | string }}" * 150])
def test_a_value_that_is_written_again_and_again_ends_at_the_limit(source: str):
    with pytest.raises(TemplateRenderError, match="more than 1048576 characters"):
        rendered(source, scope({"x": list(range(10_000))}), TEXT)


def test_a_value_that_is_not_text_may_be_longer():
    rows: list[Any] = ["x" * 1000] * 2000
    assert rendered("{{ x }}", scope({"x": rows}), VALUE) == rows
    assert rendered("{{ x | select }}", scope({"x": rows}), VALUE) == rows
