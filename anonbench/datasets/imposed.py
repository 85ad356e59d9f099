"""Perfect detections made as bad as a real detector's: surfaces and masks withdrawn (thesis section 6.3).

The thesis anonymizes Market-1501 with a detection stage that finds a surface in 72.4 % of the crops, a mask alone
in 22.5 % and nothing in 5.1 %, and cannot tell what its re-ID results owe to that. On people whose surface is
known everywhere the same shares can be imposed, and the difference measured.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from anonbench.crops import NO_VERTEX, Outcome, PersonCrops
from anonbench.datasets.base import CropDataset, PreparedDataset
from anonbench.errors import UsageError
from anonbench.records import DetectionShares
from anonbench.resources import resource_dir

SEED = 0
"""Who is affected: another seed withdraws the detections of other crops."""
THESIS = "thesis"
_PERCENTAGES = re.compile(r"(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)")
_GOLDEN = (np.sqrt(5) - 1) / 2


def outcome_shares(spec: str) -> DetectionShares:
    """The shares that `spec` names: "thesis", or percentages of surface/mask only/none as in "60/30/10".

    Raises UsageError for anything else.
    """
    if spec == THESIS:
        file = resource_dir("results") / "reference" / "thesis_section_6_3_detection.json"
        (row,) = json.loads(file.read_text())["rows"]
        printed = row["metrics"]
        percentages = [printed[name] for name in ("cse_detected", "heavy_blur_mask_only", "no_detection")]
    else:
        match = _PERCENTAGES.fullmatch(spec)
        percentages = [float(number) for number in match.groups()] if match else []
    if len(percentages) != 3 or abs(sum(percentages) - 100) > 1e-6:
        raise UsageError(
            f"outcomes '{spec}': give {THESIS}, or the percentages of crops with a surface, with a mask only and "
            "with nothing, which sum to 100: 60/30/10"
        )
    surface, mask_only, none = (percentage / 100 for percentage in percentages)
    return DetectionShares(surface=surface, mask_only=mask_only, none=none)


class ImposedOutcomes:
    """A dataset with perfect detection, as a worse detector would have left it: a `CropDataset`.

    perfect: the dataset, where the detection stage finds a surface in every crop.
    spec: see `outcome_shares`. seed: chooses the crops that are affected.
    Names, images and labels stay; crops lose their surface and keypoints, or those and the mask.
    """

    def __init__(self, perfect: CropDataset, spec: str, seed: int = SEED) -> None:
        shares = outcome_shares(spec)
        self.perfect = perfect
        self.outcome = imposed_outcomes(perfect.samples, shares, seed)
        self.name = f"{perfect.name}, outcomes {spec}"
        self.size = perfect.size
        content = ["imposed outcomes", perfect.digest, *shares.model_dump().values(), seed]
        self.digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        self.notes = (
            *perfect.notes,
            f"detection outcomes are imposed (seed {seed}): surface {shares.surface:.1%}, mask only "
            f"{shares.mask_only:.1%}, none {shares.none:.1%} of the crops",
        )

    def __len__(self) -> int:
        return len(self.perfect)

    @property
    def samples(self) -> pd.DataFrame:
        """The table of the dataset with perfect detection."""
        return self.perfect.samples

    def prepare(self, progress: bool = True) -> None:
        """Make the dataset, where it is made on first use."""
        if isinstance(self.perfect, PreparedDataset):
            self.perfect.prepare(progress)

    def load(self, indices: Sequence[int]) -> PersonCrops:
        """The crops at these positions, with what their outcome leaves of the detection."""
        return withdraw(self.perfect.load(indices), torch.from_numpy(self.outcome[list(indices)]))


def imposed_outcomes(samples: pd.DataFrame, shares: DetectionShares, seed: int) -> NDArray[np.int64]:
    """int64 (N,), values of `Outcome`: who is affected, whatever the order of the samples.

    samples: with the columns key, role and camera_id. Crops stand in random order (the hash of seed and key)
    within each role and camera, and multiples of the golden ratio, modulo 1, are dealt out along them. These are
    spread evenly over any stretch, so that every role and camera has the shares up to a crop or two, while people
    are met at random.
    """
    order = sorted(
        range(len(samples)),
        key=lambda i: (
            str(samples["role"].iloc[i]),
            int(samples["camera_id"].iloc[i]),
            hashlib.sha256(f"outcome/{seed}/{samples['key'].iloc[i]}".encode()).digest(),
        ),
    )
    draws = np.empty(len(samples))
    draws[order] = (np.arange(len(samples)) + 0.5) * _GOLDEN % 1
    outcome = np.full(len(samples), int(Outcome.SURFACE))
    outcome[draws >= shares.surface] = Outcome.MASK_ONLY
    outcome[draws >= shares.surface + shares.mask_only] = Outcome.NONE
    return outcome


def withdraw(crops: PersonCrops, outcome: torch.Tensor) -> PersonCrops:
    """The crops without what a detector with these outcomes, int64 (B,), would not have found.

    A crop whose surface is withdrawn loses its keypoints too, from which a surface could be filled in.
    """
    no_surface, nothing = outcome != Outcome.SURFACE, outcome == Outcome.NONE
    return replace(
        crops,
        surface=crops.surface.masked_fill(no_surface[:, None, None], NO_VERTEX),
        keypoints=crops.keypoints.masked_fill(no_surface[:, None, None], 0.0),
        person_mask=crops.person_mask & ~nothing[:, None, None, None],
        outcome=torch.minimum(crops.outcome, outcome),
    )
