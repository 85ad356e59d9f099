"""InceptionV3 of the original FID code (Heusel et al. 2017) through torch-fidelity: the FID of the thesis."""

import io
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch_fidelity.feature_extractor_inceptionv3 import BasicConv2d, FeatureExtractorInceptionV3

from anonbench.errors import WeightsError
from anonbench.features.base import FeatureExtractor, extractor_digest
from anonbench.weights import read_tensors, verified_weights
from anonbench.weights.known_answers import require_sound, require_trained

_PREPROCESSING = {
    "implementation": "torch-fidelity",
    "layer": "2048",
    "resize": "TensorFlow 1 bilinear, 299x299",
}
_SIZE = 299


def inception_v3(device: torch.device) -> FeatureExtractor:
    """Pooled 2048-d features; images go in as they are, resized by TensorFlow 1's bilinear rule."""
    weights = verified_weights("inception_v3")
    digest = extractor_digest("inception_v3", weights.sha256, _PREPROCESSING)

    def build(device: torch.device) -> Callable[[Tensor], Tensor]:
        source = str(weights.path)
        network = _network(read_tensors(weights.path), source)
        require_trained(network, source)
        body = _folded_body(network)
        require_sound(lambda images: body(network_input(images)), source)
        body.to(device)
        return lambda images: body(network_input(images))

    return FeatureExtractor("inception_v3", "distribution", 2048, digest, build, device)


def network_input(images: Tensor) -> Tensor:
    """uint8 (B, 3, H, W) -> float32 (B, 3, 299, 299) in about [-1, 1], as TensorFlow 1 resizes."""
    rows, columns = (_interpolation(n).to(images.device) for n in images.shape[2:])
    resized = rows @ images.float() @ columns.T
    return ((resized - 128) / 128).contiguous(memory_format=torch.channels_last)


@cache
def _interpolation(size: int) -> Tensor:
    """float32 (299, size): the weights of the source pixels in each target pixel, along one side.

    TensorFlow 1 puts target pixel i at i * size / 299, with the corners and not the pixel centres aligned.
    """
    position = torch.arange(_SIZE, dtype=torch.float32) * torch.tensor(size / _SIZE)
    lower = position.long()
    share = position - lower
    weights = torch.zeros(_SIZE, size)
    weights.scatter_add_(1, lower[:, None], 1 - share[:, None])
    weights.scatter_add_(1, (lower[:, None] + 1).clamp(max=size - 1), share[:, None])
    return weights


def _network(tensors: dict[str, Tensor], source: str) -> nn.Module:
    """torch-fidelity's network. It reads without weights_only, so it is given bytes that we wrote."""
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    buffer.seek(0)
    try:
        network: nn.Module = FeatureExtractorInceptionV3(
            "inception_v3", ["2048"], feature_extractor_weights_path=buffer
        )
    except RuntimeError as error:
        raise WeightsError(f"{source}: not the weights of InceptionV3; get the file again") from error
    return network


def _folded_body(network: nn.Module) -> nn.Sequential:
    """All layers but the classifier, which are in order of use, in fewer passes over memory.

    Each normalization becomes part of its convolution: the same function up to float32 rounding.
    """
    for block in network.modules():
        if isinstance(block, BasicConv2d):
            block.conv = fuse_conv_bn_eval(block.conv, block.bn)
            block.bn = nn.Identity()
    *layers, classifier = network.children()
    if not isinstance(classifier, nn.Linear):
        raise WeightsError(
            "torch-fidelity's InceptionV3 is built otherwise; install torch-fidelity 0.3 or 0.4"
        )
    return nn.Sequential(*layers, nn.Flatten()).to(memory_format=torch.channels_last)
