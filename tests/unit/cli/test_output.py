"""How commands speak: a line or two for people, JSON for programs, an exit code for scripts."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest

from services.cli.commands.runs import EXIT_CODES, show_end
from services.cli.output import EXIT_REFUSED, EXIT_UNAVAILABLE, fail, print_json, refused, state, told
from shared.contracts.problems import FieldProblem
from shared.contracts.runs import Run, RunStarted
from shared.contracts.states import NodeStatus, RunStatus
from shared.errors import InvalidError, ServiceError, UnavailableError

RUN_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


def ended(**more: Any) -> Run:
    run = {"id": RUN_ID, "pipeline_id": None, "version": 1, "status": "completed", "input": {}, "duration_ms": 12.34}
    return Run.model_validate(run | {"progress_percent": 100, "created_at": datetime.now(UTC)} | more)


def test_a_model_is_printed_as_json(capsysbinary: pytest.CaptureFixture[bytes]):
    print_json(RunStarted(run_id=RUN_ID, status=RunStatus.RUNNING))
    assert orjson.loads(capsysbinary.readouterr().out) == {"run_id": str(RUN_ID), "status": "running"}


@pytest.mark.parametrize("text", ["[/red]", "[bold]x", "a [b] c", "back\\slash"])
def test_an_error_is_told_as_it_is_whatever_it_holds(text: str, capsys: pytest.CaptureFixture[str]):
    fail(text)
    assert capsys.readouterr().err == f"error: {text}\n"


def test_a_refusal_tells_its_further_findings(capsys: pytest.CaptureFixture[str]):
    places = [FieldProblem(pointer=f"/nodes/{at}", detail="is [/wrong]") for at in range(2)]
    refused(InvalidError("invalid", "/nodes/0: is [/wrong]", places))
    assert capsys.readouterr().err == "error: /nodes/0: is [/wrong]\n  /nodes/1: is [/wrong]\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [(InvalidError("x", "No."), EXIT_REFUSED), (UnavailableError("x", "Away."), EXIT_UNAVAILABLE)],
    ids=["refused", "nobody there"],
)
def test_the_exit_code_tells_a_refusal_from_silence(error: ServiceError, code: int):
    def run(main: Coroutine[Any, Any, None]) -> None:
        main.close()
        raise error

    async def main() -> None: ...

    with pytest.raises(SystemExit) as caught:
        told(main(), run)
    assert caught.value.code == code


def test_each_end_of_a_run_has_an_exit_code_of_its_own():
    assert set(EXIT_CODES) == {status for status in RunStatus if status.is_final}
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)


@pytest.mark.parametrize("status", [*RunStatus, *NodeStatus])
def test_every_state_has_a_colour(status: RunStatus | NodeStatus):
    assert "white" not in state(status) or status == "pending"


def test_a_text_output_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]):
    show_end(ended(output={"greet": {"text": "Hello [/b]"}}))
    assert capsys.readouterr().out == "completed in 12.3 ms\ngreet\nHello [/b]\n"


@pytest.mark.parametrize("output", [{"value": 1}, {"text": 5}, {}])
def test_any_other_output_is_shown_as_json(output: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    show_end(ended(output={"node": output}))
    assert orjson.loads(capsys.readouterr().out.split("node\n")[1]) == output


def test_a_failed_run_names_the_node_at_fault(capsys: pytest.CaptureFixture[str]):
    show_end(ended(status="failed", error={"code": "x", "message": "[/boom]", "node_key": "fetch"}))
    assert "node 'fetch': [/boom]" in capsys.readouterr().out
