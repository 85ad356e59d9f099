"""Records with made-up numbers. Nothing here was ever measured."""

from collections.abc import Mapping, Sequence
from typing import Any

from anonbench.records import DataRun, DetectionShares, Environment, Metric, ModelRun, ProtocolRun, Record

FAKE_DIGEST = "fabricated" + "0" * 54


def metric(value: float, *, spread: float = 0.2, direction: str = "higher", **more: Any) -> Metric:
    """A made-up metric: three seeds around `value` with the range `spread`, an interval five spreads wide."""
    defaults: dict[str, Any] = {
        "unit": "percent",
        "n": 123,
        "interval": (value - 2.5 * spread, value + 2.5 * spread),
        "seeds": (value - spread / 2, value, value + spread / 2),
    }
    return Metric(value=value, direction=direction, **(defaults | more))


def record(
    model: str,
    metrics: Mapping[str, Metric],
    *,
    kind: str = "generator",
    protocol: str | None = None,
    data: str | DataRun = "fabricated",
    preset: str = "demo",
    **more: Any,
) -> Record:
    """A made-up record; the protocol is that of the first metric key."""
    defaults: dict[str, Any] = {
        "seeds": (0, 1, 2),
        "extractors": {key.split(".")[-1]: FAKE_DIGEST for key in metrics},
        "detection": DetectionShares(surface=0.9, mask_only=0.06, none=0.04),
        "environment": Environment(
            anonbench="0.0.0+fabricated",
            python="3.11",
            platform="fabricated",
            device="cpu",
            packages={"torch": "0.0"},
            git_commit="fabricated",
            git_dirty=False,
        ),
        "seconds": {"generate": 1.5, "score": 0.5},
        "peak_memory_mib": 100.0,
        "command": f"anonbench run fabricated --model {model}",
        "created": "2000-01-01T00:00:00Z",
        "data": data if isinstance(data, DataRun) else data_run(data),
        "model": ModelRun(name=model, kind=kind, card_digest=f"card-{model}"),
    }
    name = protocol or next(iter(metrics)).split(".")[0]
    run = ProtocolRun(name=name, version=1, preset=preset, card_digest=f"card-{name}")
    return Record(protocol=run, metrics=dict(metrics), **(defaults | more))


def data_run(
    name: str = "fabricated", *, size: tuple[int, int] = (8, 4), digest: str = FAKE_DIGEST
) -> DataRun:
    """Made-up data of tiny crops."""
    return DataRun(
        name=name, digest=digest, size=size, counts={"samples": 123}, notes=("numbers are made up",)
    )


def reid(value: float, *, spread: float = 0.2) -> dict[str, Metric]:
    """A made-up mAP with one latent per identity."""
    return {"reid.same_latent.map.fake_osnet": metric(value, spread=spread, chance=4.0, ceiling=80.0)}


def fid(value: float, *, spread: float = 0.2) -> dict[str, Metric]:
    """A made-up Fréchet distance."""
    return {"fid.value.fake_net": metric(value, spread=spread, direction="lower", unit="distance", floor=1.5)}


def small_set() -> Sequence[Record]:
    """Three models, two protocols."""
    return [
        record("baseline", reid(5.0)),
        record("final", reid(30.0)),
        record("original", reid(80.0, spread=0.0), kind="original"),
        record("baseline", fid(20.0)),
        record("final", fid(25.0)),
        record("original", fid(1.5, spread=0.0), kind="original"),
    ]
