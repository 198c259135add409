"""Templates that cannot be accepted, or do not render: the words say what is wrong and what to write."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contracts.problems import FieldProblem
from shared.templates.config import ConfigProblems, compile_config
from shared.templates.render import TemplateRenderError
from tests.unit.templates.rendering import (
    EXPRESSION,
    TEXT,
    VALUE,
    completed,
    failure,
    refusal,
    rendered,
    scope,
    skipped,
)

GIVEN = scope({"name": "Ada"}, nodes={"draft": completed(text="x", usage={}), "other": skipped()}, previous="draft")


@pytest.mark.parametrize(
    ("source", "unknown"),
    [
        ("{{ nam }}", "'nam' is undefined"),
        ("{{ input.nam }}", "no attribute 'nam'"),
        ("{{ nodes.draft.txt }}", "no attribute 'txt'"),
        ("{{ previous.txt }}", "no attribute 'txt'"),
        ("{{ nam | upper }}", "'nam' is undefined"),
        ("{{ [nam] }}", "'nam' is undefined"),
        ("Dear {{ nam }}", "'nam' is undefined"),
        ("{% if nam %}x{% endif %}", "'nam' is undefined"),
        ("{{ name.first }}", "no attribute 'first'"),
    ],
)
@pytest.mark.parametrize("field", [TEXT, VALUE])
def test_an_undefined_name_is_an_error_that_names_what_is_known(source: str, field: dict[str, Any], unknown: str):
    words = failure(source, GIVEN, field)
    assert words.startswith("/field: ")
    assert unknown in words
    assert words.endswith(
        "Known here: input.name, nodes.draft.text, nodes.draft.usage, nodes.other.status, previous, run.id."
    )


def test_an_undefined_name_in_an_expression_is_an_error_and_not_none():
    assert "'nam' is undefined" in failure("nam", GIVEN, EXPRESSION)


def test_what_may_be_missing_can_be_given_a_default():
    assert rendered("{{ nam | default('nobody') }}", GIVEN) == "nobody"


def test_only_some_of_many_known_names_are_listed():
    words = failure("{{ missing }}", scope({f"key{number}": 1 for number in range(100)}))
    assert words.count("input.key") == 20


@pytest.mark.parametrize(
    ("source", "liquid", "instead"),
    [
        ("{{ x | truncatewords: 5 }}", "form '| truncatewords: 5'", "'| truncatewords(5)'"),
        ("{{ x | default: 'nobody' }}", "form '| default: 'nobody''", "'| default('nobody')'"),
        ("{{ x | replace: 'a', 'b' }}", "form '| replace: 'a', 'b''", "'| replace('a', 'b')'"),
        ("{{ x | upcase | append: y }}", "form '| append: y'", "'| append(y)'"),
        ("{% if x | size: 3 %}{% endif %}", "form '| size: 3'", "'| size(3)'"),
        ("{% assign x = 1 %}", "the tag 'assign'", "{% set name = value %}"),
        ("{% unless x %}{% endunless %}", "the tag 'unless'", "{% if not ... %}"),
        ("{% case x %}{% when 1 %}{% endcase %}", "the tag 'case'", "{% if %} and {% elif %}"),
        ("{% capture x %}{% endcapture %}", "the tag 'capture'", "{% set name %}...{% endset %}"),
    ],
)
def test_the_syntax_of_liquid_is_answered_with_that_of_jinja(source: str, liquid: str, instead: str):
    words = refusal(source)
    assert liquid in words
    assert words.endswith(f"write {instead}")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ x", "line 1: unexpected end of template"),
        ("a\nb\n{{ x + }}", "line 3: unexpected 'end of print statement'"),
        ("{% if x %}", "line 1: Unexpected end of template"),
        ("{{ x | upcas }}", "there is no filter 'upcas'. Did you mean 'upcase'?"),
        ("{{ x | qqqqqqq }}", "there is no filter 'qqqqqqq'."),
        ("{{ x is defned }}", "there is no test 'defned'. Did you mean 'defined'?"),
        ("{{ x.y() }}", "only range() and the methods of loop can be called; use a filter instead"),
        ("{{ input['x']() }}", "only range() and the methods of loop can be called; use a filter instead"),
        ("{{ env.HOME }}", "the environment cannot be reached from templates"),
        ("{{ env }}!", "the environment cannot be reached from templates"),
        ("{{ nodes }}", "name the node: nodes.KEY.FIELD, with a constant key"),
        ("{{ nodes[x].text }}", "name the node: nodes.KEY.FIELD, with a constant key"),
        ("{% for n in nodes %}{% endfor %}", "name the node: nodes.KEY.FIELD, with a constant key"),
        ("{{ run.input }}", "run.input does not exist; known are run.id and run.started_at"),
        ("{{ (run.input) }}", "run.input does not exist; known are run.id and run.started_at"),
        ("{{ x.__class__ }}", "'__class__': names that begin with '_' cannot be reached"),
        ("{% macro m() %}{% endmacro %}", "macros are not allowed"),
        ("{% include 'x' %}", "includes are not allowed"),
        ("{% import 'x' as x %}", "imports are not allowed"),
        ("{% from 'x' import y %}", "imports are not allowed"),
        ("{% extends 'x' %}", "extends is not allowed"),
        ("{% block b %}{% endblock %}", "blocks are not allowed"),
        ("{{ self }}", "blocks are not allowed, so there is no 'self'"),
        ("{{ " + "9" * 5000 + " }}", "the template holds a number with too many digits"),
        ("{{ 1e999 }}", "the template holds a number that is too large"),
        ("{{ '\\ud800' }}", "the template holds half of a character (a surrogate); write the whole one"),
        ("{{ " + "(" * 500 + "x" + ")" * 500 + " }}", "the template is nested too deeply; make it flatter"),
        ("{{ x }}{% if x %}" + "x" * 70_000 + "{% endif %}", "the template has 70028 characters; at most 65536"),
    ],
    ids=lambda text: text[:40],
)
def test_what_cannot_be_accepted_is_said_in_words(source: str, words: str):
    assert refusal(source).startswith(words)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ input.score }} > 3", "this field is an expression already: write it without braces"),
        ("{% if x %}", "this field is an expression already: write it without braces"),
        ("", "the expression is empty; write for example: input.score > 3"),
        ("  \n", "the expression is empty; write for example: input.score > 3"),
        ("x }} y", "line 1: unexpected '}', expected ')'"),
        ("x +", "line 2: unexpected ')'"),
        ("x)", "line 2: unexpected ')'"),
    ],
)
def test_what_is_no_expression_is_said_in_words(source: str, words: str):
    assert refusal(source, EXPRESSION) == words


def test_all_findings_of_a_config_are_told_with_their_places():
    with pytest.raises(ConfigProblems) as refused:
        compile_config({"a": "{{ x", "b": [{"c/d~e": "{{ env }}"}], "f": "{{ fine }}"}, {})
    assert refused.value.findings == [
        FieldProblem(pointer="/a", detail="line 1: unexpected end of template, expected 'end of print statement'"),
        FieldProblem(pointer="/b/0/c~1d~0e", detail="the environment cannot be reached from templates"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "{{ 1 / 0 }}",
        "{{ 'a' - 1 }}",
        "{{ [] | first | upper }}",
        "{{ 'x' | plus(1) }}",
        "{{ 'x' | date }}",
        "{{ 1e17 | date }}",
        "{{ -1e18 | date }}",
        "{{ 'x' | base64_decode }}",
        "{{ '!' | jmespath('[') }}",
        "{{ {} | jmespath('abs(@)') }}",
        "{{ 'x' | truncate('y') }}",
        "{{ 0x" + "f" * 6000 + " }}",
    ],
    ids=lambda text: text[:40],
)
def test_whatever_goes_wrong_while_rendering_is_a_template_error_with_its_place(source: str):
    with pytest.raises(TemplateRenderError, match=r"^/field: ") as failed:
        rendered(source)
    assert failed.value.code == "template_error"
