"""DINOv2 ViT-L/14 image features (Oquab et al. 2023), on which Stein et al. 2023 base FD-DINOv2."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from anonbench.errors import WeightsError
from anonbench.features.base import FeatureExtractor, extractor_digest
from anonbench.features.preprocessing import Preprocessing
from anonbench.weights import load_strictly, read_tensors, verified_weights
from anonbench.weights.known_answers import require_sound, require_trained

INPUT = Preprocessing(size=(224, 224), interpolation="pillow_bicubic", round_to_uint8=True)
"""As dgm-eval, the code of Stein et al., computes FD-DINOv2: squashed to a square by Pillow. torch-fidelity
resizes by TensorFlow 1's bilinear rule instead; its values on images of another size are not comparable."""

DIM = 1024
_PATCH = 14
_GRID = 224 // _PATCH
_HEAD_DIM = 64
_OFFSET = 0.1
"""Added to the target grid before the scale is taken, as the official code does; it moves every position."""


def dinov2_vit_l14(device: torch.device) -> FeatureExtractor:
    """The 1024-d class token after the last norm, as it is."""
    weights = verified_weights("dinov2_vit_l14")
    path = weights.path
    description = INPUT.describe() | {"output": "class token, not normalized"}
    digest = extractor_digest("dinov2_vit_l14", weights.sha256, description)

    def build(device: torch.device) -> Callable[[Tensor], Tensor]:
        tensors = read_tensors(path)
        width = tensors["cls_token"].shape[-1] if "cls_token" in tensors else 0
        if width != DIM:
            raise WeightsError(f"{path}: not DINOv2 ViT-L/14 (width {width}, not {DIM}); get the file again")
        network = vision_transformer(tensors, str(path))
        require_trained(network, str(path))
        require_sound(lambda images: network(INPUT(images)), str(path))
        network.to(device)
        return lambda images: network(INPUT(images))

    return FeatureExtractor("dinov2_vit_l14", "distribution", DIM, digest, build, device)


def vision_transformer(tensors: Mapping[str, Tensor], source: str) -> Any:
    """timm's network for 224x224 with the official tensors, whatever their width and depth; eval mode.

    tensors: as published, with position embeddings for 518x518. They are interpolated once, by the rule of the
    official code, which is not timm's. The mask token serves training only.
    """
    from timm.models.vision_transformer import VisionTransformer

    missing = {"cls_token", "pos_embed"} - tensors.keys()
    if missing:
        raise WeightsError(f"{source}: not a DINOv2 network: no tensor '{min(missing)}'; get the file again")
    width = tensors["cls_token"].shape[-1]
    depth = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm announces retired layers
        network = VisionTransformer(
            img_size=224, patch_size=_PATCH, embed_dim=width, depth=depth, num_heads=width // _HEAD_DIM,
            init_values=1.0, num_classes=0, weight_init="skip",
        )  # fmt: skip
    fitting = {name: tensor for name, tensor in tensors.items() if name != "mask_token"}
    fitting["pos_embed"] = _positions(tensors["pos_embed"])
    load_strictly(network, fitting, source)
    return network.eval().requires_grad_(False)


def _positions(embedding: Tensor) -> Tensor:
    """(1, 1 + S * S, D) position embeddings for an S x S grid -> those for 16 x 16, bicubic."""
    first, grid = embedding[:, :1], embedding[:, 1:]
    side = round(grid.shape[1] ** 0.5)
    if side == _GRID:
        return embedding
    square = grid.float().view(1, side, side, -1).permute(0, 3, 1, 2)
    scale = (_GRID + _OFFSET) / side
    resized = F.interpolate(square, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([first, resized.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)
