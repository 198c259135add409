"""Filters: Liquid's names, values as text, and no growth beyond the limit."""

from __future__ import annotations

from typing import Any

import pytest

from shared.templates.filters import CHILD_FILTERS, FILTERS, TEXT_LIMIT
from shared.templates.render import TemplateRenderError
from tests.unit.templates.rendering import VALUE, failure, rendered, scope

ROWS = [{"name": "b", "n": 2, "ok": True}, {"name": "a", "n": 1, "ok": False}, {"name": "c", "n": 2, "ok": True}]
GIVEN = scope({"x": " Ada ", "n": -7, "rows": ROWS, "list": [3, None, 1, 3], "html": "<b>a</b> & <i\n>'c'"})

#: Each filter of ours once at least; what Jinja2 brings is tested there.
TABLE: list[tuple[str, Any]] = [
    ("'ada' | append(' l')", "ada l"),
    ("'ada' | prepend('l ')", "l ada"),
    ("1 | append(true)", "1true"),
    ("n | at_least(3)", 3),
    ("'9' | at_most(3)", 3),
    ("'ü' | base64_encode", "w7w="),
    ("'w7w=' | base64_decode", "ü"),
    ("'ada LOVELACE' | capitalize", "Ada lovelace"),
    ("1.2 | ceil", 2),
    ("n | ceil", -7),
    ("'-1.2' | floor", -2),
    ("list | compact", [3, 1, 3]),
    ("'2025-03-01T12:30:00+00:00' | date", "2025-03-01"),
    ("run.started_at | date('%d.%m.%Y %H:%M %%')", "01.03.2025 12:30 %"),
    ("0 | date('%-d %B %Y')", "1 January 1970"),
    ("7 | divided_by(2)", 3),
    ("7 | divided_by(2.0)", 3.5),
    ("'7' | modulo(4)", 3),
    ("7 | minus(2)", 5),
    ("'1.5' | plus(2)", 3.5),
    ("3 | times('4')", 12),
    ("x | downcase", " ada "),
    ("x | upcase", " ADA "),
    ("x | strip", "Ada"),
    ("x | lstrip", "Ada "),
    ("x | rstrip", " Ada"),
    ("html | escape", "&lt;b&gt;a&lt;/b&gt; &amp; &lt;i\n&gt;&#x27;c&#x27;"),
    ("html | strip_html", "a & 'c'"),
    ("'a < b' | strip_html", "a < b"),
    ("'<<a>>b<c' | strip_html", ">b<c"),
    ("'a\\nb' | newline_to_br", "a<br />\nb"),
    ("'a\\nb' | strip_newlines", "ab"),
    ("rows | jmespath('[?ok].name')", ["b", "c"]),
    ("rows | map(attribute='name') | join(', ')", "b, a, c"),
    ("[1, true, none, [2]] | join('|')", "1|true||[2]"),
    ("rows | where('ok')", [ROWS[0], ROWS[2]]),
    ("rows | where('n', 1)", [ROWS[1]]),
    ("'banana' | remove('an')", "ba"),
    ("'banana' | replace('an', '-')", "b--a"),
    ("list | size", 4),
    ("'four' | size", 4),
    ("'a b  c' | split", ["a", "b", "c"]),
    ("'a,b' | split(',')", ["a", "b"]),
    ("'abc' | split('')", ["abc"]),
    ("list | string", "[3,null,1,3]"),
    ("{'a': [true]} | tojson", '{"a":[true]}'),
    ("{'a': 1} | tojson(2)", '{\n  "a": 1\n}'),
    ("'one two three' | truncate(8)", "one t..."),
    ("'short' | truncate(5)", "short"),
    ("'one two three' | truncatewords(2)", "one two..."),
    ("'one two' | truncatewords(2)", "one two"),
    ("'one two three' | truncatewords(1, ' (more)')", "one (more)"),
    ("'a b/ü?' | url_encode", "a+b%2F%C3%BC%3F"),
    ("'a b/ü?' | urlencode", "a%20b%2F%C3%BC%3F"),
    ("'a+b%2F%C3%BC' | url_decode", "a b/ü"),
    ("rows | sum(attribute='n')", 5),
    ("[1, 2.5] | sum(start=1)", 4.5),
    ("2.345 | round(2)", 2.35),
    ("2.1 | round(method='ceil')", 3.0),
    ("rows | sort(attribute='name') | map(attribute='n')", [1, 2, 2]),
    ("(rows | groupby('n') | last).grouper", 2),
    ("rows | selectattr('ok') | map(attribute='name')", ["b", "c"]),
    ("list | select('number')", [3, 1, 3]),
    ("list | reverse", [3, 1, None, 3]),
    ("'abc' | reverse", "cba"),
    ("[2, 1, 2] | unique", [2, 1]),
    ("{'a': 1} | items", [["a", 1]]),
    ("{'b': 1, 'a': 2} | dictsort", [["a", 2], ["b", 1]]),
    ("[1, 2, 3] | batch(2)", [[1, 2], [3]]),
    ("range(3)", [0, 1, 2]),
    ("true | upper", "TRUE"),
    ("none | upper", ""),
    ("[true] | lower", "[true]"),
    ("'4' is even and 3 is odd and 9 is divisibleby 3", True),
]


