"""Records: the result of one run, typed, versioned, written atomically."""

import json
import re
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from anonbench.cards import Strict
from anonbench.errors import CardError

SCHEMA_VERSION: Literal[1] = 1

Direction = Literal["higher", "lower", "none"]
Trust = Literal["published", "prefix", "first_use"]
"""What says that weights are the right ones: all of a hash, its first eight digits, or that they never changed."""


def _ordered(interval: tuple[float, float]) -> tuple[float, float]:
    if interval[0] > interval[1]:
        raise ValueError(f"interval {interval} is not in order")
    return interval


class Metric(Strict):
    """One measured value with everything needed to read it. Absent fields are meaningless here, never zero."""

    value: float = Field(allow_inf_nan=False)
    unit: str = Field(description="percent, distance, ratio, ...")
    direction: Direction = Field(description="which way is better")
    n: int = Field(ge=1, description="samples (queries, images, pairs) behind the value")
    interval: Annotated[tuple[float, float], AfterValidator(_ordered)] | None = Field(
        default=None, description="95 % interval; what is resampled stands in the protocol's docs"
    )
    seeds: tuple[float, ...] = Field(default=(), description="the value for each latent seed")
    chance: float | None = Field(default=None, description="exact value of a random ranking")
    floor: float | None = Field(default=None, description="the same measure, real images against real images")
    ceiling: float | None = Field(default=None, description="the value of the untouched images")


class ProtocolRun(Strict):
    """The protocol that was run."""

    name: str
    version: int
    preset: str
    card_digest: str


class ModelRun(Strict):
    """The anonymizer that was measured."""

    name: str
    kind: str
    card_digest: str
    checkpoint_sha256: str | None = None


class DataRun(BaseModel):
    """The data it was measured on. Not `Strict`, whose property `digest` would hide the field of that name."""

    model_config = Strict.model_config

    name: str
    digest: str
    size: tuple[int, int] | None = Field(
        default=None, description="(H, W) of the crops in pixels; absent where only features are known"
    )
    counts: dict[str, int] = Field(description="samples, identities, queries, gallery, ...")
    notes: tuple[str, ...] = ()


class DetectionShares(Strict):
    """How many crops had each detection outcome (thesis section 6.3), as fractions of all crops."""

    surface: float = Field(ge=0, le=1)
    mask_only: float = Field(ge=0, le=1)
    none: float = Field(ge=0, le=1)


class WeightsRun(Strict):
    """A weight file that an extractor was made from."""

    sha256: str
    trust: Trust


class Environment(Strict):
    """What the numbers were made with."""

    anonbench: str
    python: str
    platform: str
    device: str
    packages: dict[str, str]
    git_commit: str | None = None
    git_dirty: bool | None = None


class Record(Strict):
    """The result of one protocol for one model on one dataset."""

    schema_version: Literal[1] = SCHEMA_VERSION
    protocol: ProtocolRun
    model: ModelRun
    data: DataRun
    seeds: tuple[int, ...]
    extractors: dict[str, str] = Field(
        description="extractor name -> digest of its weights and preprocessing"
    )
    variants: dict[str, str] = Field(
        default_factory=dict, description="extractor name -> how images enter it and what comes out, in words"
    )
    weights: dict[str, WeightsRun] = Field(
        default_factory=dict, description="name in the registry -> the file that was used"
    )
    metrics: dict[str, Metric] = Field(
        min_length=1, description="<protocol>[.<setting>].<statistic>.<extractor>"
    )
    detection: DetectionShares | None = Field(default=None, description="absent where it is not known")
    samples: str | None = Field(default=None, description="file name of the per-sample values (Parquet)")
    galleries: dict[str, str] = Field(default_factory=dict, description="gallery name -> PNG file name")
    environment: Environment
    seconds: dict[str, float] = Field(description="wall seconds per stage")
    peak_memory_mib: float = Field(ge=0)
    command: str
    created: str = Field(description="UTC, ISO 8601")

    @property
    def slug(self) -> str:
        """File stem: model, protocol, data and preset."""
        data = re.sub(r"[/, ]+", "-", self.data.name)
        return f"{self.model.name}.{self.protocol.name}.{data}.{self.protocol.preset}"


Read = TypeVar("Read", bound=BaseModel)


def write_record(record: Record, path: Path) -> None:
    """Write a record as JSON, atomically: a reader sees the old file or the whole new one."""
    write_json(record.model_dump(mode="json", exclude_none=True), path)


def read_record(path: Path) -> Record:
    """Read and validate a record. Raises CardError naming the file and the key."""
    return read_json(path, Record)


def read_json(path: Path, kind: type[Read]) -> Read:
    """A record of some kind from its JSON file. Raises CardError naming the file and the key."""
    try:
        return kind.model_validate(json.loads(path.read_text()))
    except OSError as error:
        raise CardError(f"{path}: cannot read the record ({error.strerror})") from error
    except json.JSONDecodeError as error:
        raise CardError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise CardError(f"{path}: key '{key}': {first['msg'].lower()}") from error


def write_json(content: Any, path: Path) -> None:
    """Write JSON to a temporary name in the same folder and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
