"""InceptionV3 of the original FID code (Heusel et al. 2017) through torch-fidelity: the FID of the thesis."""

import io
from collections.abc import Callable

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


def inception_v3(device: torch.device) -> FeatureExtractor:
    """Pooled 2048-d features; images go in as they are, resized by TensorFlow 1's bilinear rule."""
    weights = verified_weights("inception_v3")
    digest = extractor_digest("inception_v3", weights.sha256, _PREPROCESSING)

    def build(device: torch.device) -> Callable[[Tensor], Tensor]:
        source = str(weights.path)
        network = _network(read_tensors(weights.path), source)
        require_trained(network, source)
        _fold_norms(network)
        require_sound(lambda images: network(images)[0], source)
        network.to(device)
        return lambda images: network(images)[0]

    return FeatureExtractor("inception_v3", "distribution", 2048, digest, build, device)


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


def _fold_norms(network: nn.Module) -> None:
    """The same function in fewer passes over memory: each normalization becomes part of its convolution."""
    for block in network.modules():
        if isinstance(block, BasicConv2d):
            block.conv = fuse_conv_bn_eval(block.conv, block.bn)
            block.bn = nn.Identity()
    network.to(memory_format=torch.channels_last)
