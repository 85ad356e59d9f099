"""What a check found, for a log and for a program."""

from collections.abc import Iterable, Sequence
from typing import Any

from anonbench.reporting.labels import decimals
from anonbench.reporting.regression import ALPHA, Change, summary

_WORDS = {"worse": "FELL", "missing": "MISSING", "better": "rose", "same": "same"}
_BASIS = {
    "samples": "paired over {groups} groups",
    "intervals": "from both intervals",
    "seeds": "from the seeds",
    "no spread": "no spread is known",
    "tolerance": "beyond the given tolerance",
}


def lines(changes: Sequence[Change], verbose: bool = False) -> list[str]:
    """One line per change that matters, failures first, and a summary; verbose: one per metric."""
    order = ("worse", "missing", "better", "same") if verbose else ("worse", "missing", "better")
    shown = [change for status in order for change in changes if change.status == status]
    return [*map(line, shown), verdict(changes)]


def line(change: Change) -> str:
    """`FELL final.reid.synthetic-reid.demo reid.same_latent.map.x: 66.7 -> 60.2 (-6.5; ...)`."""
    head = f"{_WORDS[change.status]:7} {change.record} {change.key}".rstrip()
    if change.baseline is None or change.current is None:
        return f"{head}: {'no such metric' if change.key else 'no such record'} now"
    before, now = change.baseline.value, change.current.value
    places = decimals(change.baseline.unit, (before, now))
    facts = [f"{now - before:+.{places}f}"]
    if change.interval:
        low, high = change.interval
        facts.append(f"95 % interval [{low:+.{places}f}, {high:+.{places}f}]")
    if change.p is not None:
        facts.append(f"p {'< 0.001' if change.p < 0.001 else f'= {change.p:.3f}'}")
    if change.basis:
        facts.append(_BASIS[change.basis].format(groups=change.groups))
    return f"{head}: {before:.{places}f} -> {now:.{places}f} ({', '.join(facts)})"


def verdict(changes: Iterable[Change]) -> str:
    """The last line: how many fell, how many rose."""
    counts = summary(changes)
    total = sum(counts.values())
    parts = [f"{counts['worse']} fell", f"{counts['missing']} missing", f"{counts['better']} rose"]
    outcome = "regression" if counts["worse"] + counts["missing"] else "no regression"
    return f"{outcome}: {', '.join(parts)} of {total} metrics"


def as_json(changes: Sequence[Change]) -> dict[str, Any]:
    """Everything, for a program."""
    return {
        "failed": any(change.failed for change in changes),
        "alpha": ALPHA,
        "counts": summary(changes),
        "changes": [_fields(change) for change in changes],
    }


def _fields(change: Change) -> dict[str, Any]:
    fields = {
        "record": change.record,
        "metric": change.key or None,
        "status": change.status,
        "baseline": change.baseline and change.baseline.value,
        "current": change.current and change.current.value,
        "difference": change.difference,
        "interval": change.interval,
        "p": change.p,
        "basis": change.basis or None,
        "groups": change.groups,
    }
    return {name: value for name, value in fields.items() if value is not None}
