"""Which JMESPath expressions cost no more than what they read.

`[@, @] | [@, @] | ...` doubles its input with every step, and some functions write text that grows as fast.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jmespath

from shared.templates.filters import JMESPATH_LIMIT

#: Times that an expression may hold its input in what it gives.
MOST_COPIES = 16
#: Functions that copy nothing; all others are called in the child.
LINEAR_FUNCTIONS = frozenset({
    "abs", "avg", "ceil", "contains", "ends_with", "floor", "keys", "length", "max", "max_by", "min", "min_by",
    "not_null", "reverse", "sort", "sort_by", "starts_with", "sum", "to_array", "to_number", "type", "values",
})  # fmt: skip


@lru_cache(maxsize=1000)
def is_linear(expression: str) -> bool:
    """True also for what cannot be read: that is said when it is used, and costs nothing."""
    if len(expression) > JMESPATH_LIMIT:
        return True
    try:
        waiting: list[Any] = [jmespath.compile(expression).parsed]
    except (jmespath.exceptions.JMESPathError, RecursionError):
        return True
    copies = 1
    while waiting:
        node = waiting.pop()
        if node["type"] == "function_expression" and node["value"] not in LINEAR_FUNCTIONS:
            return False
        if node["type"].startswith("multi_select"):
            copies *= len(node["children"])
        # Those of a slice are numbers.
        waiting += [child for child in node["children"] if isinstance(child, dict)]
    return copies <= MOST_COPIES
