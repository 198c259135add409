"""Reads templates without rendering them: what they refer to, what they may cost, what is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from jinja2 import TemplateSyntaxError, nodes

from shared.contracts.message import RESERVED_NODE_KEYS
from shared.errors import did_you_mean
from shared.templates.environment import ENVIRONMENT, TESTS
from shared.templates.filters import CHILD_FILTERS, FILTERS
from shared.templates.queries import is_linear

#: A longer template is refused.
SOURCE_LIMIT = 64 * 1024
#: More of these in one template and it renders in the child; comparisons and tests count as filters.
CONCATENATIONS_IN_PROCESS = 16
FILTERS_IN_PROCESS = 200
#: These do something for every element, and count as so many others.
PER_ELEMENT = frozenset({
    "compact", "dictsort", "jmespath", "join", "reject", "rejectattr", "select", "selectattr", "sort", "unique",
    "where",
})  # fmt: skip
PER_ELEMENT_COST = 20
#: The time that Jinja2's compiler takes grows with the cube of a chain's length.
DEPTH_IN_PROCESS = 25

RUN_FIELDS = ("id", "started_at")
#: Told of every upstream node, whatever it gives.
NODE_FIELDS = ("status", "error")

#: What costs no more than the text that goes in and comes out.
_LINEAR = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem,
    nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.CondExpr, nodes.Filter, nodes.Test,
    nodes.If, nodes.Concat, nodes.Add, nodes.Sub, nodes.Div, nodes.Neg, nodes.Pos, nodes.List, nodes.Tuple,
    nodes.Dict, nodes.Pair, nodes.Keyword, nodes.Slice,
)  # fmt: skip
_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Macro: "macros are not allowed",
    nodes.CallBlock: "call blocks are not allowed",
    nodes.Import: "imports are not allowed",
    nodes.FromImport: "imports are not allowed",
    nodes.Include: "includes are not allowed",
    nodes.Extends: "extends is not allowed",
    nodes.Block: "blocks are not allowed",
}
_LIQUID_ARGUMENTS = re.compile(r"\|\s*(\w+)\s*:\s*([^|}%]+)")
_LIQUID_TAGS = {
    "assign": "{% set name = value %}",
    "unless": "{% if not ... %}",
    "case": "{% if %} and {% elif %}",
    "capture": "{% set name %}...{% endset %}",
}


class SyntaxProblem(ValueError):
    """A template that cannot be accepted; the message says why and what to write."""


@dataclass
class Findings:
    """What one template refers to, and whether it must render in the child."""

    needs_child: bool = False
    input: bool = False
    previous: bool = False
    run: bool = False
    #: Node key -> fields of its output, None for the whole of it.
    nodes: dict[str, set[str] | None] = field(default_factory=dict)

    def refer(self, key: str, name: str | None) -> None:
        known = self.nodes.get(key, set())
        if known is None or name is None:
            self.nodes[key] = None
        else:
            self.nodes[key] = known | ({name} - set(NODE_FIELDS))


def parse_template(source: str) -> tuple[nodes.Template, Findings]:
    """Raises SyntaxProblem."""
    tree = _parse(source, source)
    return tree, _read(tree)


def parse_expression(source: str) -> Findings:
    """As `parse_template`, for a whole expression without braces. Raises SyntaxProblem."""
    if "{{" in source or "{%" in source:
        raise SyntaxProblem("this field is an expression already: write it without braces")
    if not source.strip():
        raise SyntaxProblem("the expression is empty; write for example: input.score > 3")
    # On a line of its own, so that nothing in the text can close the braces early.
    return _read(_parse("{{ (" + source + "\n) }}", source))


def inner_expression(tree: nodes.Template, source: str) -> str | None:
    """The text between the braces when the template is one `{{ ... }}`, else None."""
    outputs = [part for node in tree.body if isinstance(node, nodes.Output) for part in node.nodes]
    text = source.strip()
    if len(tree.body) != 1 or len(outputs) != 1 or isinstance(outputs[0], nodes.TemplateData):
        return None
    if not (text == source and text.startswith("{{") and text.endswith("}}")):
        return None
    # A sign right at the braces controls white space; any other belongs to the expression.
    inner = text[2:-2]
    return inner[inner.startswith(("-", "+")) : len(inner) - inner.endswith("-")]


def _parse(source: str, shown: str) -> nodes.Template:
    if len(source) > SOURCE_LIMIT:
        raise SyntaxProblem(f"the template has {len(source)} characters; at most {SOURCE_LIMIT} are allowed")
    try:
        return ENVIRONMENT.parse(source)
    except TemplateSyntaxError as error:
        raise SyntaxProblem(_explain(error, shown)) from error
    except RecursionError as error:
        raise SyntaxProblem("the template is nested too deeply; make it flatter") from error
    except ValueError as error:
        raise SyntaxProblem("the template holds a number with too many digits") from error


def _explain(error: TemplateSyntaxError, source: str) -> str:
    liquid = _LIQUID_ARGUMENTS.search(source)
    if liquid is not None:
        name, arguments = liquid.group(1), liquid.group(2).strip()
        return f"Liquid's form '| {name}: {arguments}' is not understood; write '| {name}({arguments})'"
    for tag, instead in _LIQUID_TAGS.items():
        if f"'{tag}'" in (error.message or ""):
            return f"the tag '{tag}' is Liquid's; write {instead}"
    return f"line {error.lineno}: {(error.message or 'not a template').rstrip('.')}"


def _read(tree: nodes.Template) -> Findings:
    findings = Findings()
    stored: set[str] = set()
    concatenations = filters = 0
    for node, depth in _walk(tree):
        _refuse(node)
        if isinstance(node, nodes.Name) and node.ctx != "load":
            stored.add(node.name)
        elif isinstance(node, nodes.For):
            stored.add("loop")
        concatenations += _copies(node)
        if isinstance(node, nodes.Filter | nodes.Operand | nodes.Test):
            filters += PER_ELEMENT_COST if getattr(node, "name", None) in PER_ELEMENT else 1
        if not isinstance(node, _LINEAR) or (isinstance(node, nodes.Filter) and _is_costly(node)):
            findings.needs_child = True
        findings.needs_child |= depth > DEPTH_IN_PROCESS
    if concatenations > CONCATENATIONS_IN_PROCESS or filters > FILTERS_IN_PROCESS:
        findings.needs_child = True
    _refer(tree, stored, findings)
    return findings


def _copies(node: nodes.Node) -> int:
    """How many values this puts beside each other; constants are as long as the source."""
    match node:
        case nodes.Concat():
            return len(node.nodes)
        case nodes.Add():
            return 2
        case nodes.List() | nodes.Tuple():
            return sum(not isinstance(item, nodes.Const) for item in node.items)
        case nodes.Dict():
            return sum(not isinstance(pair.value, nodes.Const) for pair in node.items)
    return 0


def _is_costly(node: nodes.Filter) -> bool:
    if node.name == "jmespath":
        expression = node.args[0] if len(node.args) == 1 else None
        return not (isinstance(expression, nodes.Const) and is_linear(str(expression.value)))
    # Indented JSON is much longer than what it says.
    return node.name in CHILD_FILTERS or (node.name == "tojson" and bool(node.args or node.kwargs))


def _walk(node: nodes.Node) -> Iterator[tuple[nodes.Node, int]]:
    """Every node of the tree and its depth, without recursion in Python's stack."""
    waiting = [(node, 0)]
    while waiting:
        found, depth = waiting.pop()
        yield found, depth
        waiting.extend((child, depth + 1) for child in found.iter_child_nodes())


