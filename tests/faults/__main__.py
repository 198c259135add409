"""`make faults`: the long trial, with every fault there is."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from shared.logging import configure_logging
from tests.faults.catalogue import FAULTS, OUTAGES
from tests.faults.report import as_json, as_text
from tests.faults.system import system
from tests.faults.trial import Trial, seed_of_faults, try_out


async def trial(arguments: argparse.Namespace, folder: Path) -> Trial:
    known = FAULTS | OUTAGES
    faults = {name: known[name] for name in arguments.fault} if arguments.fault else FAULTS
    async with system(folder) as started:
        return await try_out(
            started,
            arguments.seed,
            seconds=arguments.seconds,
            rate=arguments.rate,
            calm_s=arguments.calm,
            faults=faults,
            say=lambda text: print(text, file=sys.stderr, flush=True),
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=seed_of_faults())
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--rate", type=float, default=10, help="runs started a second")
    parser.add_argument("--calm", type=float, default=3, help="seconds between two faults, about")
    parser.add_argument(
        "--fault", action="append", choices=sorted(FAULTS | OUTAGES), help="only this one; may be repeated"
    )
    arguments = parser.parse_args()
    configure_logging("faults", "ERROR", "console")
    folder = Path(tempfile.mkdtemp(prefix="pipewright-faults-"))
    print(f"seed {arguments.seed}: make faults ARGUMENTS='--seed {arguments.seed}' does the same again")
    done = asyncio.run(trial(arguments, folder))
    print(as_text(done))
    print(as_json(done))
    if done.broken():
        print(f"the logs and the data of the servers are in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
