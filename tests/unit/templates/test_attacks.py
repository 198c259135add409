"""Attacks: each is refused with words or ends within its limits, and none sees Python or the environment."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from services.executors.kit.child import RenderPool
from shared.templates.config import ConfigProblems
from shared.templates.render import TemplateRenderError
from tests.unit.templates.attacks import REFUSED, cases
from tests.unit.templates.rendering import compiled, completed, rendered, rendered_in, scope

GIVEN = scope({"x": "a", "secret": "s3cret of the run"}, {"a": completed(text="said")}, previous="a")
SECRET = "s3cret of the worker"
PYTHONS_WORDS = re.compile(r" at 0x|<class|<built-in|<function|<module|<bound|<generator|<frame|Traceback")

#: How it ended, and what it gave or said.
Ends = dict[str, tuple[str, str]]


async def end_of(source: str, pool: RenderPool) -> tuple[str, str]:
    try:
        needs_child = compiled(source).needs_child
        text = await rendered_in(pool, source, GIVEN) if needs_child else rendered(source, GIVEN)
    except ConfigProblems as error:
        return REFUSED, str(error)
    except TemplateRenderError as error:
        return error.code, str(error)
    return f"={text}", text


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[RenderPool]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", SECRET)
        made = RenderPool(4)
        yield made
        await made.close()


@pytest.fixture(scope="module")
async def ends(pool: RenderPool) -> Ends:
    """All at once: each that takes its second takes it beside the others."""
    sources = [source for _, source, _ in cases()]
    found = await asyncio.gather(*(end_of(source, pool) for source in sources))
    return dict(zip(sources, found, strict=True))


@pytest.mark.parametrize(
    ("source", "end"),
    [(source, end) for _, source, end in cases()],
    ids=[f"{kind}: {s[:50]}" for kind, s, _ in cases()],
)
def test_an_attack_ends_as_it_should(ends: Ends, source: str, end: str):
    how, said = ends[source]
    assert how == end, said[:300]
    assert not PYTHONS_WORDS.search(said)
    assert SECRET not in said


async def test_after_all_attacks_the_children_render_as_before(pool: RenderPool, ends: Ends):
    assert await asyncio.gather(*(rendered_in(pool, f"{{{{ {number} * 2 }}}}") for number in range(8))) == [
        str(number * 2) for number in range(8)
    ]