def _refuse(node: nodes.Node) -> None:
    _refuse_constant(node)
    reason = _REFUSED.get(type(node))
    if reason is not None:
        raise SyntaxProblem(reason)
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        raise SyntaxProblem(f"'{node.attr}': names that begin with '_' cannot be reached")
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        raise SyntaxProblem(_unknown("filter", node.name, FILTERS))
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        raise SyntaxProblem(_unknown("test", node.name, TESTS))
    if isinstance(node, nodes.Call) and not _is_listed_call(node):
        raise SyntaxProblem("only range() and the methods of loop can be called; use a filter instead")


def _refuse_constant(node: nodes.Node) -> None:
    value = node.value if isinstance(node, nodes.Const) else None
    if isinstance(value, float) and not math.isfinite(value):
        raise SyntaxProblem("the template holds a number that is too large")
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise SyntaxProblem("the template holds half of a character (a surrogate); write the whole one")
    if isinstance(node, nodes.Name) and node.name == "self":
        raise SyntaxProblem("blocks are not allowed, so there is no 'self'")


def _is_listed_call(node: nodes.Call) -> bool:
    called = node.node
    if isinstance(called, nodes.Name):
        return called.name == "range"
    return isinstance(called, nodes.Getattr) and isinstance(called.node, nodes.Name) and called.node.name == "loop"


