"""SyntheticDataset: the splits as crops, rendered on first use into the cache."""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from anonbench.cache import cache_dir, write_atomic
from anonbench.crops import Outcome, PersonCrops
from anonbench.datasets.synthetic.splits import SPLITS, Plan
from anonbench.errors import CacheError, UsageError

VERSION = 1
"""Raise it whenever any rendered byte changes: it is part of every digest and cache key."""

CHUNK = 64
"""Samples in one cache file."""

FIELDS = ("image", "plate", "person_mask", "surface", "keypoints")


class SyntheticDataset:
    """One split of synthetic people at one size, a `CropDataset`.

    split: train, val, reid, reid_train, pose_swap or background_swap (`SPLITS`).
    size: (H, W), multiples of 8.
    count: number of samples for train and val, of identities for the other splits; None: the split's own.
    seed: another seed gives other people, places and shots.
    cache: folder to render into, None: `cache_dir()`.
    workers: rendering processes, None: one per CPU core. They never change a byte.
    """

    def __init__(
        self,
        split: str,
        size: tuple[int, int] = (288, 160),
        count: int | None = None,
        seed: int = 0,
        cache: Path | None = None,
        workers: int | None = None,
    ) -> None:
        if split not in SPLITS:
            raise UsageError(f"synthetic has no split {split!r}: choose one of {', '.join(SPLITS)}")
        if min(size) < 8 or size[0] % 8 or size[1] % 8:
            raise UsageError(f"synthetic size {size[0]}x{size[1]}: height and width must be multiples of 8")
        if count is not None and count < 1:
            raise UsageError(f"synthetic/{split} needs a count of at least 1, got {count}")
        self._split = SPLITS[split]
        self._seed = seed
        self._workers = workers or os.cpu_count() or 1
        self.name = f"synthetic/{split}"
        self.size = size
        self.count = count or self._split.count
        identity = ["synthetic", VERSION, split, seed, *size, self.count, self._split.correlation]
        self.digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        self.notes: tuple[str, ...] = ()
        self._plans = [self._split.plan(self._split, seed, i) for i in range(len(self))]
        self.samples = _table(self._plans)
        # Not keyed by count: a larger set reuses what a smaller one rendered.
        shape = f"{split}-{size[0]}x{size[1]}-seed{seed}"
        self._folder = (cache or cache_dir()) / "synthetic" / f"v{VERSION}" / shape

    def __len__(self) -> int:
        return self.count * self._split.per_count

    def prepare(self, progress: bool = True) -> None:
        """Render what the cache lacks. A killed run leaves whole files only and is continued by the next.

        progress: show a bar on stderr. Raises CacheError where the folder is not writable.
        """
        self._render(range(self._chunk_of(len(self) - 1) + 1), progress)

    def load(self, indices: Sequence[int]) -> PersonCrops:
        """The crops at `indices`, rendered first where the cache lacks them.

        Raises IndexError for positions outside the set, CacheError for a damaged cache file.
        """
        fields = self._read(indices, ("image", "person_mask", "surface", "keypoints"))
        rows = self.samples.iloc[list(indices)]
        return PersonCrops(
            image=fields["image"],
            person_mask=fields["person_mask"],
            surface=fields["surface"],
            keypoints=fields["keypoints"],
            person_id=torch.tensor(rows["person_id"].to_numpy(), dtype=torch.int64),
            camera_id=torch.tensor(rows["camera_id"].to_numpy(), dtype=torch.int64),
            outcome=torch.full((len(rows),), int(Outcome.SURFACE)),
            key=tuple(rows["key"]),
        )

    def plates(self, indices: Sequence[int]) -> Tensor:
        """uint8 (B, 3, H, W): the same shots without the person, their shadow and the occluder."""
        return self._read(indices, ("plate",))["plate"]

    def _read(self, indices: Sequence[int], names: Sequence[str]) -> dict[str, Tensor]:
        positions = np.asarray(indices, dtype=np.int64).reshape(-1)
        if len(positions) and (positions.min() < 0 or positions.max() >= len(self)):
            raise IndexError(f"{self.name} has {len(self)} samples, asked for {positions.min()}..{positions.max()}")
        chunks = sorted({self._chunk_of(int(i)) for i in positions})
        self._render(chunks, progress=True)
        result: dict[str, Tensor] = {}
        for chunk in chunks:
            here = np.flatnonzero(positions // CHUNK == chunk)
            within = torch.from_numpy(positions[here] % CHUNK)
            for name, stored in _load_chunk(self._file(chunk), names).items():
                rows = result.setdefault(name, stored.new_empty((len(positions), *stored.shape[1:])))
                rows[torch.from_numpy(here)] = stored[within]
        for name in names:
            result.setdefault(name, _empty(name, self.size))
        return result

    def _chunk_of(self, index: int) -> int:
        return index // CHUNK

    def _file(self, chunk: int) -> Path:
        return self._folder / f"{chunk:05d}.safetensors"

    def _render(self, chunks: Sequence[int], progress: bool) -> None:
        missing = [c for c in chunks if not self._file(c).exists()]
        if not missing:
            return
        jobs = {self._file(c): self._chunk_plans(c) for c in missing}
        with _progress_bar(f"render {self.name} {self.size[0]}x{self.size[1]}", len(missing), progress) as advance:
            if self._workers == 1 or len(missing) == 1:
                for file, plans in jobs.items():
                    render_chunk(file, self._seed, plans, self.size)
                    advance()
                return
            # Spawned, not forked: a fork of a process with running threads may hang.
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(min(self._workers, len(missing)), context) as pool:
                # One worker lets anny fill its cache; otherwise each of them would build it.
                pool.submit(_build_model).result()
                done = [pool.submit(render_chunk, f, self._seed, p, self.size) for f, p in jobs.items()]
                for future in as_completed(done):
                    future.result()
                    advance()

    def _chunk_plans(self, chunk: int) -> list[Plan]:
        """Chunks are always whole, so that sets of another count can use them."""
        return [self._split.plan(self._split, self._seed, i) for i in range(chunk * CHUNK, (chunk + 1) * CHUNK)]


def render_chunk(file: Path, seed: int, plans: Sequence[Plan], size: tuple[int, int]) -> None:
    """Render `plans` into one safetensors file, images as uint8 (N, 3, H, W). Runs in worker processes."""
    from anonbench.datasets.synthetic.body import body
    from anonbench.datasets.synthetic.render import render

    torch.set_num_threads(1)
    samples = render(body(), seed, plans, size)

    def stacked(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(sample, name) for sample in samples]))

    tensors = {
        "image": stacked("image").permute(0, 3, 1, 2),
        "plate": stacked("plate").permute(0, 3, 1, 2),
        "person_mask": stacked("person_mask")[:, None].to(torch.uint8),
        "surface": stacked("surface").to(torch.int16),
        "keypoints": stacked("keypoints"),
    }
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_atomic(file, lambda path: save_file(contiguous, path))


