import subprocess
import sys

import pytest
import torch
from torch import Tensor

from anonbench.errors import UsageError, WeightsError
from anonbench.features.base import extractor_digest
from anonbench.features.extractors import EXTRACTORS, extractor_names, load_extractor, load_perceptual
from anonbench.features.preprocessing import Preprocessing
from anonbench.weights import weights_card

OFFICIAL = [name for name, entry in EXTRACTORS.items() if entry.weights not in (None, "mobilenet_v2")]
PACKAGED = ["mobilenet_v2", "osnet_synthetic"]


@pytest.mark.parametrize("name", OFFICIAL)
def test_an_official_extractor_without_its_file_names_the_file_and_never_substitutes(
    name: str, weights_folder: object
) -> None:
    entry = EXTRACTORS[name]
    load = load_perceptual if entry.kind == "perceptual" else load_extractor
    with pytest.raises(WeightsError, match=weights_card(str(entry.weights)).files[0]):
        load(name)


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_extractors_load_and_give_their_dimension(name: str, crops: Tensor) -> None:
    extractor = load_extractor(name)
    features = extractor.features(crops)
    assert extractor.name == name
    assert extractor.kind == EXTRACTORS[name].kind
    assert features.shape == (4, extractor.dim)
    assert torch.isfinite(features).all()


@pytest.mark.parametrize("size", [(72, 40), (33, 17), (288, 160), (40, 72)])
@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_extractors_take_any_size(name: str, size: tuple[int, int]) -> None:
    image = torch.full((1, 3, *size), 128, dtype=torch.uint8)
    assert load_extractor(name).features(image).shape[0] == 1


def test_unknown_names_and_wrong_kinds_list_the_valid_ones() -> None:
    with pytest.raises(UsageError, match="mobilenet_v2, inception_v3"):
        load_extractor("resnet50")
    with pytest.raises(UsageError, match=r"lpips\.vgg16"):
        load_perceptual("mobilenet_v2")
    with pytest.raises(UsageError):
        load_extractor("lpips.vgg16")


def test_names_are_grouped_by_kind() -> None:
    assert extractor_names("reid") == ["osnet_synthetic", "osnet_x1_0_market1501"]
    assert set(extractor_names("perceptual")) == {"perceptual_mobilenet_v2", "lpips.vgg16", "lpips.alex"}


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(1, 3, 8, 8),
        torch.zeros(3, 8, 8, dtype=torch.uint8),
        torch.zeros(1, 1, 8, 8, dtype=torch.uint8),
        torch.zeros(0, 3, 8, 8, dtype=torch.uint8),
    ],
    ids=["float", "no batch", "grey", "empty"],
)
def test_anything_but_uint8_rgb_is_refused(images: Tensor) -> None:
    with pytest.raises(ValueError, match="uint8"):
        load_extractor("mobilenet_v2").features(images)


def test_the_digest_follows_weights_preprocessing_and_name() -> None:
    small, large = Preprocessing(size=(128, 64)).describe(), Preprocessing(size=(256, 128)).describe()
    digests = {
        extractor_digest("a", "0" * 64, small),
        extractor_digest("a", "0" * 64, large),
        extractor_digest("a", "1" * 64, small),
        extractor_digest("b", "0" * 64, small),
    }
    assert len(digests) == 4
    assert extractor_digest("a", "0" * 64, small) == extractor_digest("a", "0" * 64, small)


def test_listing_extractors_imports_no_network_library() -> None:
    code = (
        "import sys; import anonbench.features.extractors; "
        "print([m for m in ('torchvision', 'lpips', 'open_clip', 'torch_fidelity', 'torchreid') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