def _unknown(what: str, name: str | None, known: Iterable[str]) -> str:
    return f"there is no {what} '{name}'.{did_you_mean(str(name), known)}"


def _refer(node: nodes.Node, stored: set[str], findings: Findings) -> None:
    waiting: list[nodes.Node] = [node]
    while waiting:
        found = waiting.pop()
        base, path = _path(found)
        waiting.extend(_dynamic_parts(found))
        if not isinstance(base, nodes.Name):
            waiting.extend(base.iter_child_nodes())
        elif base.name not in stored:
            if base.name == "nodes":
                _refer_node(path, findings)
            else:
                _refer_name(base.name, findings)
            _check_run_field(path)


def refer_path(path: Sequence[str], findings: Findings) -> None:
    """Note what a path of constant names refers to. Raises SyntaxProblem."""
    if path[0] == "nodes":
        _refer_node(path, findings)
    else:
        _refer_name(path[0], findings)
        _check_run_field(path)


def _check_run_field(path: Sequence[str | None]) -> None:
    if path[0] == "run" and len(path) > 1 and path[1] not in RUN_FIELDS:
        raise SyntaxProblem(f"run.{path[1]} does not exist; known are run.id and run.started_at")


def _path(node: nodes.Node) -> tuple[nodes.Node, list[str | None]]:
    """`nodes.a['b']` as its first name and ["nodes", "a", "b"], a part that is calculated being None; all at once,
    since the parts of a long path are paths too. Anything else is its own base."""
    parts: list[str | None] = []
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getattr):
            parts.append(node.attr)
        else:
            constant = node.arg.value if isinstance(node.arg, nodes.Const) else None
            parts.append(constant if isinstance(constant, str) else None)
        node = node.node
    return node, [node.name if isinstance(node, nodes.Name) else None, *reversed(parts)]


def _dynamic_parts(node: nodes.Node) -> Iterator[nodes.Node]:
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Const):
            yield node.arg
        node = node.node


def _refer_node(path: Sequence[str | None], findings: Findings) -> None:
    if len(path) < 2 or path[1] is None:
        raise SyntaxProblem("name the node: nodes.KEY.FIELD, with a constant key")
    findings.refer(path[1], path[2] if len(path) > 2 else None)


def _refer_name(name: str, findings: Findings) -> None:
    if name == "previous":
        findings.previous = True
    elif name == "env":
        raise SyntaxProblem("the environment cannot be reached from templates")
    elif name not in RESERVED_NODE_KEYS and name != "range":
        # One of the input's keys at top level.
        findings.input = True
    elif name == "input":
        findings.input = True
    elif name == "run":
        findings.run = True
