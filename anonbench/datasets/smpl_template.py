"""The SMPL body template of FDH: 27,554 vertices, whose numbers lie beside the shards.

No such file may be distributed with anonbench (SMPL's licence): `embed_map.torch` comes with FDH,
`symmetry_smpl_27554.npy` is DensePose's symmetry map without its pickle, and `parts_smpl_27554.npy` its chart of
each vertex (docs/data.md has the one line for each).
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anonbench.errors import DataError
from anonbench.template import EMBEDDING_SIZE, SurfaceTemplate

NAME = "smpl_27554"
VERTICES = 27554
EMBEDDING, SYMMETRY, CHARTS = "embed_map.torch", "symmetry_smpl_27554.npy", "parts_smpl_27554.npy"

CHART_NAMES = (
    "torso_back", "torso_front", "right_hand", "left_hand", "left_foot", "right_foot",
    "right_upper_leg_back", "left_upper_leg_back", "right_upper_leg_front", "left_upper_leg_front",
    "right_lower_leg_back", "left_lower_leg_back", "right_lower_leg_front", "left_lower_leg_front",
    "left_upper_arm_front", "right_upper_arm_front", "left_upper_arm_back", "right_upper_arm_back",
    "left_lower_arm_front", "right_lower_arm_front", "left_lower_arm_back", "right_lower_arm_back",
    "head_right", "head_left",
)  # fmt: skip
"""DensePose's charts 1 to 24 (Güler et al. 2018; `data_format.md` of the 2019 DensePose challenge)."""


def smpl_template(folder: Path) -> SurfaceTemplate:
    """The template from the files in `folder`; what SYMMETRY or CHARTS would say is None without them.

    Raises DataError.
    """
    symmetry, charts = folder / SYMMETRY, folder / CHARTS
    return SurfaceTemplate(
        NAME,
        _embedding(folder / EMBEDDING),
        mirror=_per_vertex(symmetry, 0, VERTICES - 1, "vertex ids") if symmetry.exists() else None,
        part=_per_vertex(charts, 1, len(CHART_NAMES), "chart numbers") - 1 if charts.exists() else None,
        part_names=CHART_NAMES,
    )


def _embedding(path: Path) -> Tensor:
    """float32 (27554, 16): the learned embedding of CSE (Neverova et al., NeurIPS 2020)."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: no such file; FDH's surfaces need it, it comes with the data set"
        ) from error
    except Exception as error:  # torch.load raises whatever its archive, unpickler or storage code raises
        reason = str(error).split("\n", 1)[0]
        raise DataError(f"{path}: not a tensor that can be loaded safely ({reason}); get it again") from error
    wanted = (VERTICES, EMBEDDING_SIZE)
    if not isinstance(found, Tensor) or tuple(found.shape) != wanted or not found.is_floating_point():
        what = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise DataError(f"{path}: must be a float tensor {wanted}, got {what}; get it again")
    return found.detach().float().contiguous()


def _per_vertex(path: Path, lowest: int, highest: int, what: str) -> Tensor:
    """int32 (27554,): a whole number from `lowest` to `highest` for each vertex."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not a NumPy array ({error}); write it again") from error
    if (
        not isinstance(found, np.ndarray)
        or found.shape != (VERTICES,)
        or not np.issubdtype(found.dtype, np.integer)
        or found.min() < lowest
        or found.max() > highest
    ):
        raise DataError(f"{path}: must hold {VERTICES} {what} from {lowest} to {highest}; write it again")
    return torch.from_numpy(found.astype(np.int32))
