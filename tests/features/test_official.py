"""What official extractors refuse and promise. That they equal the original packages: tests/parity."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from anonbench.errors import WeightsError
from anonbench.features.dinov2 import vision_transformer
from anonbench.features.extractors import load_extractor, load_perceptual
from anonbench.features.lpips import lpips_network
from anonbench.features.osnet import osnet
from anonbench.weights import WrongHashError, read_tensors
from anonbench.weights.trust import pin_path
from tests import official_files
from tests.official_files import clip, dinov2_tensors, official_path, osnet_market, settle

Accept = Callable[[str], Path]
MARKET = "osnet_x1_0_market1501"


def write_one_tensor(folder: Path, name: str) -> None:
    torch.save({"a": torch.zeros(1)}, official_path(folder, name))


@pytest.mark.parametrize(("name", "reason"), [("inception_v3", "InceptionV3"), ("dinov2_vit_l14", "DINOv2")])
def test_tensors_of_another_network_are_refused(
    weights_folder: Path, accept: Accept, crops: Tensor, name: str, reason: str
) -> None:
    write_one_tensor(weights_folder, name)
    accept(name)
    with pytest.raises(WeightsError, match=reason):
        load_extractor(name).features(crops)


def test_another_file_under_an_official_name_is_refused(weights_folder: Path) -> None:
    write_one_tensor(weights_folder, "inception_v3")
    with pytest.raises(WrongHashError, match="6726825d0af5"):
        load_extractor("inception_v3")


class TestClip:
    def test_embeddings_are_not_normalized(self, weights_folder: Path, accept: Accept, crops: Tensor) -> None:
        clip(weights_folder)
        accept("clip_vit_b32")
        norms = load_extractor("clip_vit_b32").features(crops).norm(dim=1)
        assert (norms - 1).abs().min() > 0.01

    def test_a_file_that_is_no_archive_is_refused(
        self, weights_folder: Path, accept: Accept, crops: Tensor
    ) -> None:
        official_path(weights_folder, "clip_vit_b32").write_bytes(b"no archive")
        accept("clip_vit_b32")
        with pytest.raises(WeightsError, match="CLIP"):
            load_extractor("clip_vit_b32").features(crops)


class TestDinov2:
    def test_a_smaller_one_is_refused_as_vit_l14(
        self, weights_folder: Path, accept: Accept, crops: Tensor
    ) -> None:
        """ViT-S/14 fits the same code; its distances would be plausible and wrong."""
        torch.save(dinov2_tensors(width=384), official_path(weights_folder, "dinov2_vit_l14"))
        with pytest.raises(WeightsError, match="width 384, not 1024"):
            load_extractor("dinov2_vit_l14").features(crops)

    def test_every_tensor_but_the_mask_token_is_needed(self) -> None:
        tensors = dinov2_tensors()
        vision_transformer({k: v for k, v in tensors.items() if k != "mask_token"}, "dinov2.pth")
        for name in ("cls_token", "blocks.1.ls2.gamma", "norm.bias"):
            with pytest.raises(WeightsError, match=r"dinov2\.pth"):
                vision_transformer({k: v for k, v in tensors.items() if k != name}, "dinov2.pth")

    def test_one_with_registers_is_refused(self) -> None:
        with_registers = dinov2_tensors() | {"register_tokens": torch.zeros(1, 4, 128)}
        with pytest.raises(WeightsError, match="register_tokens"):
            vision_transformer(with_registers, "dinov2.pth")


@pytest.mark.filterwarnings("ignore::UserWarning")  # lpips builds torchvision models with retired arguments
class TestLpips:
    @pytest.mark.parametrize("backbone", ["alex", "vgg16"])
    def test_equal_images_have_distance_zero(
        self, weights_folder: Path, accept: Accept, crops: Tensor, backbone: str
    ) -> None:
        official_files.lpips_network(weights_folder, backbone)
        accept(f"lpips.{backbone}")
        extractor = load_perceptual(f"lpips.{backbone}")
        assert extractor.key == backbone
        assert extractor.distance(crops[:1], crops[:1]).abs().max() == 0

    def test_the_classifier_may_be_there_and_every_other_tensor_must(self, weights_folder: Path) -> None:
        official_files.lpips_network(weights_folder, "alex")
        tensors = read_tensors(official_path(weights_folder, "lpips.alex"))
        lpips_network("alex", tensors | {"classifier.0.weight": torch.zeros(1)}, "alexnet.pth")
        incomplete = {k: v for k, v in tensors.items() if k != "features.0.weight"}
        with pytest.raises(WeightsError, match=r"alexnet\.pth"):
            lpips_network("alex", incomplete, "alexnet.pth")


class TestOsnetMarket:
    @pytest.mark.parametrize("identities", [1000, 702])
    def test_weights_of_other_training_data_are_refused(
        self, weights_folder: Path, crops: Tensor, identities: int
    ) -> None:
        """ImageNet has 1000 classes; on such features every anonymizer would look perfect."""
        network: nn.Module = osnet("osnet_x1_0", identities)
        torch.save(network.state_dict(), official_path(weights_folder, MARKET))
        with pytest.raises(WeightsError, match="751"):
            load_extractor(MARKET).features(crops)

    def test_the_digest_is_that_of_the_file_in_use(self, weights_folder: Path) -> None:
        osnet_market(weights_folder)
        first = load_extractor(MARKET).digest
        pin_path(official_path(weights_folder, MARKET)).unlink()
        torch.save(settle(osnet("osnet_x1_0", 751)).state_dict(), official_path(weights_folder, MARKET))
        assert load_extractor(MARKET).digest != first
