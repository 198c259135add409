"""A node's config with its templates parsed: every string is a template, `format: expression` an expression."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from jinja2 import TemplateSyntaxError

from shared.contracts.pipelines import References
from shared.contracts.problems import FieldProblem, escape
from shared.templates.environment import ENVIRONMENT
from shared.templates.plain import read_plain
from shared.templates.render import Field, TemplateRenderError, render_field, text_field, value_as_text, value_field
from shared.templates.schema import Kind, child_schema, kind_of
from shared.templates.scope import Scope
from shared.templates.syntax import (
    Findings,
    SyntaxProblem,
    inner_expression,
    parse_expression,
    parse_template,
)

#: Parsed configs kept; one takes some kilobytes.
CACHE_SIZE = 20_000


class ConfigProblems(ValueError):
    """Every template of a config that cannot be accepted, with its place."""

    def __init__(self, findings: list[FieldProblem]) -> None:
        super().__init__("; ".join(f"{finding.pointer}: {finding.detail}" for finding in findings))
        self.findings = findings


Build = Callable[[dict[str, Any], Scope], Any]


@dataclass(frozen=True)
class CompiledConfig:
    """A config ready to render any number of times."""

    references: References
    #: True when a field must render in the child process; `render` is then for the child alone.
    needs_child: bool
    is_constant: bool
    names_run: bool
    _config: dict[str, Any]
    _build: Build

    def render(self, scope: Scope) -> dict[str, Any]:
        """The config with every template replaced by what it gives; raises TemplateRenderError."""
        if self.is_constant:
            return self._config
        rendered: dict[str, Any] = self._build(scope.variables(self.names_run), scope)
        return rendered


def compile_config(config: dict[str, Any], config_schema: dict[str, Any]) -> CompiledConfig:
    """Raises ConfigProblems with all findings."""
    reading = _Reading(config_schema)
    build = reading.read(config, config_schema, "")
    if reading.problems:
        raise ConfigProblems(reading.problems)
    found = reading.findings
    references = References(
        input=found.input,
        nodes={key: sorted(names) if names is not None else None for key, names in found.nodes.items()},
        previous=found.previous,
    )
    return CompiledConfig(
        references, found.needs_child, build is None, found.run, config, build or (lambda _, __: config)
    )


_cache: OrderedDict[tuple[int, bytes], CompiledConfig] = OrderedDict()


def compile_cached(config: dict[str, Any], config_schema: dict[str, Any]) -> CompiledConfig:
    """As `compile_config`; a schema object must live as long as the process, since it is known by its identity."""
    key = (id(config_schema), orjson.dumps(config))
    found = _cache.get(key)
    if found is None:
        found = _cache[key] = compile_config(config, config_schema)
        if len(_cache) > CACHE_SIZE:
            _cache.popitem(last=False)
    return found


class _Reading:
    """Walks a config beside its schema."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self.findings = Findings()
        self.problems: list[FieldProblem] = []

    def read(self, value: Any, schema: dict[str, Any], pointer: str) -> Build | None:
        """How to build this part of the config; None when it is constant."""
        if isinstance(value, str):
            return self._read_text(value, schema, pointer)
        if isinstance(value, dict):
            parts = {
                key: self.read(item, child_schema(self._root, schema, key), f"{pointer}/{escape(key)}")
                for key, item in value.items()
            }
            return _object(value, parts) if any(parts.values()) else None
        if isinstance(value, list):
            items = [
                self.read(item, child_schema(self._root, schema, None), f"{pointer}/{index}")
                for index, item in enumerate(value)
            ]
            return _list(value, items) if any(items) else None
        return None

    def _read_text(self, source: str, schema: dict[str, Any], pointer: str) -> Build | None:
        kind = kind_of(self._root, schema)
        if kind is not Kind.EXPRESSION and "{{" not in source and "{%" not in source and "{#" not in source:
            return None
        try:
            field, findings = _field(source, kind)
        except SyntaxProblem as error:
            self.problems.append(FieldProblem(pointer=pointer, detail=str(error)))
            return None
        except TemplateSyntaxError as error:
            self.problems.append(FieldProblem(pointer=pointer, detail=str(error.message)))
            return None
        self._add(findings)
        return lambda variables, scope: render_field(pointer, field, variables, scope)

    def _add(self, findings: Findings) -> None:
        total = self.findings
        total.needs_child |= findings.needs_child
        total.input |= findings.input
        total.previous |= findings.previous
        total.run |= findings.run
        for key, names in findings.nodes.items():
            if names is None:
                total.refer(key, None)
            else:
                total.nodes.setdefault(key, set())
                for name in names:
                    total.refer(key, name)


def _field(source: str, kind: Kind) -> tuple[Field, Findings]:
    if kind is Kind.EXPRESSION:
        findings = parse_expression(source)
        return _compile(value_field, source, findings), findings
    plain = read_plain(source)
    if plain is not None:
        is_value = plain.is_value and kind is not Kind.TEXT
        return plain.render_value if is_value else plain.render_text, plain.findings
    tree, findings = parse_template(source)
    expression = inner_expression(tree, source)
    if expression is None:
        return _compile(text_field, source, findings), findings
    return _compile(value_as_text if kind is Kind.TEXT else value_field, expression, findings), findings


def _compile(make: Callable[[str], Field], source: str, findings: Findings) -> Field:
    """Compiled when it is first rendered: who only reads templates never pays for it, and Jinja2's compiler,
    which calculates constants, runs in the child for what must render there."""
    if findings.needs_child:
        return lambda variables: _compile_now(make, source)({**ENVIRONMENT.globals, **variables})
    compiled: Field | None = None

    def render(variables: dict[str, Any]) -> Any:
        nonlocal compiled
        if compiled is None:
            compiled = _compile_now(make, source)
        return compiled(variables)

    return render


def _compile_now(make: Callable[[str], Field], source: str) -> Field:
    try:
        return make(source)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise TemplateRenderError("the template is nested too deeply; make it flatter") from error


def _object(value: dict[str, Any], parts: dict[str, Build | None]) -> Build:
    templated = {key: part for key, part in parts.items() if part is not None}
    return lambda variables, scope: {
        **value,
        **{key: part(variables, scope) for key, part in templated.items()},
    }


def _list(value: list[Any], items: list[Build | None]) -> Build:
    return lambda variables, scope: [
        item(variables, scope) if item is not None else constant for item, constant in zip(items, value, strict=True)
    ]


def template_strings(value: Any, pointer: str = "") -> Iterator[str]:
    """The pointers of all strings that hold a template."""
    if isinstance(value, str):
        if "{{" in value or "{%" in value:
            yield pointer
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from template_strings(item, f"{pointer}/{escape(key)}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from template_strings(item, f"{pointer}/{index}")
