"""How much a metric may lose, as the user says it: `0.5`, `2%`, `reid.same_latent.map=1.5`, `fid.*=3%`."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from anonbench.errors import UsageError
from anonbench.reporting.labels import MetricKey


@dataclass(frozen=True)
class Tolerance:
    """One of them. pattern: metric key, with or without its extractor, where * stands for anything."""

    text: str
    pattern: str
    amount: float
    relative: bool

    @classmethod
    def parse(cls, text: str) -> "Tolerance":
        """From the command line. Raises UsageError."""
        pattern, _, amount = text.rpartition("=")
        number = amount.strip()
        try:
            value = float(number.removesuffix("%"))
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise UsageError(
                f"tolerance '{text}': give VALUE or METRIC=VALUE, VALUE being a number from 0 on in the metric's unit "
                "or with % a share of the baseline, as in reid.same_latent.map=1.5 or 2%"
            )
        relative = number.endswith("%")
        return cls(text, pattern.strip() or "*", value / 100 if relative else value, relative)

    def fits(self, key: str) -> bool:
        """Whether it speaks of a metric."""
        return fnmatchcase(key, self.pattern) or fnmatchcase(MetricKey.parse(key).measure, self.pattern)


@dataclass(frozen=True)
class Tolerances:
    """Several of them; of those that fit a metric the longest pattern counts, of equals the last."""

    given: tuple[Tolerance, ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "Tolerances":
        """From the command line. Raises UsageError."""
        return cls(tuple(map(Tolerance.parse, texts)))

    def of(self, key: str, baseline: float) -> float | None:
        """How far a metric may fall from its value in the baseline; none where nothing is said of it."""
        fitting = [tolerance for tolerance in self.given if tolerance.fits(key)]
        if not fitting:
            return None
        chosen = max(enumerate(fitting), key=lambda item: (len(item[1].pattern), item[0]))[1]
        return chosen.amount * abs(baseline) if chosen.relative else chosen.amount

    def require_fitting(self, keys: Iterable[str]) -> None:
        """Raise UsageError for one that fits none of the metrics: a slip of the pen would check nothing."""
        known = list(keys)
        for tolerance in self.given:
            if not any(map(tolerance.fits, known)):
                raise UsageError(
                    f"tolerance '{tolerance.text}' fits no metric of the baseline; check its name"
                )
