"""Market-1501 (Zheng et al., ICCV 2015) and anything stored in its layout."""

import json
import re
from collections import Counter
from pathlib import Path

import pandas as pd

from anonbench.datasets.files import CachedDetections, CropFile, FileCrops, listed
from anonbench.datasets.images import is_image
from anonbench.errors import DataError
from anonbench.resources import resource_dir

FOLDERS = {"query": "query", "bounding_box_test": "gallery", "bounding_box_train": "train"}
"""Folder -> role. `bounding_box_train` may be missing."""

NAME = re.compile(r"(?P<person>-1|\d{4})_c(?P<camera>[1-6])s\d_\d{6}_\d{2}\.jpg")
"""person _ camera and sequence _ frame _ number of the box. Person -1 is junk, 0000 a distractor."""

_SEVERAL_PERSONS = re.compile(r"(-1|\d{4})_(-1|\d{4})_")


class Market1501(FileCrops):
    """The official folders `query/`, `bounding_box_test/` and optionally `bounding_box_train/`.

    Optional cached detections lie beside them: `masks/NAME.png` and `keypoints.json`. All names are checked
    before an image is read; person ids are kept as named (junk -1, distractors 0), cameras count from 1.
    Counts other than the official ones are allowed and stand in `notes` as a subset.
    """

    def __init__(self, root: Path, size: tuple[int, int] | None = None) -> None:
        """root: folder that holds `query/`; size: (H, W) to resize to. Raises DataError."""
        root = _locate(Path(root))
        named = [
            (role, path)
            for folder, role in FOLDERS.items()
            for path in _images(root / folder, required=role != "train")
        ]
        _reject_duplicates([path for _, path in named])
        detections = CachedDetections.beside(root)
        files = [
            CropFile(path.name, path, detections.mask_of(path.name), detections.keypoints.get(path.name))
            for _, path in named
        ]
        samples = pd.DataFrame([_describe(role, path) for role, path in named])
        notes = (_counts_note(samples), *detections.notes([file.key for file in files]))
        super().__init__("market1501", root, files, samples, size, notes)


def _locate(root: Path) -> Path:
    """The folder with `query/`; the official archive wraps everything in one more folder."""
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the one that holds query/ and bounding_box_test/")
    wrapped = root / "Market-1501-v15.09.15"
    return wrapped if wrapped.is_dir() and not (root / "query").is_dir() else root


def _images(folder: Path, required: bool) -> list[Path]:
    """The images of one folder by name. Other files are ignored: the official archive holds Thumbs.db."""
    found = sorted(path for path in folder.iterdir() if is_image(path)) if folder.is_dir() else []
    if required and not found:
        what = "holds no images" if folder.is_dir() else "no such folder"
        raise DataError(f"{folder}: {what}; Market-1501 keeps its images in query/ and bounding_box_test/")
    wrong = [path.name for path in found if not NAME.fullmatch(path.name)]
    if wrong:
        raise DataError(f"{folder / wrong[0]}: {_explain(wrong[0])} ({len(wrong)} such names)")
    return found


def _explain(name: str) -> str:
    if _SEVERAL_PERSONS.match(name):
        return "the name holds more than one person id; keep one: PPPP_cCsS_FFFFFF_NN.jpg"
    return "not a Market-1501 name; rename it to PPPP_cCsS_FFFFFF_NN.jpg or use --data folder=PATH"


def _reject_duplicates(paths: list[Path]) -> None:
    repeated = [name for name, count in Counter(path.name for path in paths).items() if count > 1]
    if repeated:
        places = " and ".join(f"{path.parent.name}/" for path in paths if path.name == repeated[0])
        first = next(path for path in paths if path.name == repeated[0])
        raise DataError(
            f"{first}: the same name lies in {places}, each crop belongs to one of them; "
            f"remove one ({listed(repeated)})"
        )


def _describe(role: str, path: Path) -> dict[str, object]:
    match = NAME.fullmatch(path.name)
    assert match is not None  # checked for every file in _images
    return {
        "key": path.name,
        "person_id": int(match["person"]),
        "camera_id": int(match["camera"]),
        "role": role,
    }


def _counts_note(samples: pd.DataFrame) -> str:
    """Whether this is the whole of Market-1501 or a part, with the counts (`results/reference`)."""
    reference = resource_dir("results") / "reference" / "market1501_splits.json"
    published = json.loads(reference.read_text())["rows"][0]["metrics"]
    official = {
        "query": published["query"],
        "gallery": published["gallery"] + published["dropped_gallery"],
        "train": published["train"],
    }
    counts = {role: int((samples.role == role).sum()) for role in official}
    persons = samples.person_id[samples.person_id > 0].nunique()
    if all(counts[role] == official[role] or (role == "train" and not counts[role]) for role in official):
        return f"Market-1501 with its official counts, {persons} identities"
    parts = ", ".join(f"{counts[role]} of {official[role]} {role}" for role in official)
    return f"subset of Market-1501: {parts} images, {persons} of {published['identities']} identities"
