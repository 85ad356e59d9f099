"""Centres for multimodal truncation (thesis 2.11.1; Mokady et al., "Self-Distilled StyleGAN", arXiv:2202.12211).

W is seldom one cloud: k-means finds the hotspots of the w of many drawn z.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.cluster.vq import ClusterError, kmeans2
from torch import Tensor

from anonbench.anonymizers.trained import checkpoint_of, load_trained
from anonbench.cache import write_atomic, write_text
from anonbench.cards import ModelCard, read_card
from anonbench.errors import UsageError
from anonbench.generators.build import TRUNCATION_CENTRES
from anonbench.generators.unet_stylegan import UNetStyleGAN
from anonbench.latents import latents_for
from anonbench.weights import file_sha256, read_tensors

ITERATIONS = 100


@dataclass(frozen=True)
class Centres:
    """points: float32 (K, style_dim). left: share of the variance of w that is left around them, in [0, 1]."""

    points: Tensor
    left: float


def find_centres(generator: UNetStyleGAN, count: int, samples: int, seed: int) -> Centres:
    """`count` centres of the w of `samples` z drawn from N(0, I), by k-means++ and Lloyd's algorithm.

    Raises UsageError where there are too few different w for so many centres.
    """
    if count > samples:
        raise UsageError(f"{count} centres of {samples} samples; ask for fewer centres or more samples")
    latents = latents_for(seed, [f"centre/{i}" for i in range(samples)], generator.latent_dim)
    with torch.no_grad():
        styles = generator.mapping(latents).double().numpy()
    rng = np.random.default_rng(seed)
    try:
        with np.errstate(invalid="ignore"):  # of w that are all the same; an error says so
            points, nearest = kmeans2(styles, count, iter=ITERATIONS, minit="++", missing="raise", rng=rng)
    except ClusterError as error:
        raise UsageError(f"a centre of {count} has no w of its own; ask for fewer centres") from error
    left = np.square(styles - points[nearest]).sum() / np.square(styles - styles.mean(0)).sum()
    return Centres(torch.from_numpy(points).float(), float(left))


def store_centres(card_path: Path, count: int, samples: int, seed: int) -> Centres:
    """Finds centres for the model of a card, writes them into its checkpoint and the new sha256 into the card.

    Both files are replaced as wholes, the checkpoint first. Raises CardError, WeightsError or UsageError.
    """
    card = read_card(card_path, ModelCard)
    checkpoint = checkpoint_of(card)
    centres = find_centres(load_trained(card, card_path.parent).generator, count, samples, seed)
    path = card_path.with_name(checkpoint.file)
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    tensors = read_tensors(path) | {TRUNCATION_CENTRES: centres.points}
    write_atomic(path, lambda partial: save_file(tensors, partial, header))
    text = card_path.read_text().replace(checkpoint.sha256, file_sha256(path))
    write_text(card_path, text)
    return centres
