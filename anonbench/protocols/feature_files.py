"""Features of any network from an .npz file, for protocols that need nothing else (docs/features.md)."""

import hashlib
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonbench.crops import Outcome
from anonbench.errors import DataError
from anonbench.features.extractors import EXTRACTORS
from anonbench.metrics.ranking import DISTRACTOR_ID
from anonbench.protocols.reid_labels import Integers, Labels

Array = NDArray[Any]
Features = NDArray[np.float32]

REID_FEATURES = ("features", "same_latent", "fresh_latent")
NAMES = ("extractor", "model", "data")
ARRAYS = {
    "reid": (*REID_FEATURES, "ids", "cameras", "keys", "roles", "outcomes", *NAMES),
    "fid": ("real", "fake", "other_real", "keys", *NAMES),
}
"""Protocol -> the arrays that it knows."""
ROLES = ("query", "gallery", "")


@dataclass(frozen=True)
class FeatureFile:
    """An .npz file, opened: arrays by name, and the sha256 of its bytes."""

    path: Path
    arrays: Mapping[str, Array]
    sha256: str

    def fail(self, problem: str) -> DataError:
        """A DataError that names the file."""
        return DataError(f"{self.path}: {problem}")

    def name(self, which: str, default: str) -> str:
        """A name that the file gives, or the default."""
        if which not in self.arrays:
            return default
        given = self.arrays[which]
        if given.ndim or given.dtype.kind != "U":
            raise self.fail(f"'{which}' must be one string, got {given.dtype} {given.shape}")
        return str(given)

    def features(self, name: str, like: tuple[int, ...] | None = None) -> Features:
        """float32 (N, D) or, for several latent seeds, (S, N, D). like: the (N, D) that is expected."""
        found = self.arrays[name]
        if found.dtype.kind != "f":
            raise self.fail(f"'{name}' must be floating point numbers, got {found.dtype}")
        if found.ndim not in (2, 3) or 0 in found.shape:
            raise self.fail(
                f"'{name}' must be (N, D), or (S, N, D) for S latent seeds, got shape {found.shape}"
            )
        if like is not None and found.shape[-2:] != like:
            raise self.fail(
                f"'{name}' has {found.shape[-2]} images of {found.shape[-1]} numbers each, but expected are "
                f"{like[0]} of {like[1]}: every array holds the same images in the same order"
            )
        bad = np.flatnonzero(~np.isfinite(found).all(axis=-1).reshape(-1, found.shape[-2]).all(axis=0))
        if len(bad):
            raise self.fail(f"'{name}' holds NaN or infinity in {len(bad)} images, the first is row {bad[0]}")
        return found.astype(np.float32)

    def column(self, name: str, length: int, kind: str) -> Array:
        """One value for each of `length` images. kind: "i" for integers, "U" for strings."""
        if name not in self.arrays:
            raise self.fail(f"array '{name}' is missing; there are: {', '.join(self.arrays)}")
        found = self.arrays[name]
        right = "integers" if kind == "i" else "strings"
        if found.dtype.kind not in ("iu" if kind == "i" else "U"):
            raise self.fail(f"'{name}' must be {right}, got {found.dtype}")
        if found.shape != (length,):
            raise self.fail(
                f"'{name}' must have one value for each of the {length} images, got {found.shape}"
            )
        return found

    def keys(self, length: int) -> NDArray[np.str_]:
        """The names of the images, each once."""
        keys = self.column("keys", length, "U")
        names, counts = np.unique(keys, return_counts=True)
        if (counts > 1).any():
            first = names[np.argmax(counts > 1)]
            raise self.fail(f"'keys' names {(counts > 1).sum()} images more than once, for example {first!r}")
        return np.asarray(keys)


@dataclass(frozen=True)
class StoredFeatures:
    """`FeatureSets` of a file. Each is float32 (S, N, D); none where the file has none."""

    untouched: Features | None
    same: Features | None
    fresh: Features | None

    @property
    def seeds(self) -> range:
        """Latent seeds."""
        return range(max((len(f) for f in (self.same, self.fresh) if f is not None), default=0))

    def original(self) -> Features | None:
        """See `FeatureSets`."""
        return None if self.untouched is None else self.untouched[0]

    def same_latent(self, seed: int) -> Features | None:
        """See `FeatureSets`."""
        return _at(self.same, seed)

    def fresh_latent(self, seed: int) -> Features | None:
        """See `FeatureSets`."""
        return _at(self.fresh, seed)

    def permuted_latent(self, seed: int) -> tuple[Features, Integers] | None:
        """A file has none: the identities whose latents were given are anonbench's own choice."""
        return None


