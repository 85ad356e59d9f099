"""InceptionV3 of the original FID code (Heusel et al. 2017) through torch-fidelity: the FID of the thesis."""

import io
from collections.abc import Callable

import torch
from torch import Tensor

from anonbench.errors import WeightsError
from anonbench.features.base import FeatureExtractor, extractor_digest
from anonbench.weights import file_sha256, read_tensors, weights_path

_PREPROCESSING = {
    "implementation": "torch-fidelity",
    "layer": "2048",
    "resize": "TensorFlow 1 bilinear, 299x299",
}


def inception_v3(device: torch.device) -> FeatureExtractor:
    """Pooled 2048-d features; images go in as they are, resized by TensorFlow 1's bilinear rule."""
    path = weights_path("inception_v3")
    digest = extractor_digest("inception_v3", file_sha256(path), _PREPROCESSING)

    def build(device: torch.device) -> Callable[[Tensor], Tensor]:
        network = _network(read_tensors(path), str(path)).to(device)
        return lambda images: network(images)[0]

    return FeatureExtractor("inception_v3", "distribution", 2048, digest, build, device)


def _network(tensors: dict[str, Tensor], source: str) -> torch.nn.Module:
    """torch-fidelity's network. It reads without weights_only, so it is given bytes that we wrote."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    buffer.seek(0)
    try:
        network: torch.nn.Module = FeatureExtractorInceptionV3(
            "inception_v3", ["2048"], feature_extractor_weights_path=buffer
        )
    except RuntimeError as error:
        raise WeightsError(f"{source}: not the weights of InceptionV3; get the file again") from error
    return network
