"""`make simulate`: many seeds, or one with every effect told."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulator.simulation import BrokenError, Simulation


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5000, help="how many")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first one")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--trace", action="store_true", help="tell every effect")
    arguments = parser.parse_args()
    first, count = (arguments.first, arguments.seeds) if arguments.seed is None else (arguments.seed, 1)
    began, kills = time.monotonic(), 0
    for seed in range(first, first + count):
        simulation = Simulation(seed, say=print if arguments.trace else lambda text: None)
        try:
            simulation.run()
        except BrokenError as error:
            print(error)
            return 1
        kills += simulation.kills
    seconds = time.monotonic() - began
    print(f"{count} seeds, {kills} deaths, nothing broken; {count / seconds * 60:.0f} seeds a minute")
    return 0


if __name__ == "__main__":
    sys.exit(main())
