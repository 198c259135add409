"""The child that renders: it has nothing to steal, little to use, and its death is the template's fault alone."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator

import psutil
import pytest

from services.executors.kit import child as child_module
from services.executors.kit.child import RENDER_LIMIT_S, RenderPool
from services.executors.kit.child_main import MEMORY_LIMIT, OPEN_FILES_LIMIT
from services.executors.kit.errors import TransientNodeError
from shared.templates.render import TemplateRenderError
from tests.eventually import eventually
from tests.unit.templates.rendering import VALUE, completed, failed, rendered_in, scope, skipped

CHEAP = "{{ x * 2 }}"
#: Some tenths of a second of work.
LONG = "{% for a in range(700) %}{% for b in range(1000) %}{% endfor %}{% endfor %}done"
GIVEN = scope({"x": 21})


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[RenderPool]:
    made = RenderPool(1)
    yield made
    await made.close()


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if _is_render(child)]


def _is_render(child: psutil.Process) -> bool:
    try:
        return "child_main" in " ".join(child.cmdline())
    except psutil.NoSuchProcess:
        # It ended since it was listed.
        return False


def has_ended(child: psutil.Process) -> bool:
    try:
        return child.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def end(pool: RenderPool, source: str) -> str:
    with pytest.raises(TemplateRenderError) as failed:
        await rendered_in(pool, source, GIVEN)
    return failed.value.code


async def test_a_template_is_rendered_over_there_as_it_would_be_here(pool: RenderPool):
    nodes = {"a": completed(text="ü", rows=[1, None]), "b": skipped(), "c": failed("timed_out")}
    source = (
        "{% for row in nodes.a.rows %}{{ row or 'none' }} {% endfor %}{{ nodes.b.text is none }} {{ previous.text }}"
    )
    source += " {{ nodes.c.error.code }} {{ x }} {{ run.id[:8] }} {{ run.started_at[:10] }}"
    given = scope({"x": {"deep": [True]}}, nodes, previous="a")
    assert await rendered_in(pool, source, given) == '1 none true ü timed_out {"deep":[true]} 01890a5d 2025-03-01'


@pytest.mark.parametrize(
    ("source", "given"),
    [
        ("{{ x * 2 }}", 42),
        ("{{ [x] * 2 }}", [21, 21]),
        ("{{ x * 0.5 }}", 10.5),
        ("{{ none if x * 0 == 0 else 1 }}", None),
    ],
)
async def test_a_value_keeps_its_type_over_there(pool: RenderPool, source: str, given: object):
    assert await rendered_in(pool, source, GIVEN, VALUE) == given


async def test_one_child_renders_again_and_again(pool: RenderPool):
    await rendered_in(pool, CHEAP, GIVEN)
    first = children()
    assert [await rendered_in(pool, CHEAP, scope({"x": number})) for number in range(20)] == [
        str(2 * number) for number in range(20)
    ]
    assert children() == first


async def test_the_child_has_no_environment_little_memory_and_few_files(
    pool: RenderPool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    await rendered_in(pool, CHEAP, GIVEN)
    (child,) = children()
    assert child.environ() == {}
    assert child.rlimit(psutil.RLIMIT_AS) == (MEMORY_LIMIT, MEMORY_LIMIT)
    assert child.rlimit(psutil.RLIMIT_NOFILE) == (OPEN_FILES_LIMIT, OPEN_FILES_LIMIT)
    assert child.rlimit(resource.RLIMIT_CORE) == (0, 0)
    assert child.net_connections() == []


async def test_a_template_without_end_is_ended_and_the_next_one_renders(pool: RenderPool):
    assert await end(pool, "{{ 9 ** (9 ** 9) }}") == "template_too_expensive"
    assert await rendered_in(pool, CHEAP, GIVEN) == "42"


@pytest.mark.parametrize("source", ["{{ 'x' * 10 ** 10 }}", "{{ [0] * 10 ** 9 }}", "{{ 'x' | center(2000000000) }}"])
async def test_a_template_that_wants_too_much_memory_is_refused_it(pool: RenderPool, source: str):
    assert await end(pool, source) == "template_too_expensive"
    assert await rendered_in(pool, CHEAP, GIVEN) == "42"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("{{ (x * 2).y }}", "template_error"),
        ("{{ 'x' * 2000000 }}", "output_too_large"),
        ("{{ 2 ** 100 }}", "unstorable_output"),
        ("{% for a in [1] %}{{ loop }}{% endfor %}", "template_error"),
    ],
)
async def test_a_template_that_fails_leaves_the_child_alive(pool: RenderPool, source: str, code: str):
    await rendered_in(pool, CHEAP, GIVEN)
    before = children()
    with pytest.raises(TemplateRenderError) as failed:
        await rendered_in(pool, source, GIVEN, VALUE if code == "unstorable_output" else {"type": "string"})
    assert failed.value.code == code
    assert children() == before


async def test_a_large_input_and_a_large_answer_cross_over(pool: RenderPool):
    rows = ["x" * 1000] * 5000
    assert await rendered_in(pool, "{{ x * 2 }}", scope({"x": rows}), VALUE) == rows * 2


async def test_an_attempt_that_is_cancelled_leaves_no_answer_behind(pool: RenderPool):
    """Its answer would be taken for the next one's."""
    await rendered_in(pool, CHEAP, GIVEN)
    (child,) = children()
    attempt = asyncio.create_task(rendered_in(pool, "{{ 9 ** (9 ** 8) }}", GIVEN))
    await eventually(lambda: child.status() == psutil.STATUS_RUNNING, "the child at work")
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert await rendered_in(pool, CHEAP, GIVEN) == "42"


