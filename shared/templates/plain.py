"""Templates of text and dotted names alone, `Dear {{ input.name }},`: most of what people write.

They are read and rendered without Jinja2's compiler, which takes half a millisecond for each: a graph of 10,000
such nodes would spend five seconds in it at its first run. What they give is the same, errors included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from jinja2 import Undefined

from shared.templates.environment import ENVIRONMENT
from shared.templates.filters import to_text
from shared.templates.render import join_bounded
from shared.templates.syntax import Findings, refer_path

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PATH = re.compile(r"\{\{[ \t]*(" + _NAME + r"(?:\." + _NAME + r")*)[ \t]*\}\}")
#: Words that Jinja2 does not take for a variable.
_WORDS = frozenset({
    "true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else", "self", "loop",
    "range",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlainTemplate:
    """Texts and, between each two of them, a path."""

    texts: tuple[str, ...]
    paths: tuple[tuple[str, ...], ...]
    findings: Findings

    @property
    def is_value(self) -> bool:
        """True for one `{{ path }}` and nothing else."""
        return len(self.paths) == 1 and self.texts == ("", "")

    def render_text(self, variables: dict[str, Any]) -> str:
        parts = [self.texts[0]]
        for path, text in zip(self.paths, self.texts[1:], strict=True):
            parts += (to_text(_value(path, variables)), text)
        return join_bounded(parts)

    def render_value(self, variables: dict[str, Any]) -> Any:
        value = _value(self.paths[0], variables)
        if isinstance(value, Undefined):
            value._fail_with_undefined_error()
        return value


def read_plain(source: str) -> PlainTemplate | None:
    """None when the template says more; raises SyntaxProblem as `parse_template` does."""
    parts = _PATH.split(source)
    texts, paths = parts[::2], [tuple(part.split(".")) for part in parts[1::2]]
    if any("{{" in text or "{%" in text or "{#" in text or "\r" in text for text in texts):
        return None
    if any(path[0] in _WORDS or any(part.startswith("_") for part in path[1:]) for path in paths):
        return None
    if any(text.endswith("{") for text in texts[:-1]):
        # `{{{ name }}}` is an object without its end to Jinja2.
        return None
    findings = Findings()
    for path in paths:
        refer_path(path, findings)
    return PlainTemplate(tuple(texts), tuple(paths), findings)


def _value(path: tuple[str, ...], variables: dict[str, Any]) -> Any:
    """As Jinja2 looks it up."""
    name = path[0]
    value = variables[name] if name in variables else ENVIRONMENT.undefined(name=name)
    for attribute in path[1:]:
        value = ENVIRONMENT.getattr(value, attribute)
    return value
