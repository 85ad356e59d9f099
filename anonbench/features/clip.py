"""CLIP ViT-B/32 image features (Radford et al. 2021): the FID_CLIP of the thesis."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from anonbench.errors import WeightsError
from anonbench.features.base import FeatureExtractor, extractor_digest
from anonbench.features.preprocessing import Preprocessing
from anonbench.weights import verified_weights
from anonbench.weights.known_answers import require_sound, require_trained

INPUT = Preprocessing(
    size=(224, 224),
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
    interpolation="bicubic",
    antialias=False,
)
"""As DeepPrivacy2 computes the thesis' FID_CLIP: the crop is squashed to a square, bicubic without antialias,
not clipped; mean and standard deviation are CLIP's own."""


def clip_vit_b32(device: torch.device) -> FeatureExtractor:
    """The 512-d image embedding, not normalized to unit length; OpenAI's weights with their QuickGELU."""
    weights = verified_weights("clip_vit_b32")
    description = INPUT.describe() | {"activation": "quick_gelu", "output": "projected, not normalized"}
    digest = extractor_digest("clip_vit_b32", weights.sha256, description)

    def build(device: torch.device) -> Callable[[Tensor], Tensor]:
        visual = image_tower(weights.path)
        require_trained(visual, str(weights.path))
        require_sound(lambda images: visual(INPUT(images)), str(weights.path))
        visual.to(device)
        return lambda images: visual(INPUT(images))

    return FeatureExtractor("clip_vit_b32", "distribution", 512, digest, build, device)


def image_tower(path: Path) -> nn.Module:
    """The image half of a CLIP in OpenAI's TorchScript archive by open_clip's definition: float32, eval mode.

    An archive can hold TorchScript code, so torch.jit.load comes only after its sha256 has matched; the code
    is then dropped and only the tensors are kept.
    """
    from open_clip.model import build_model_from_openai_state_dict

    try:
        archive = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
        model = build_model_from_openai_state_dict(archive.state_dict(), cast_dtype=torch.float32)
    except (RuntimeError, KeyError) as error:
        raise WeightsError(f"{path}: not OpenAI's archive of CLIP; get the file again") from error
    visual: nn.Module = model.visual
    return visual.float().eval().requires_grad_(False)
