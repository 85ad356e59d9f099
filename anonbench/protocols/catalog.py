"""What every metric is: one entry per statistic, in `protocols/metrics/`; docs/metrics.md is made from it.

Tests hold the entries against every record in results/packaged and against fresh runs.
"""

import itertools
import re
from functools import cache

from pydantic import Field

from anonbench.cards import Strict, packaged_card, packaged_cards
from anonbench.features.extractors import EXTRACTORS
from anonbench.protocols.registry import protocol_card, protocol_names
from anonbench.records import Direction
from anonbench.reporting.labels import MetricKey

_BRACES = re.compile(r"\{([^{}]*)\}")


class MetricEntry(Strict):
    """One statistic of a protocol, or several that differ only in a setting or a rank."""

    key: str = Field(
        pattern=r"^[a-z0-9_.{},]+$",
        description="[<setting>.]<statistic>; braces hold alternatives: {original,same_latent}.rank{1,5}",
    )
    definition: str = Field(description="what is computed, as a formula where there is one")
    source: str = Field(description="paper and equation, thesis section; 'anonbench' for its own")
    unit: str = Field(description="the unit in records")
    range: str = Field(description="the values it can take, and what the ends mean")
    direction: Direction
    needs: str = Field(description="how many samples make it worth reading")
    extractors: tuple[str, ...] = Field(
        min_length=1, description="last parts of the keys; a kind of extractors stands for all of them"
    )
    when: str | None = Field(default=None, description="when records hold it; none: always")
    parity: tuple[str, ...] = Field(default=(), description="tests in tests/parity, without test_")

    @property
    def measures(self) -> list[str]:
        """The keys it stands for, without protocol and extractor."""
        literals = _BRACES.split(self.key)
        literals[1::2] = [f"{{{choices}}}" for choices in literals[1::2]]
        options = [part.strip("{}").split(",") if part.startswith("{") else [part] for part in literals]
        return ["".join(parts) for parts in itertools.product(*options)]

    @property
    def extractor_keys(self) -> list[str]:
        """The last parts of its keys."""
        kinds = {entry.kind for entry in EXTRACTORS.values()}
        keys: list[str] = []
        for name in self.extractors:
            keys += [e.key for e in EXTRACTORS.values() if e.kind == name] if name in kinds else [name]
        return keys


class MetricTable(Strict):
    """All statistics of one protocol, in the order of the docs."""

    name: str
    metrics: tuple[MetricEntry, ...] = Field(min_length=1)


def metric_tables() -> list[MetricTable]:
    """The tables of all protocols that have one, in the order of reports."""
    tables = packaged_cards("protocols/metrics", MetricTable)
    return [tables[name] for name in protocol_names() if name in tables]


def metric_table(protocol: str) -> MetricTable:
    """The table of one protocol. Raises UsageError listing the valid names."""
    protocol_card(protocol)
    return packaged_card("protocols/metrics", protocol, MetricTable)


def find_entry(key: str) -> MetricEntry | None:
    """The entry of a metric key of any extractor; none for an unknown statistic."""
    return _entries().get(MetricKey.parse(key).measure)


@cache
def _entries() -> dict[str, MetricEntry]:
    """Entries by `<protocol>[.<setting>].<statistic>`. Raises ValueError where two describe the same."""
    found: dict[str, MetricEntry] = {}
    for table in metric_tables():
        for entry in table.metrics:
            for measure in entry.measures:
                name = f"{table.name}.{measure}"
                if name in found:
                    raise ValueError(f"protocols/metrics/{table.name}.yaml: two entries describe {name}")
                found[name] = entry
    return found
