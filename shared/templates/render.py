"""Renders parsed templates and expressions, with a limit on what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from jinja2 import Template, TemplateError
from jinja2.environment import TemplateExpression

from shared.templates.environment import ENVIRONMENT
from shared.templates.filters import TEXT_LIMIT, to_text, to_value
from shared.templates.scope import Scope

#: How many known names an error lists.
NAMES_SHOWN = 20


class TemplateRenderError(Exception):
    """A template that could not be rendered, with the place and what is known there."""

    def __init__(self, message: str, code: str = "template_error") -> None:
        super().__init__(message)
        self.code = code


#: Renders one field; raises what Jinja2 raises.
Field = Callable[[dict[str, Any]], Any]


def text_field(source: str) -> Field:
    """Always text. Sees the variables alone, none of the environment's globals: a copy of both doubles the cost."""
    template: Template = ENVIRONMENT.from_string(source)

    return lambda variables: join_bounded(template.root_render_func(template.new_context(variables, shared=True)))


def join_bounded(parts: Iterable[str]) -> str:
    """The whole text; raises TemplateRenderError as soon as it is too long."""
    size = 0
    found = []
    for part in parts:
        size += len(part)
        if size > TEXT_LIMIT:
            raise TemplateRenderError(
                f"the rendered text has more than {TEXT_LIMIT} characters. Let it say less.",
                "output_too_large",
            )
        found.append(part)
    return "".join(found)


def value_field(expression: str) -> Field:
    """The value itself, whatever it is."""
    # In parentheses, as it was checked: they make a tuple of `a, b`.
    compiled: TemplateExpression = ENVIRONMENT.compile_expression(f"({expression}\n)", undefined_to_none=False)

    def render(variables: dict[str, Any]) -> Any:
        return to_value(compiled(variables))

    return render


def value_as_text(expression: str) -> Field:
    render = value_field(expression)
    return lambda variables: join_bounded([to_text(render(variables))])


def render_field(pointer: str, field: Field, variables: dict[str, Any], scope: Scope) -> Any:
    """Raises TemplateRenderError with the field's place and, when a name is unknown, with those known."""
    try:
        return field(variables)
    except TemplateRenderError as error:
        raise TemplateRenderError(f"{pointer}: {error}", error.code) from error
    except TemplateError as error:
        message = (error.message or type(error).__name__).rstrip(".")
        known = ", ".join(scope.known_names()[:NAMES_SHOWN])
        raise TemplateRenderError(f"{pointer}: {message}. Known here: {known}.") from error
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError, NameError) as error:
        # NameError: Jinja2's compiler writes a constant that is infinite as the name `inf`.
        raise TemplateRenderError(f"{pointer}: {error}. Check the values that the template uses.") from error
