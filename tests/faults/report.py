"""What a trial found, for people and as one JSON line; each zero with the number of trials behind it."""

from __future__ import annotations

import orjson

from tests.faults.trial import Trial

SHOWN = 5


def quantile(values: list[float], part: float) -> float:
    return values[min(len(values) - 1, int(len(values) * part))] if values else 0.0


def as_text(trial: Trial) -> str:
    found = trial.findings
    ends = ", ".join(f"{count} {status}" for status, count in sorted(found.ends.items()))
    faults = ", ".join(f"{count} {name}" for name, count in sorted(trial.faults.items()))
    lines = [
        f"seed                {trial.seed}, {trial.seconds:.0f} s",
        f"runs                {found.runs}: {ends}; {found.acknowledged} acknowledged",
        f"faults              {sum(trial.faults.values())}: {faults}",
        f"lost                {len(found.lost)} of {found.acknowledged} acknowledged",
        f"stuck               {len(found.stuck)} of {found.runs} runs",
        f"settled twice       {len(found.doubled)} of {found.attempts} attempts",
        f"changed after end   {len(found.changed_after_end)} of {found.runs} runs",
        f"not recorded        {len(found.unrecorded)} of {found.attempts} attempts",
        f"begun too early     {len(found.too_early)} of {found.attempts} attempts",
        f"wrong end or output {len(found.wrong)} of {found.acknowledged} runs",
        f"two runs a key      {len(found.keys_with_two_runs)} of {found.acknowledged}",
        f"begun after cancel  {len(found.begun_after_cancel)} of {len(found.cancel_s)} cancels",
        f"time to cancelled   {_times(sorted(found.cancel_s))}",
        f"extra executions    {found.extra} of {found.executions}; at the most {trial.most_extra} were in flight "
        f"at {trial.disruptions} disruptions",
        f"standstill in calm  {_times(trial.standstills)}",
    ]
    for name, findings in found.broken().items():
        lines += [f"BROKEN {name}: {text}" for text in findings[:SHOWN]]
    return "\n".join(lines)


def _times(values: list[float]) -> str:
    p50, p99, most = quantile(values, 0.5), quantile(values, 0.99), values[-1] if values else 0.0
    return f"p50 {p50:.2f} s, p99 {p99:.2f} s, max {most:.2f} s of {len(values)}"


def as_json(trial: Trial) -> str:
    found = trial.findings
    return orjson.dumps(
        {
            "seed": trial.seed,
            "seconds": round(trial.seconds, 1),
            "runs": found.runs,
            "acknowledged": found.acknowledged,
            "ends": dict(found.ends),
            "faults": dict(trial.faults),
            "attempts": found.attempts,
            "executions": found.executions,
            "extra_executions": found.extra,
            "broken": found.broken(),
            "standstill_s": {
                "p50": round(quantile(trial.standstills, 0.5), 3),
                "p99": round(quantile(trial.standstills, 0.99), 3),
                "max": round(trial.standstills[-1], 3) if trial.standstills else 0,
            },
        }
    ).decode()