async def test_a_template_is_not_to_blame_when_the_machine_gives_it_no_turn(pool: RenderPool):
    await rendered_in(pool, CHEAP, GIVEN)
    (child,) = children()
    attempt = asyncio.create_task(rendered_in(pool, LONG, GIVEN))
    await eventually(lambda: child.status() == psutil.STATUS_RUNNING, "the child at work")
    child.suspend()
    suspended_at = time.monotonic()
    await eventually(lambda: time.monotonic() - suspended_at > RENDER_LIMIT_S, "more time than it has for its work")
    assert not attempt.done()
    child.resume()
    assert await attempt == "done"


async def test_a_child_that_never_answers_is_no_fault_of_the_template(
    pool: RenderPool, monkeypatch: pytest.MonkeyPatch
):
    await rendered_in(pool, CHEAP, GIVEN)
    (child,) = children()
    child.suspend()
    monkeypatch.setattr(child_module, "ANSWER_LIMIT_S", 0.1)
    with pytest.raises(TransientNodeError) as failed:
        await rendered_in(pool, CHEAP, GIVEN)
    assert failed.value.code == "render_timed_out"
    monkeypatch.undo()
    assert await rendered_in(pool, CHEAP, GIVEN) == "42"


async def test_a_child_that_died_is_replaced(pool: RenderPool):
    await rendered_in(pool, CHEAP, GIVEN)
    (child,) = children()
    child.kill()
    await eventually(lambda: has_ended(child), "its end")
    assert await rendered_in(pool, CHEAP, GIVEN) == "42"


async def test_renders_wait_for_a_free_child(pool: RenderPool):
    found = await asyncio.gather(*(rendered_in(pool, CHEAP, scope({"x": number})) for number in range(30)))
    assert found == [str(2 * number) for number in range(30)]
    assert len(children()) == 1


async def test_an_idle_child_is_ended_and_a_closed_pool_has_none(monkeypatch: pytest.MonkeyPatch):
    others = children()
    mine = RenderPool(2)
    assert await rendered_in(mine, CHEAP, GIVEN) == "42"
    monkeypatch.setattr(child_module, "IDLE_S", 0.0)
    assert await rendered_in(mine, CHEAP, GIVEN) == "42"
    await eventually(lambda: len(children()) <= len(others) + 1, "the second child's end")
    await mine.close()
    assert children() == others