def _load_chunk(file: Path, names: Sequence[str]) -> dict[str, Tensor]:
    try:
        with safe_open(file, framework="pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise CacheError(f"damaged cache file {file}: delete it, it is rendered again ({error})") from error
    if "person_mask" in tensors:
        tensors["person_mask"] = tensors["person_mask"].bool()
    if "surface" in tensors:
        tensors["surface"] = tensors["surface"].to(torch.int32)
    return tensors


def _empty(name: str, size: tuple[int, int]) -> Tensor:
    shapes: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
        "image": ((0, 3, *size), torch.uint8),
        "plate": ((0, 3, *size), torch.uint8),
        "person_mask": ((0, 1, *size), torch.bool),
        "surface": ((0, *size), torch.int32),
        "keypoints": ((0, 17, 3), torch.float32),
    }
    shape, dtype = shapes[name]
    return torch.empty(shape, dtype=dtype)


def _build_model() -> None:
    from anonbench.datasets.synthetic.body import body

    body()


def _table(plans: Sequence[Plan]) -> pd.DataFrame:
    columns: dict[str, list[Any]] = {
        "key": [p.key for p in plans],
        "person_id": [p.person for p in plans],
        "camera_id": [p.camera for p in plans],
        "role": [p.role for p in plans],
    }
    factors = [p.factors for p in plans if p.factors is not None]
    if factors:
        columns |= dict(zip(("identity", "pose", "background"), map(list, zip(*factors, strict=True)), strict=True))
    return pd.DataFrame(columns)


@contextmanager
def _progress_bar(text: str, total: int, show: bool) -> Iterator[Any]:
    """A rich progress bar on stderr; yields what advances it by one."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not show) as bar:
        task = bar.add_task(text, total=total)
        yield lambda: bar.advance(task)
