"""The one Jinja2 environment: sandboxed because templates are written by users, and over plain data only."""

from __future__ import annotations

from typing import Any

from jinja2 import StrictUndefined, Undefined
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range

from shared.templates.filters import FILTERS, number, to_text

#: What templates may test with `is`.
TESTS = (
    "boolean", "defined", "divisibleby", "eq", "equalto", "even", "false", "float", "ge", "greaterthan", "gt",
    "in", "integer", "le", "lessthan", "lower", "lt", "mapping", "ne", "none", "number", "odd", "sameas",
    "sequence", "string", "true", "undefined", "upper", "==", "!=", "<", "<=", ">", ">=",
)  # fmt: skip


#: What the filter `groupby` calls the parts of a group.
GROUP_FIELDS = ("grouper", "list")
#: Jinja2's own would format text: `'%999999999d' is odd`.
NUMBER_TESTS = {
    "even": lambda value: number(value) % 2 == 0,
    "odd": lambda value: number(value) % 2 == 1,
    "divisibleby": lambda value, other: number(value) % number(other) == 0,
}


class Range:
    """`range()` of the sandbox, without Python's words for a function when it is written as text."""

    def __call__(self, *bounds: int) -> range:
        return safe_range(*bounds)

    def __repr__(self) -> str:
        return "range"


class PlainEnvironment(ImmutableSandboxedEnvironment):
    """Attributes are keys of JSON objects; Python's own attributes cannot be reached from plain data."""

    #: Named here, so that the compiler does not calculate them: `'x' * 10 ** 9` must wait for the child.
    intercepted_binops = frozenset({"*", "**", "%", "//"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, finalize=to_text, autoescape=False, keep_trailing_newline=True)
        self.filters = dict(FILTERS)
        self.tests = {name: test for name, test in self.tests.items() if name in TESTS} | NUMBER_TESTS
        self.globals = {"range": Range()}

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict):
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(obj=obj, name=attribute)
        if isinstance(obj, LoopContext | Undefined) or (isinstance(obj, tuple) and attribute in GROUP_FIELDS):
            return super().getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        try:
            return obj[argument]
        except (AttributeError, TypeError, LookupError):
            return obj if isinstance(obj, Undefined) else self.undefined(obj=obj, name=argument)


ENVIRONMENT = PlainEnvironment()
