"""The filters of templates: Jinja2's own where they are bounded, and Liquid's names for the same things.

Each costs no more than its input, and none can make text grow beyond `TEXT_LIMIT`; `CHILD_FILTERS` can pad,
and are used in the child process only.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus

import jmespath
import orjson
from jinja2 import Environment, Undefined, pass_environment
from jinja2.exceptions import FilterArgumentError
from jinja2.filters import FILTERS as JINJA_FILTERS

#: No rendered text may be longer, in characters.
TEXT_LIMIT = 1024 * 1024
#: A JMESPath expression; longer ones are refused.
JMESPATH_LIMIT = 2000
#: Digits that numbers are rounded to, on either side of the point.
ROUND_LIMIT = 30

_DATE_FORMAT = re.compile(r"(?:[^%]|%-?[A-Za-z%])*")


def to_text(value: Any) -> str:
    """A value as text: JSON for lists and objects, `true` and `false`, and nothing for none."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple | range):
        return to_json(value)
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if isinstance(value, int | float | datetime):
        return str(value)
    raise FilterArgumentError(f"a {type(value).__name__} is no value")


def to_value(value: Any) -> Any:
    """A value as JSON knows it, so that nothing else leaves a template."""
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if value is None or isinstance(value, str | int | float):
        return value
    return orjson.loads(_dump(value))


def to_json(value: Any, indent: int | None = None) -> str:
    text = _dump(value, orjson.OPT_INDENT_2 if indent else 0).decode()
    bounded(len(text))
    return text


def _dump(value: Any, option: int = 0) -> bytes:
    try:
        return orjson.dumps(value, option=option | orjson.OPT_NON_STR_KEYS, default=_as_list)
    except TypeError as error:
        # What `_as_list` raises says more than what orjson makes of it.
        if error.__cause__ is not None:
            raise error.__cause__ from None
        raise


def _as_list(value: Any) -> list[Any]:
    """For what orjson does not know: never Python's words for an object, which tell its address."""
    if isinstance(value, tuple | range):
        return list(value)
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    raise TypeError(f"a {type(value).__name__} is no value")


def bounded(size: int) -> None:
    """Refuse to make text of this many characters."""
    if size > TEXT_LIMIT:
        raise FilterArgumentError(f"the text would have {size} characters; at most {TEXT_LIMIT} are allowed")


def replace(value: Any, old: Any, new: Any = "") -> str:
    text, found, other = to_text(value), to_text(old), to_text(new)
    count = text.count(found)
    bounded(len(text) + count * (len(other) - len(found)))
    return text.replace(found, other)


def join(value: Iterable[Any], separator: Any = "") -> str:
    parts, between = [to_text(item) for item in value], to_text(separator)
    bounded(sum(len(part) for part in parts) + len(between) * len(parts))
    return between.join(parts)


def append(value: Any, suffix: Any) -> str:
    text, other = to_text(value), to_text(suffix)
    bounded(len(text) + len(other))
    return text + other


def prepend(value: Any, prefix: Any) -> str:
    return append(prefix, value)


