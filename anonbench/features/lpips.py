"""LPIPS v0.1 (Zhang et al. 2018) with the heads of the lpips package and backbones from local files."""

import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from anonbench.features.base import LayeredDistance, extractor_digest
from anonbench.weights import load_strictly, read_tensors, verified_weights
from anonbench.weights.known_answers import require_sound, require_trained

_PREPROCESSING = {"implementation": "lpips", "version": "0.1", "input": "[-1, 1], native size"}
_PACKAGE_NAME = {"vgg16": "vgg", "alex": "alex"}


def lpips_vgg16(device: torch.device) -> LayeredDistance:
    """LPIPS on VGG16: the LPIPS of the thesis, which DeepPrivacy2 computes on this backbone."""
    return _lpips("vgg16", device)


def lpips_alex(device: torch.device) -> LayeredDistance:
    """LPIPS on AlexNet: the authors' default. Its values differ from those on VGG16."""
    return _lpips("alex", device)


def _lpips(backbone: Literal["vgg16", "alex"], device: torch.device) -> LayeredDistance:
    name = f"lpips.{backbone}"
    weights = verified_weights(name)
    digest = extractor_digest(name, weights.sha256, _PREPROCESSING)

    def build(device: torch.device) -> Callable[[Tensor, Tensor], list[Tensor]]:
        source = str(weights.path)
        network = lpips_network(backbone, read_tensors(weights.path), source)
        require_trained(network.net, source)
        require_sound(lambda images: network.net(network.scaling_layer(images / 255.0))[-1], source)
        network.to(device)
        return lambda a, b: layer_distances(network, a, b)

    return LayeredDistance(name, backbone, digest, build, device)


def lpips_network(backbone: Literal["vgg16", "alex"], tensors: dict[str, Tensor], source: str) -> Any:
    """The package's network in eval mode, its backbone filled from torchvision's tensors.

    The package cuts torchvision's `features` into slices and keeps the layer numbers: slice2.5 is features.5.
    """
    from lpips import LPIPS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it builds torchvision models with retired arguments
        network = LPIPS(net=_PACKAGE_NAME[backbone], pnet_rand=True, verbose=False)
    slices = {name.partition(".")[2]: name for name in network.net.state_dict()}
    renamed = {}
    for name, tensor in tensors.items():
        layer = name.removeprefix("features.")
        renamed[slices.get(layer, name)] = tensor
    load_strictly(network.net, renamed, source, unused=("classifier.",))
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def layer_distances(network: Any, a: Tensor, b: Tensor) -> list[Tensor]:
    """The package's forward up to the point where it averages: one map (B, 1, h, w) for each layer."""
    from lpips import normalize_tensor

    images = network.scaling_layer(torch.cat([a, b]).float() / 127.5 - 1.0)
    layers = network.net(images.contiguous(memory_format=torch.channels_last))
    pairs = [normalize_tensor(layer).chunk(2) for layer in layers]
    return [head((x - y) ** 2) for head, (x, y) in zip(network.lins, pairs, strict=True)]