@pytest.mark.parametrize(("expression", "given"), TABLE, ids=[expression for expression, _ in TABLE])
def test_a_filter_gives_what_its_name_promises(expression: str, given: Any):
    found = rendered(f"{{{{ {expression} }}}}", GIVEN, VALUE)
    assert (type(found), found) == (type(given), given)


def test_now_is_a_time():
    assert rendered("{{ ('now' | date('%Y')) >= '2025' }}") == "true"


@pytest.mark.parametrize("filters", [FILTERS, CHILD_FILTERS], ids=["all", "those of the child"])
def test_no_filter_reaches_into_objects_or_formats(filters: Any):
    assert not {"attr", "format", "pprint", "random", "xmlattr", "urlize", "filesizeformat"} & set(filters)


@pytest.mark.parametrize(
    "expression",
    [
        "rows | select",
        "rows | map(attribute='name')",
        "rows | groupby('n')",
        "list | reverse",
        "{'a': 1} | items",
        "[rows | unique(attribute='n')]",
        "range(3)",
        "rows | select | upper",
        "[1, 2] | slice(2)",
    ],
)
def test_no_list_is_written_in_pythons_words(expression: str):
    text = rendered(f"<{{{{ {expression} }}}}>", GIVEN)
    assert text[1] == "["
    assert "generator" not in text.lower()


@pytest.mark.parametrize(
    "expression", ["range", "[range]", "{'a': range}", "range(3).count", "(rows | map('upper')).append", "'a'.format"]
)
@pytest.mark.parametrize("field", [{"type": "string"}, VALUE], ids=["text", "value"])
def test_no_object_of_python_leaves_a_template(expression: str, field: dict[str, Any]):
    words = failure(f"{{{{ {expression} }}}}", GIVEN, field)
    assert "is no value" in words or "has no attribute" in words
    assert " at 0x" not in words


@pytest.mark.parametrize(
    "expression",
    [
        "text" + " | base64_encode" * 9 + " | size",
        "quotes" + " | tojson" * 9 + " | size",
        "signs" + " | list | string" * 4 + " | size",
        "signs" + " | list | strip" * 4 + " | size",
        "signs" + " | escape" * 9 + " | size",
        "signs" + " | url_encode" * 9 + " | size",
        "signs" + " | urlencode" * 9 + " | size",
        "text" + " | append(text)" * 9 + " | size",
        "text" + " | prepend(text)" * 9 + " | size",
        "text | replace('a', text) | size",
        "text | replace('', text) | size",
        "signs | split('&') | join(text) | size",
        "text | truncatewords(0, text | append(text))",
        "text | truncate(1, text | append(text))",
        "lines | newline_to_br | newline_to_br | size",
        "[" + "text, " * 16 + "] | tojson | size",
    ],
    ids=lambda text: text[:40],
)
def test_no_filter_makes_text_longer_than_the_limit(expression: str):
    given = scope({"text": "a" * 700_000, "signs": "&" * 100_000, "quotes": '"' * 100_000, "lines": "\n" * 600_000})
    assert f"at most {TEXT_LIMIT} are allowed" in failure(f"{{{{ {expression} }}}}", given)


@pytest.mark.parametrize(
    "expression",
    [
        "(many | strip_html) == many",
        "1.5 | round(1000000000, 'ceil')",
        "5 | round(-1000000000)",
        "'%999999999d' is odd",
        "'%999999999d' is even",
        "'%999999999d' is divisibleby 3",
        "['%999999999d'] | select('odd') | list",
        "'%999999999d' | modulo(3)",
        "lists | sum(start=[])",
    ],
)
def test_what_seems_costly_is_cheap_or_refused(expression: str):
    """Any of these would take minutes or gigabytes if it were done as it is written."""
    given = scope({"many": "<" * 200_000, "lists": [[number] for number in range(20_000)]})
    try:
        words = rendered(f"{{{{ {expression} }}}}", given)
    except TemplateRenderError as error:
        words = str(error)
    assert words == "true" or "no number" in words or "at most" in words
