"""What a trial found, for people and as one JSON line; each zero with the number of trials behind it."""

from __future__ import annotations

from typing import Any

import orjson

from tests.faults.trial import MOST_STANDSTILL_S, Trial

SHOWN = 5


def quantile(values: list[float], part: float) -> float:
    return values[min(len(values) - 1, int(len(values) * part))] if values else 0.0


def as_text(trial: Trial) -> str:
    found, stood = trial.findings, trial.standstills
    ends = ", ".join(f"{count} {status}" for status, count in sorted(found.ends.items()))
    lines = [
        f"seed                {trial.seed}, {trial.seconds:.0f} s",
        f"runs                {found.runs}: {ends}; {found.acknowledged} acknowledged",
        f"lost                {len(found.lost)} of {found.acknowledged} acknowledged",
        f"stuck               {len(found.stuck)} of {found.runs} runs",
        f"settled twice       {len(found.doubled)} of {found.attempts} attempts",
        f"changed after end   {len(found.changed_after_end)} of {found.runs} runs",
        f"not recorded        {len(found.unrecorded)} of {found.attempts} attempts",
        f"begun too early     {len(found.too_early)} of {found.attempts} attempts",
        f"forged              {len(found.forged)} of {found.attempts} attempts",
        f"bad answers         {len(found.bad_answers)} of {found.asked} clients",
        f"not asked for       {len(found.unasked)} of {found.runs} runs",
        f"wrong end or output {len(found.wrong)} of {found.acknowledged} acknowledged",
        f"two runs a key      {len(found.keys_with_two_runs)} of {found.keys} keys that were used twice",
        f"two runs a request  {len(found.asked_once)} of {found.plain} requests without an id",
        f"begun after cancel  {len(found.begun_after_cancel)} later than 1 s, {found.begun_in_grace} within it, "
        f"of {len(found.cancel_s)} cancels",
        f"time to cancelled   {_times(sorted(found.cancel_s))} cancels",
        f"standstill in calm  {_times(stood.of_all)} runs; promised are {MOST_STANDSTILL_S:g} s",
        f"recovery            {_times(stood.over_faults)} runs that a fault held up",
        f"peak memory         {_peaks(trial)}",
        f"extra executions    {len(found.extra)} of {found.executions}; by fault:",
    ]
    for name, count in sorted(trial.faults.items()):
        extra, most = trial.extra_by_fault[name], trial.most_extra(name)
        lines.append(f"  {count:4} {name:30} {extra:4} of at most {most} in flight")
    if trial.commits_cut:
        lines.append(f"commits cut         {trial.commits_cut}")
    for name, findings in trial.broken().items():
        lines += [f"BROKEN {name}: {text}" for text in findings[:SHOWN]]
    return "\n".join(lines)


def _times(values: list[float]) -> str:
    p50, p99, most = quantile(values, 0.5), quantile(values, 0.99), values[-1] if values else 0.0
    return f"p50 {p50:.2f} s, p99 {p99:.2f} s, max {most:.2f} s of {len(values)}"


def _peaks(trial: Trial) -> str:
    name, peak_mb = max(trial.peaks_mb.items(), key=lambda item: item[1], default=("none", 0.0))
    return f"{peak_mb:.0f} MB in {name}, the most of {len(trial.peaks_mb)} services"


def as_json(trial: Trial) -> str:
    """Everything that the text says; `of` holds the number of trials behind each count of `broken`."""
    found, stood = trial.findings, trial.standstills
    return orjson.dumps(
        {
            "seed": trial.seed,
            "seconds": round(trial.seconds, 1),
            "ends": dict(found.ends),
            "of": {
                "runs": found.runs,
                "acknowledged": found.acknowledged,
                "attempts": found.attempts,
                "executions": found.executions,
                "keys_used_twice": found.keys,
                "requests_without_id": found.plain,
                "cancels": len(found.cancel_s),
            },
            "broken": trial.broken(),
            "faults": {
                name: {
                    "count": count,
                    "extra_executions": trial.extra_by_fault[name],
                    "most_extra_executions": trial.most_extra(name),
                }
                for name, count in trial.faults.items()
            },
            "extra_executions": len(found.extra),
            "commits_cut": trial.commits_cut,
            "begun_within_1_s_of_cancel": found.begun_in_grace,
            "cancelled_s": _quantiles(sorted(found.cancel_s)),
            "standstill_s": _quantiles(stood.of_all),
            "recovery_s": _quantiles(stood.over_faults),
            "peak_mb": {name: round(peak_mb, 1) for name, peak_mb in trial.peaks_mb.items()},
        }
    ).decode()


def _quantiles(values: list[float]) -> dict[str, Any]:
    return {
        "p50": round(quantile(values, 0.5), 3),
        "p99": round(quantile(values, 0.99), 3),
        "max": round(values[-1], 3) if values else 0.0,
        "of": len(values),
    }
