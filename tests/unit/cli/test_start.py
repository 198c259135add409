"""A command begins at once."""

from __future__ import annotations

import subprocess
import sys

#: Each takes a tenth of a second or more, and most commands need none or one of them.
HEAVY = {"faststream", "httpx", "nats", "psycopg", "pydantic_settings", "structlog"}


def test_the_command_line_loads_nothing_that_only_some_commands_need() -> None:
    program = f"import sys, services.cli.main; print(*sorted({HEAVY} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


def test_a_client_over_nats_loads_no_framework_of_services() -> None:
    program = "import sys, shared.client; print('faststream' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
