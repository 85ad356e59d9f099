"""Extractors on random weights in the official formats, against the original packages on the same."""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from anonbench.features.dinov2 import INPUT as DINOV2_INPUT
from anonbench.features.dinov2 import vision_transformer
from anonbench.features.extractors import load_extractor, load_perceptual
from tests.official_files import clip, dinov2_tensors, inception, lpips_network, osnet_market
from tests.parity.conftest import Agree

pytestmark = pytest.mark.parity
Accept = Callable[[str], Path]
FEATURES = {"bound": 1e-5, "quantity": "features, relative"}
LPIPS = {"bound": 1e-6, "quantity": "distance", "relative": False}


def as_picture(crop: Tensor) -> Image.Image:
    return Image.fromarray(crop.permute(1, 2, 0).numpy())


@pytest.fixture
def noisy() -> Tensor:
    """uint8 (4, 3, 72, 40) of every grey level: nothing that a resize could leave as it is."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (4, 3, 72, 40), generator=generator, dtype=torch.uint8)


def test_inception_features_equal_torch_fidelity(
    weights_folder: Path, accept: Accept, crops: Tensor, noisy: Tensor, agree: Agree
) -> None:
    original = inception(weights_folder)
    accept("inception_v3")
    images = torch.cat([crops[:2], noisy[:2]])
    ours = load_extractor("inception_v3").features(images)
    assert ours.shape == (4, 2048)
    agree(ours, original(images)[0], against="torch-fidelity", **FEATURES)


def test_clip_features_equal_open_clip(
    weights_folder: Path, accept: Accept, crops: Tensor, noisy: Tensor, agree: Agree
) -> None:
    """The input as DeepPrivacy2 makes it, by OpenCV: squashed, cubic (a = -0.75) without antialias, not clipped."""
    original = clip(weights_folder)
    accept("clip_vit_b32")
    images = torch.cat([crops, noisy])
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    resized = [
        cv2.resize(image.permute(1, 2, 0).double().numpy() / 255, (224, 224), interpolation=cv2.INTER_CUBIC)
        for image in images
    ]
    inputs = torch.from_numpy((np.stack(resized) - mean) / std).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        theirs = original.encode_image(inputs, normalize=False)
    ours = load_extractor("clip_vit_b32").features(images)
    assert ours.shape == (8, 512)
    agree(ours, theirs, against="open_clip, and OpenCV's resize", **FEATURES)


def test_osnet_features_equal_torchreid(
    weights_folder: Path, crops: Tensor, noisy: Tensor, agree: Agree
) -> None:
    """torchreid's transform at test time: Pillow's bilinear resize."""
    from torchvision.transforms import Compose, Normalize, Resize, ToTensor

    original = osnet_market(weights_folder)
    transform = Compose(
        [Resize((256, 128)), ToTensor(), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    )
    images = torch.cat([crops[:2], noisy[:2]])
    with torch.no_grad():
        theirs = original(torch.stack([transform(as_picture(image)) for image in images]))
    agree(load_extractor("osnet_x1_0_market1501").features(images), theirs, against="torchreid", **FEATURES)


class Dinov2(nn.Module):
    """DINOv2 written out from its papers (Dosovitskiy 2021, Touvron 2021, Oquab 2023), tensors as published."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.tensors = tensors

    def forward(self, x: Tensor) -> Tensor:
        t = self.tensors
        patches = F.conv2d(x, t["patch_embed.proj.weight"], t["patch_embed.proj.bias"], stride=14)
        side = patches.shape[-1]
        grid = t["pos_embed"][:, 1:].view(1, 37, 37, -1).permute(0, 3, 1, 2)
        # The official code adds 0.1 to the size and hands the quotient on as the scale.
        grid = F.interpolate(grid, scale_factor=((side + 0.1) / 37,) * 2, mode="bicubic")
        tokens = (patches + grid).flatten(2).transpose(1, 2)
        first = (t["cls_token"] + t["pos_embed"][:, :1]).expand(len(x), -1, -1)
        x = torch.cat([first, tokens], dim=1)
        for block in range(2):
            name = f"blocks.{block}"
            x = x + t[f"{name}.ls1.gamma"] * self._attention(self._norm(x, f"{name}.norm1"), f"{name}.attn")
            hidden = F.gelu(self._linear(self._norm(x, f"{name}.norm2"), f"{name}.mlp.fc1"))
            x = x + t[f"{name}.ls2.gamma"] * self._linear(hidden, f"{name}.mlp.fc2")
        return self._norm(x, "norm")[:, 0]

    def _attention(self, x: Tensor, name: str) -> Tensor:
        b, n, width = x.shape
        query, key, value = (
            self._linear(x, f"{name}.qkv").view(b, n, 3, width // 64, 64).permute(2, 0, 3, 1, 4)
        )
        weights = (query @ key.transpose(-1, -2) / 8.0).softmax(dim=-1)
        return self._linear((weights @ value).transpose(1, 2).reshape(b, n, width), f"{name}.proj")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        return F.layer_norm(x, weight.shape, weight, bias, eps=1e-6)


def test_dinov2_network_equals_its_published_definition(crops: Tensor, agree: Agree) -> None:
    """Input as dgm-eval makes it: Pillow's bicubic resize, ImageNet's normalization."""
    from torchvision.transforms import Compose, InterpolationMode, Normalize, Resize, ToTensor

    tensors = dinov2_tensors()
    transform = Compose(
        [
            Resize((224, 224), InterpolationMode.BICUBIC), ToTensor(),
            Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )  # fmt: skip
    theirs = Dinov2(tensors)(torch.stack([transform(as_picture(crop)) for crop in crops]))
    with torch.no_grad():
        ours = vision_transformer(tensors, "dinov2.pth")(DINOV2_INPUT(crops))
    agree(ours, theirs, against="its definition, and Pillow's resize", **FEATURES)


def test_dinov2_features_equal_torch_fidelity(agree: Agree, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 224x224, where neither resizes. torch-fidelity takes the network from torch.hub."""
    from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2

    tensors = dinov2_tensors()
    monkeypatch.setattr(torch.hub, "load", lambda repository, name: Dinov2(tensors))
    original = FeatureExtractorDinoV2("dinov2-vit-l-14", ["dinov2"])
    generator = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (2, 3, 224, 224), generator=generator, dtype=torch.uint8)
    with torch.no_grad():
        ours = vision_transformer(tensors, "dinov2.pth")(DINOV2_INPUT(images))
    agree(ours, original(images)[0], against="torch-fidelity's input", **FEATURES)


@pytest.mark.filterwarnings("ignore::UserWarning")  # lpips builds torchvision models with retired arguments
@pytest.mark.parametrize("backbone", ["vgg16", "alex"])
def test_lpips_equals_the_lpips_package(
    backbone: str, weights_folder: Path, accept: Accept, crops: Tensor, noisy: Tensor, agree: Agree
) -> None:
    original = lpips_network(weights_folder, backbone)
    accept(f"lpips.{backbone}")
    extractor = load_perceptual(f"lpips.{backbone}")
    a, b = torch.cat([crops[:1], crops[:1]]), torch.cat([noisy[:1], crops[1:2]])
    first, second = (images.float() / 127.5 - 1 for images in (a, b))
    with torch.no_grad():
        original.spatial = False
        whole = original(first, second).flatten()
        assert whole.min() > 0.05
        agree(extractor.distance(a, b), whole, against="lpips", **LPIPS)
        original.spatial = True
        maps = original(first, second)
    torch.testing.assert_close(extractor.distance_map(a, b), maps, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_lpips_equals_torch_fidelity(
    weights_folder: Path,
    accept: Accept,
    crops: Tensor,
    noisy: Tensor,
    agree: Agree,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DeepPrivacy2's LPIPS. Its heads are those of the lpips package, uploaded again."""
    from torch_fidelity import sample_similarity_lpips as theirs

    package = lpips_network(weights_folder, "vgg16")
    accept("lpips.vgg16")
    heads = {name: tensor for name, tensor in package.state_dict().items() if re.match(r"lin\d", name)}
    backbone = SimpleNamespace(features=[layer for part in package.net.children() for layer in part])
    monkeypatch.setattr(theirs, "load_state_dict_from_url", lambda *args, **options: heads)
    monkeypatch.setattr(theirs, "torchvision_load_pretrained_vgg16", lambda: backbone)
    original = theirs.SampleSimilarityLPIPS("lpips-vgg16")
    with torch.no_grad():
        expected = original(crops[:2], noisy[:2]).flatten()
    assert expected.min() > 0.05
    ours = load_perceptual("lpips.vgg16").distance(crops[:2], noisy[:2])
    agree(ours, expected, against="torch-fidelity", **LPIPS)
