"""Images that another tool has anonymized, matched to the samples by name."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from anonbench.cards import ModelCard, Strict, validate_section
from anonbench.crops import PersonCrops, resize_images
from anonbench.datasets.images import is_image, read_bytes, read_image
from anonbench.errors import DataError


class FolderOptions(Strict):
    """path: the folder, relative to the card's; sha256: over names and contents, filled in if absent."""

    path: str
    sha256: str | None = None


class Folder:
    """Images below a folder, as they are: nothing is composited, since their owner's result is what counts.

    A sample is matched by its key without the ending, so PNG results of JPEG crops are found: first as the
    path relative to the folder, then, for a key without folders (Market-1501), as a file name anywhere below.
    Images of another size than the crop are resized.
    """

    def __init__(self, card: ModelCard, folder: Path) -> None:
        """folder: where the card lies. Raises DataError for a folder without images or another digest."""
        options = validate_section(FolderOptions, card.options, card.name)
        self.root = folder / options.path
        paths = _images(self.root)
        digest = _digest(self.root, paths)
        if options.sha256 not in (None, digest):
            raise DataError(f"{self.root}: the images are not those of card '{card.name}' (sha256 {digest})")
        self.card = card.model_copy(update={"options": {"path": options.path, "sha256": digest}})
        self._by_path = {_stem(path.relative_to(self.root).as_posix()): path for path in paths}
        self._by_name = {path.stem: path for path in paths}
        repeated = Counter(path.stem for path in paths)
        self._ambiguous = {name for name, count in repeated.items() if count > 1}

    def check(self, keys: Sequence[str]) -> None:
        """Raise DataError unless samples and images match one to one, listing what is left over."""
        found = {key: self._find(key) for key in keys}
        missing = [key for key, path in found.items() if path is None]
        matched = {path for path in found.values() if path is not None}
        extra = [path for path in self._by_path.values() if path not in matched]
        if missing or extra:
            names = [path.relative_to(self.root).as_posix() for path in extra]
            raise DataError(
                f"{self.root}: must hold one image per sample; {_few('samples without an image', missing)}; "
                f"{_few('images without a sample', names)}"
            )

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """The stored images of these crops. Raises DataError naming a sample without one."""
        return torch.cat([self._read(key, crops.size) for key in crops.key])

    def _read(self, key: str, size: tuple[int, int]) -> Tensor:
        path = self._find(key)
        if path is None:
            raise DataError(
                f"{self.root}: no image for sample {key}; add {_stem(key)}.png or run on fewer samples"
            )
        return resize_images(read_image(path)[None], size)

    def _find(self, key: str) -> Path | None:
        stem = _stem(key)
        if stem in self._by_path or "/" in stem:
            return self._by_path.get(stem)
        if stem in self._ambiguous:
            raise DataError(
                f"{self.root}: several images are called '{stem}'; keep one, or use the data's folders"
            )
        return self._by_name.get(stem)


def _stem(key: str) -> str:
    """A key without the ending of an image; dots that belong to the name stay."""
    path = PurePosixPath(key)
    return str(path.with_suffix("")) if is_image(Path(path.name)) else key


def _images(root: Path) -> list[Path]:
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the folder with the anonymized images")
    found = sorted(path for path in root.rglob("*") if path.is_file() and is_image(path))
    if not found:
        raise DataError(f"{root}: holds no images; give the folder with the anonymized images")
    stems = Counter(path.with_suffix("") for path in found)
    twice = [path for path in found if stems[path.with_suffix("")] > 1]
    if twice:
        raise DataError(f"{twice[0]}: another image has this name and a different ending; keep one")
    return found


def _digest(root: Path, paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(read_bytes(path)).digest())
    return digest.hexdigest()


def _few(what: str, names: Sequence[str], limit: int = 3) -> str:
    more = ", ..." if len(names) > limit else ""
    return f"{len(names)} {what}" + (f" ({', '.join(names[:limit])}{more})" if names else "")