def open_features(path: Path, protocol: str) -> FeatureFile:
    """Read an .npz file for a protocol. Raises DataError, naming the file, unless it holds plain arrays that the
    protocol knows. Pickled objects are never loaded."""
    try:
        content = path.read_bytes()
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: _plain(path, archive.__getitem__, name) for name in archive.files}
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not an .npz file; write it with numpy.savez") from error
    file = FeatureFile(path, arrays, hashlib.sha256(content).hexdigest())
    known = {name for names in ARRAYS.values() for name in names}
    unknown = sorted(set(arrays) - known)
    if unknown:
        raise file.fail(f"unknown array '{unknown[0]}'; {protocol} reads: {', '.join(ARRAYS[protocol])}")
    return file


def reid_features(file: FeatureFile) -> tuple[StoredFeatures, Labels]:
    """What re-identification needs of a file. Raises DataError with the reason where it cannot be scored."""
    given = [name for name in REID_FEATURES if name in file.arrays]
    if not given:
        raise file.fail(f"no features; give at least one of {', '.join(REID_FEATURES)}")
    n, d = file.features(given[0]).shape[-2:]
    sets = {name: _with_seeds(file.features(name, (n, d))) for name in given}
    if "features" in sets and len(sets["features"]) > 1:
        raise file.fail("'features' are of the untouched images and have no latent seeds: (N, D)")
    labels = _labels(file, n)
    try:
        labels.require_matches()
    except DataError as error:
        raise file.fail(str(error)) from error
    return StoredFeatures(*(sets.get(name) for name in REID_FEATURES)), labels


def distribution_features(file: FeatureFile) -> tuple[Features, list[Features], Features | None, list[str]]:
    """Real features (N, D), fake ones of each seed, other real ones or none, and the names of the images."""
    for name in ("real", "fake"):
        if name not in file.arrays:
            raise file.fail(f"array '{name}' is missing; fid reads: {', '.join(ARRAYS['fid'])}")
    real = file.features("real")
    if real.ndim != 2:
        raise file.fail(f"'real' features have no latent seeds: (N, D), got {real.shape}")
    fake = _with_seeds(file.features("fake", real.shape))
    other = file.features("other_real", real.shape) if "other_real" in file.arrays else None
    keys = file.keys(len(real)).tolist() if "keys" in file.arrays else [str(i) for i in range(len(real))]
    return real, list(fake), other, keys


def extractor_name(file: FeatureFile, given: str) -> str:
    """What metric keys call the network: `given`, else what the file says, else the name of the file."""
    stem = re.sub(r"[^a-z0-9_]+", "_", file.path.stem.lower()).strip("_") or "features"
    name = given or file.name("extractor", stem)
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise file.fail(
            f"extractor name '{name}': use lower case letters, digits and _, since it ends metric keys"
        )
    if name in EXTRACTORS:
        raise file.fail(
            f"extractor name '{name}' stands for a network of anonbench's own; give another with --name"
        )
    return name


def _labels(file: FeatureFile, n: int) -> Labels:
    person = file.column("ids", n, "i").astype(np.int64)
    cameras = file.column("cameras", n, "i").astype(np.int64)
    if "roles" in file.arrays:
        roles = file.column("roles", n, "U")
        wrong = sorted(set(roles.tolist()) - set(ROLES))
        if wrong:
            raise file.fail(f"'roles' holds {wrong[0]!r}; there are: query, gallery and '' for neither")
        query, gallery = np.flatnonzero(roles == "query"), np.flatnonzero(roles == "gallery")
    elif (cameras < 0).any():
        raise file.fail(
            "'roles' is missing: every image is then searched for among all, and would find itself unless its "
            "camera is known (0 or above)"
        )
    else:
        query, gallery = np.flatnonzero(person > DISTRACTOR_ID), np.arange(n)
    return Labels(
        key=file.keys(n),
        person=person,
        camera=cameras,
        query=query,
        gallery=gallery,
        outcome=_outcomes(file, n),
    )


def _outcomes(file: FeatureFile, n: int) -> Integers | None:
    if "outcomes" not in file.arrays:
        return None
    by_name = {outcome.name.lower(): int(outcome) for outcome in Outcome}
    names = file.column("outcomes", n, "U")
    wrong = sorted(set(names.tolist()) - set(by_name))
    if wrong:
        raise file.fail(f"'outcomes' holds {wrong[0]!r}; there are: {', '.join(by_name)}")
    return np.array([by_name[name] for name in names.tolist()], dtype=np.int64)


def _plain(path: Path, read: Callable[[str], Array], name: str) -> Array:
    try:
        return read(name)
    except ValueError as error:
        raise DataError(
            f"{path}: array '{name}' holds Python objects, which are never loaded; save numbers or strings, as in "
            "numpy.array(values, dtype=numpy.int64)"
        ) from error


def _with_seeds(features: Features) -> Features:
    return features if features.ndim == 3 else features[None]


def _at(features: Features | None, seed: int) -> Features | None:
    return features[seed] if features is not None and seed < len(features) else None
