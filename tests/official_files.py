"""Random weights in the formats of the official files, and the original networks that hold the same."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from anonbench.features.osnet import MARKET_IDENTITIES, osnet
from anonbench.weights import weights_card


def official_path(folder: Path, name: str) -> Path:
    """Where the official file of a registry entry lies."""
    return folder / weights_card(name).files[0]


def settle(network: nn.Module) -> nn.Module:
    """Give every BatchNorm the statistics and weights of a trained one: none is the identity."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    return network.eval()


def inception(folder: Path) -> nn.Module:
    """torch-fidelity's InceptionV3, its weights in the official file."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    torch.manual_seed(0)
    bare = FeatureExtractorInceptionV3.__new__(FeatureExtractorInceptionV3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        patch.setattr(torch, "load", lambda *args, **options: {})
        bare.__init__("original", ["2048"], feature_extractor_weights_path="random")
    settle(bare)
    torch.save(bare.state_dict(), official_path(folder, "inception_v3"))
    return bare


class Archive(nn.Module):
    """Holds tensors under given names, as OpenAI's TorchScript archives do."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            *parents, leaf = name.split(".")
            module: nn.Module = self
            for part in parents:
                if part not in dict(module.named_children()):
                    module.add_module(part, Archive({}))
                module = module.get_submodule(part)
            module.register_buffer(leaf, tensor)

    def forward(self, x: Tensor) -> Tensor:
        return x


def clip(folder: Path, layers: int = 2) -> nn.Module:
    """open_clip's CLIP ViT-B/32 with quick-GELU, slim, its weights in OpenAI's archive format."""
    from open_clip import CLIP
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg, convert_weights_to_fp16

    torch.manual_seed(0)
    vision = CLIPVisionCfg(layers=layers, width=128, patch_size=32, image_size=224)
    text = CLIPTextCfg(context_length=4, vocab_size=8, width=64, heads=1, layers=1)
    model = CLIP(512, vision, text, quick_gelu=True).eval()
    convert_weights_to_fp16(model)  # as OpenAI stores them
    tensors = {k: v for k, v in model.state_dict().items() if k != "attn_mask"}
    extra = {k: torch.tensor(1) for k in ("input_resolution", "context_length", "vocab_size")}
    torch.jit.script(Archive(tensors | extra)).save(str(official_path(folder, "clip_vit_b32")))
    return model.float()


def osnet_market(folder: Path) -> nn.Module:
    """torchreid's OSNet x1.0 with Market-1501's classifier, in the official file."""
    torch.manual_seed(0)
    network = settle(osnet("osnet_x1_0", MARKET_IDENTITIES))
    torch.save(network.state_dict(), official_path(folder, "osnet_x1_0_market1501"))
    return network


def lpips_network(folder: Path, backbone: str) -> nn.Module:
    """The lpips package's network (its own heads), the backbone's features in the official file, no classifier."""
    from lpips import LPIPS

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.init, "normal_", lambda tensor, *args, **options: tensor)  # 120 million weights
        patch.setattr(nn.Linear, "reset_parameters", lambda self: None)
        network = LPIPS(net={"vgg16": "vgg", "alex": "alex"}[backbone], pnet_rand=True, verbose=False)
    torch.manual_seed(0)
    for module in network.net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            nn.init.uniform_(module.bias, -0.1, 0.1)
    features = {f"features.{name.partition('.')[2]}": t for name, t in network.net.state_dict().items()}
    torch.save(features, official_path(folder, f"lpips.{backbone}"))
    return network.eval()


def dinov2_tensors(width: int = 128, depth: int = 2, side: int = 37) -> dict[str, Tensor]:
    """Tensors of a slim DINOv2 under the official names and scales, position embeddings for side x side."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int, around: float = 0.0, scale: float = 0.05) -> Tensor:
        return around + scale * torch.randn(shape, generator=generator)

    tensors = {
        "cls_token": noise(1, 1, width),
        "mask_token": noise(1, width),
        "pos_embed": noise(1, 1 + side * side, width, scale=0.5),
        "patch_embed.proj.weight": noise(width, 3, 14, 14),
        "patch_embed.proj.bias": noise(width),
        "norm.weight": noise(width, around=1.0),
        "norm.bias": noise(width),
    }
    shapes = {"attn.qkv": (3 * width, width), "attn.proj": (width, width),
              "mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width)}  # fmt: skip
    for block in range(depth):
        for layer, shape in shapes.items():
            tensors[f"blocks.{block}.{layer}.weight"] = noise(*shape)
            tensors[f"blocks.{block}.{layer}.bias"] = noise(shape[0])
        for part in ("1", "2"):
            tensors[f"blocks.{block}.norm{part}.weight"] = noise(width, around=1.0)
            tensors[f"blocks.{block}.norm{part}.bias"] = noise(width)
            tensors[f"blocks.{block}.ls{part}.gamma"] = noise(width, around=1.0)
    return tensors
