"""SyntheticDataset: the splits as crops, rendered on first use into the cache."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from anonbench.cache import cache_dir, make_folder
from anonbench.crops import Outcome, PersonCrops
from anonbench.datasets.synthetic.chunks import CHUNK, Job, default_workers, read_chunk, render_chunks
from anonbench.datasets.synthetic.splits import FRAME_RATE, SPLITS, Plan, Split
from anonbench.errors import UsageError

VERSION = 1
"""Raise it whenever any rendered byte changes: it is part of every digest and cache key."""


class SyntheticDataset:
    """One split of synthetic people at one size, a `CropDataset`.

    split: train, val, reid, reid_train, pose_swap, background_swap, walks or steps (`SPLITS`).
    size: (H, W), multiples of 8.
    count: number of samples for train and val, of identities or clips for the other splits; None: the split's own.
    seed: another seed gives other people, places and shots.
    cache: folder to render into, None: `cache_dir()`.
    workers: rendering processes, None: one per CPU core. They never change a byte.
    correlation: how strongly surroundings tell about people, 0 to 1; None: the split's own. For `train` and
        `val` only: the other splits are factorial, and that is what they are for.

    Raises UsageError for an unknown split, an impossible size, count or correlation.
    """

    notes: tuple[str, ...] = ()
    flow_source = "exact"
    frame_rate = FRAME_RATE

    def __init__(
        self,
        split: str,
        size: tuple[int, int] = (288, 160),
        count: int | None = None,
        seed: int = 0,
        cache: Path | None = None,
        workers: int | None = None,
        correlation: float | None = None,
    ) -> None:
        if split not in SPLITS:
            raise UsageError(f"synthetic has no split {split!r}: choose one of {', '.join(SPLITS)}")
        if min(size) < 8 or size[0] % 8 or size[1] % 8:
            raise UsageError(f"synthetic size {size[0]}x{size[1]}: height and width must be multiples of 8")
        if count is not None and count < 1:
            raise UsageError(f"synthetic/{split} needs a count of at least 1, got {count}")
        self._split = _with_correlation(SPLITS[split], correlation)
        self._seed = seed
        self._workers = workers or default_workers()
        self.name = f"synthetic/{split}"
        self.size = size
        self.count = count or self._split.count
        content = ["synthetic", VERSION, split, seed, *size, self.count, self._split.correlation]
        self.digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        self.samples = _table([self._split.plan(self._split, seed, i) for i in range(len(self))])
        # Without the count: a larger set reuses what a smaller one rendered.
        place = f"{split}-{size[0]}x{size[1]}-seed{seed}"
        if self._split.correlation != SPLITS[split].correlation:
            place += f"-correlation{self._split.correlation:g}"
        self._folder = (cache or cache_dir()) / "synthetic" / f"v{VERSION}" / place

    def __len__(self) -> int:
        return self.count * self._split.per_count

    def prepare(self, progress: bool = True) -> None:
        """Render what the cache lacks. A killed run leaves whole files only and is continued by the next.

        progress: show a bar on stderr. Raises CacheError where the folder is not writable.
        """
        self._render(range((len(self) - 1) // CHUNK + 1), progress)

    def load(self, indices: Sequence[int]) -> PersonCrops:
        """The crops at `indices`, rendered first where the cache lacks them.

        Raises IndexError for positions outside the set, CacheError for a damaged cache file.
        """
        arrays = self._read(indices, ("image", "person_mask", "surface", "keypoints"))
        rows = self.samples.iloc[np.asarray(indices, dtype=np.int64)]
        return PersonCrops(
            image=torch.from_numpy(arrays["image"]),
            person_mask=torch.from_numpy(arrays["person_mask"].astype(bool)),
            surface=torch.from_numpy(arrays["surface"].astype(np.int32)),
            keypoints=torch.from_numpy(arrays["keypoints"]),
            person_id=torch.tensor(rows["person_id"].to_numpy(), dtype=torch.int64),
            camera_id=torch.tensor(rows["camera_id"].to_numpy(), dtype=torch.int64),
            outcome=torch.full((len(rows),), int(Outcome.SURFACE)),
            key=tuple(rows["key"]),
        )

    def plates(self, indices: Sequence[int]) -> Tensor:
        """uint8 (B, 3, H, W): the same shots without the person, their shadow and the occluder."""
        return torch.from_numpy(self._read(indices, ("plate",))["plate"])

    def flow(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Exact backward optical flow of `walks` (see `ClipDataset.flow`). Raises UsageError for other splits."""
        if self._split.name != "walks":
            raise UsageError(f"{self.name} holds no clips: only synthetic/walks has optical flow")
        arrays = self._read(indices, ("flow", "flow_valid"))
        return torch.from_numpy(arrays["flow"]), torch.from_numpy(arrays["flow_valid"].astype(bool))

    def attributes(self) -> pd.DataFrame:
        """What the renderer knows about the person of every sample (`AttributedDataset.attributes`)."""
        from anonbench.datasets.synthetic.attributes import attributes_of
        from anonbench.datasets.synthetic.wardrobe import identity

        plans = {
            plan.person: plan
            for plan in (self._split.plan(self._split, self._seed, i) for i in range(len(self)))
        }
        people = {
            number: attributes_of(identity(self._seed, number, plan.dress_theme, plan.correlation))
            for number, plan in plans.items()
        }
        return pd.DataFrame([people[number] for number in self.samples["person_id"]])

    def _read(self, indices: Sequence[int], names: Sequence[str]) -> dict[str, NDArray[Any]]:
        # NumPy, not torch: its indexing starts no threads, which crawl on a busy machine.
        positions = np.asarray(indices, dtype=np.int64).reshape(-1)
        if not len(positions):
            raise ValueError(f"{self.name}: load needs at least one index")
        if positions.min() < 0 or positions.max() >= len(self):
            asked = f"{positions.min()}..{positions.max()}"
            raise IndexError(f"{self.name} has {len(self)} samples, asked for {asked}")
        chunks = np.unique(positions // CHUNK).tolist()
        self._render(chunks, progress=True)
        result: dict[str, NDArray[Any]] = {}
        for chunk in chunks:
            here = np.flatnonzero(positions // CHUNK == chunk)
            for name, stored in read_chunk(self._file(chunk), names).items():
                if name not in result:
                    result[name] = np.empty((len(positions), *stored.shape[1:]), stored.dtype)
                result[name][here] = stored[positions[here] % CHUNK]
        return result

    def _file(self, chunk: int) -> Path:
        return self._folder / f"{chunk:05d}.safetensors"

    def _render(self, chunks: Sequence[int], progress: bool) -> None:
        missing = [c for c in chunks if not self._file(c).exists()]
        if not missing:
            return
        make_folder(self._folder)  # a folder that cannot be written fails before any worker starts
        tie = self._split.correlation
        jobs = [Job(self._split.name, tie, self._seed, self.size, c, str(self._file(c))) for c in missing]
        text = f"render {self.name} {self.size[0]}x{self.size[1]}"
        with _progress_bar(text, len(jobs), progress) as advance:
            render_chunks(jobs, self._workers, advance)


def _with_correlation(split: Split, correlation: float | None) -> Split:
    if correlation is None or correlation == split.correlation:
        return split
    if split.name not in ("train", "val"):
        raise UsageError(f"synthetic/{split.name} is factorial: no context correlation can be chosen for it")
    if not 0 <= correlation <= 1:
        raise UsageError(f"a context correlation lies between 0 and 1, got {correlation}")
    return replace(split, correlation=float(correlation))


def _table(plans: Sequence[Plan]) -> pd.DataFrame:
    columns: dict[str, list[Any]] = {
        "key": [p.key for p in plans],
        "person_id": [p.person for p in plans],
        "camera_id": [p.camera for p in plans],
        "role": [p.role for p in plans],
    }
    factors = [p.factors for p in plans if p.factors is not None]
    if factors:
        columns["identity"], columns["pose"], columns["background"] = map(list, zip(*factors, strict=True))
    moments = [p.moment for p in plans if p.moment is not None]
    if moments:
        columns["clip"], columns["frame"] = map(list, zip(*moments, strict=True))
    if any(p.step is not None for p in plans):
        columns["step"] = [p.step for p in plans]
    return pd.DataFrame(columns)


@contextmanager
def _progress_bar(text: str, total: int, show: bool) -> Iterator[Callable[[], None]]:
    """A rich progress bar on stderr; yields what advances it by one."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not show) as bar:
        task = bar.add_task(text, total=total)
        yield lambda: bar.advance(task)
