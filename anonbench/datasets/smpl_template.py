"""The SMPL body template of FDH: 27,554 vertices, whose numbers lie beside the shards.

Neither file may be distributed with anonbench (SMPL's licence): `embed_map.torch` comes with FDH,
`symmetry_smpl_27554.npy` is DensePose's symmetry map without its pickle (docs/data.md has the one line).
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anonbench.errors import DataError
from anonbench.template import EMBEDDING_SIZE, SurfaceTemplate

NAME = "smpl_27554"
VERTICES = 27554
EMBEDDING, SYMMETRY = "embed_map.torch", "symmetry_smpl_27554.npy"


def smpl_template(folder: Path) -> SurfaceTemplate:
    """The template from the files in `folder`; `mirror` is None without SYMMETRY. Raises DataError."""
    symmetry = folder / SYMMETRY
    return SurfaceTemplate(
        NAME, _embedding(folder / EMBEDDING), _mirror(symmetry) if symmetry.exists() else None
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


def _mirror(path: Path) -> Tensor:
    """int32 (27554,): the left-right counterpart of each vertex."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not a NumPy array ({error}); write it again") from error
    if (
        not isinstance(found, np.ndarray)
        or found.shape != (VERTICES,)
        or not np.issubdtype(found.dtype, np.integer)
        or found.min() < 0
        or found.max() >= VERTICES
    ):
        raise DataError(f"{path}: must hold {VERTICES} vertex ids from 0 to {VERTICES - 1}; write it again")
    return torch.from_numpy(found.astype(np.int32))