def number(value: Any) -> int | float:
    """A number from a number or its text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise FilterArgumentError(f"{to_text(value)[:100]!r} is no number")
    if isinstance(value, str):
        try:
            return float(value) if any(mark in value for mark in ".eE") else int(value)
        except ValueError as error:
            raise FilterArgumentError(f"{value[:100]!r} is no number") from error
    return value


def divided_by(value: Any, other: Any) -> int | float:
    """Whole numbers give a whole number, as Liquid has it."""
    left, right = number(value), number(other)
    if right == 0:
        raise FilterArgumentError("division by zero")
    return left // right if isinstance(left, int) and isinstance(right, int) else left / right


def modulo(value: Any, other: Any) -> int | float:
    if number(other) == 0:
        raise FilterArgumentError("division by zero")
    return number(value) % number(other)


def date(value: Any, form: str = "%Y-%m-%d") -> str:
    """A time (ISO 8601 text, seconds since 1970, `now`) in the form of strftime."""
    if not _DATE_FORMAT.fullmatch(form) or len(form) > 200:
        raise FilterArgumentError(f"{form[:100]!r} is no date format; write for example '%Y-%m-%d'")
    return _as_time(value).strftime(form)


def _as_time(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OSError, OverflowError, ValueError) as error:
            raise FilterArgumentError(f"{value} is no time; give seconds since 1970") from error
    if value in ("now", "today"):
        return datetime.now(UTC)
    try:
        return datetime.fromisoformat(to_text(value))
    except ValueError as error:
        raise FilterArgumentError(f"{to_text(value)[:100]!r} is no time; write it as ISO 8601") from error


def truncate(value: Any, length: int = 50, ending: str = "...") -> str:
    text = to_text(value)
    return text if len(text) <= length else append(text[: max(0, length - len(ending))], ending)


def truncatewords(value: Any, count: int = 15, ending: str = "...") -> str:
    words = to_text(value).split()
    return " ".join(words) if len(words) <= count else append(" ".join(words[:count]), ending)


def strip_html(text: str) -> str:
    """Without tags; a regular expression would take quadratic time for text full of `<`."""
    parts, position = [], 0
    while (start := text.find("<", position)) >= 0 and (end := text.find(">", start)) >= 0:
        parts.append(text[position:start])
        position = end + 1
    return "".join(parts) + text[position:]


def round_(value: Any, precision: int = 0, method: str = "common") -> Any:
    if abs(precision) > ROUND_LIMIT:
        raise FilterArgumentError(f"numbers are rounded to {ROUND_LIMIT} digits at most")
    return JINJA_FILTERS["round"](value, precision, method)


def where(value: Iterable[Any], key: str, wanted: Any = True) -> list[Any]:
    """The objects whose key has this value."""
    return [item for item in value if isinstance(item, dict) and item.get(key) == wanted]


def size(value: Any) -> int:
    return len(value) if isinstance(value, list | dict | tuple) else len(to_text(value))


@pass_environment
def sum_(environment: Environment, value: Iterable[Any], attribute: Any = None, start: Any = 0) -> Any:
    """Of numbers alone: a sum of lists takes quadratic time."""
    return JINJA_FILTERS["sum"](environment, value, attribute, number(start))


def search(value: Any, expression: str) -> Any:
    """What a JMESPath expression finds (jmespath.org)."""
    if len(expression) > JMESPATH_LIMIT:
        raise FilterArgumentError(f"a JMESPath expression has at most {JMESPATH_LIMIT} characters")
    try:
        return jmespath.search(expression, value)
    except (jmespath.exceptions.JMESPathError, RecursionError) as error:
        raise FilterArgumentError(f"jmespath {expression[:100]!r}: {error}") from error


def on_text(function: Callable[[str], Any]) -> Callable[[Any], Any]:
    """A filter that takes any value as text, and makes it longer within the limit only."""

    def changed(value: Any) -> Any:
        text = to_text(value)
        result = function(text)
        if isinstance(result, str) and len(result) > len(text):
            bounded(len(result))
        return result

    return changed


def _adapted(name: str) -> Callable[..., Any]:
    """A filter of Jinja2's over plain values: text is what `to_text` gives, and nothing is lazy."""
    function = JINJA_FILTERS[name]
    #: Jinja2 passes its own context or environment first to some.
    place = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def adapted(*given: Any, **named: Any) -> Any:
        if name in _TEXT_NAMES:
            given = (*given[:place], to_text(given[place]), *given[place + 1 :])
        result = function(*given, **named)
        return list(result) if isinstance(result, Iterator) else result

    return adapted


#: Jinja2's own filters that cost no more than their input.
_PLAIN_NAMES = (
    "abs", "default", "d", "dictsort", "first", "float", "int", "items", "last", "length", "count", "list",
    "lower", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "title", "trim",
    "unique", "upper", "wordcount",
)  # fmt: skip
_TEXT_NAMES = frozenset({"center", "indent", "lower", "title", "trim", "upper", "wordcount", "wordwrap"})
#: Filters that can make much out of little.
CHILD_FILTERS = ("center", "indent", "map", "batch", "slice", "groupby", "wordwrap")

FILTERS: dict[str, Callable[..., Any]] = {
    **{name: _adapted(name) for name in (*_PLAIN_NAMES, *CHILD_FILTERS)},
    "append": append,
    "at_least": lambda value, least: max(number(value), number(least)),
    "at_most": lambda value, most: min(number(value), number(most)),
    "base64_decode": on_text(lambda text: base64.b64decode(text).decode(errors="replace")),
    "base64_encode": on_text(lambda text: base64.b64encode(text.encode()).decode()),
    "capitalize": on_text(str.capitalize),
    "ceil": lambda value: -int(-number(value) // 1),
    "compact": lambda value: [item for item in value if item is not None],
    "date": date,
    "divided_by": divided_by,
    "downcase": on_text(str.lower),
    "escape": on_text(html.escape),
    "floor": lambda value: int(number(value) // 1),
    "jmespath": search,
    "join": join,
    "lstrip": on_text(str.lstrip),
    "minus": lambda value, other: number(value) - number(other),
    "modulo": modulo,
    "newline_to_br": on_text(lambda text: replace(text, "\n", "<br />\n")),
    "plus": lambda value, other: number(value) + number(other),
    "prepend": prepend,
    "remove": lambda value, old: replace(value, old),
    "replace": replace,
    "round": round_,
    "rstrip": on_text(str.rstrip),
    "size": size,
    "split": lambda value, separator=None: to_text(value).split(separator or None),
    "string": to_text,
    "strip": on_text(str.strip),
    "strip_html": on_text(strip_html),
    "strip_newlines": on_text(lambda text: text.replace("\n", "")),
    "times": lambda value, other: number(value) * number(other),
    "sum": sum_,
    "tojson": to_json,
    "truncate": truncate,
    "truncatewords": truncatewords,
    "upcase": on_text(str.upper),
    "url_decode": on_text(unquote_plus),
    "url_encode": on_text(quote_plus),
    "urlencode": on_text(lambda text: quote(text, safe="")),
    "where": where,
}
