"""OSNet (Zhou et al. 2019), the re-identification network of the thesis, in torchreid's definition."""

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from anonbench.cards import ExtractorCard, KnownAnswer, Strict, packaged_card, validate_section
from anonbench.errors import WeightsError
from anonbench.features.base import FeatureExtractor, extractor_digest
from anonbench.features.preprocessing import Preprocessing
from anonbench.resources import resource_dir
from anonbench.weights import load_strictly, read_tensors, require_sha256, verified_weights
from anonbench.weights.known_answers import answer_of, probe, require_answer, require_sound, require_trained

Width = Literal["osnet_x1_0", "osnet_x0_75", "osnet_x0_5", "osnet_x0_25"]

MARKET_INPUT = Preprocessing(size=(256, 128), interpolation="pillow_bilinear", round_to_uint8=True)
"""torchreid's test transform: Pillow's bilinear resize to 256x128, ImageNet mean and deviation."""

MARKET_IDENTITIES = 751


class OsnetArchitecture(Strict):
    """`architecture` of an OSNet card."""

    width: Width
    identities: int = Field(ge=2, description="training identities, the rows of the classifier")
    instance_norm: bool = False


class OsnetOptions(Strict):
    """`options` of an OSNet card."""

    input_size: tuple[int, int] = Field(description="(H, W) that crops are resized to")


def osnet_x1_0_market1501(device: torch.device) -> FeatureExtractor:
    """512-d features of the thesis' re-ID network; compare them by euclidean distance, as they are."""
    name = "osnet_x1_0_market1501"
    weights = verified_weights(name)
    path = weights.path
    digest = extractor_digest(name, weights.sha256, MARKET_INPUT.describe())

    def build(device: torch.device) -> Callable[[Tensor], Tensor]:
        tensors = read_tensors(path)
        _require_market(tensors, path)
        network = osnet("osnet_x1_0", MARKET_IDENTITIES)
        load_strictly(network, tensors, str(path))
        require_trained(network, str(path))
        require_sound(_apply(network, MARKET_INPUT), str(path))
        return _apply(network.to(device), MARKET_INPUT)

    return FeatureExtractor(name, "reid", 512, digest, build, device)


def osnet_synthetic(device: torch.device) -> FeatureExtractor:
    """512-d features of the packaged network, trained on synthetic people only; euclidean distance.

    They have unit length, since training compared them by cosine.
    """
    card = packaged_card("models/extractors", "osnet_synthetic", ExtractorCard)
    if card.checkpoint is None:
        raise WeightsError("models/extractors/osnet_synthetic.yaml: key 'checkpoint' is missing")
    where = "models/extractors/osnet_synthetic.yaml"
    architecture = validate_section(OsnetArchitecture, card.architecture, where)
    options = validate_section(OsnetOptions, card.options, where)
    preprocessing = synthetic_input(options.input_size)
    path = resource_dir("models") / "extractors" / card.checkpoint.file
    require_sha256(path, card.checkpoint.sha256)
    description = preprocessing.describe() | {"output": "unit length"}
    digest = extractor_digest(card.name, card.checkpoint.sha256, description)

    def build(device: torch.device) -> Callable[[Tensor], Tensor]:
        network = osnet(architecture.width, architecture.identities, instance_norm=architecture.instance_norm)
        load_strictly(network, read_tensors(path), str(path), unused=("classifier.",))
        require_answer(
            _unit_length(network, preprocessing), probe(options.input_size), card.known_answer, str(path)
        )
        return _unit_length(network.to(device), preprocessing)

    return FeatureExtractor(card.name, "reid", 512, digest, build, device)


def synthetic_input(size: tuple[int, int]) -> Preprocessing:
    """How crops enter the packaged network, in training and in use."""
    return Preprocessing(size=size, round_to_uint8=True)


def osnet(
    width: Width,
    identities: int,
    loss: Literal["softmax", "triplet"] = "softmax",
    instance_norm: bool = False,
) -> nn.Module:
    """An untrained OSNet in eval mode. Nothing is downloaded.

    instance_norm: in the first layers, as in OSNet-IBN (Zhou et al. 2021): takes exposure and tint out of each
    image.

    In eval mode it maps float (B, 3, H, W) to features (B, 512). In training mode it gives the logits over
    `identities`, and with `loss="triplet"` the features beside them.
    """
    make = getattr(_definitions(), width)
    network: nn.Module = make(num_classes=identities, pretrained=False, loss=loss, IN=instance_norm)
    return network.eval()


@cache
def _definitions() -> ModuleType:
    """torchreid's osnet.py alone: its package import takes seconds and needs its trainers' dependencies."""
    package = importlib.util.find_spec("torchreid")
    if package is None or package.origin is None:
        raise WeightsError("OSNet needs torchreid's network definition: run 'pip install torchreid'")
    path = Path(package.origin).parent / "reid" / "models" / "osnet.py"
    spec = importlib.util.spec_from_file_location("anonbench_torchreid_osnet", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise WeightsError(f"{path}: not found; run 'pip install --force-reinstall torchreid'")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _apply(network: nn.Module, preprocessing: Preprocessing) -> Callable[[Tensor], Tensor]:
    network.requires_grad_(False).to(memory_format=torch.channels_last)
    return lambda images: network(preprocessing(images))


def _unit_length(network: nn.Module, preprocessing: Preprocessing) -> Callable[[Tensor], Tensor]:
    features = _apply(network, preprocessing)
    return lambda images: F.normalize(features(images), dim=1)


def synthetic_answer(network: nn.Module, size: tuple[int, int]) -> KnownAnswer:
    """What a card of the packaged network states that it answers."""
    return answer_of(_unit_length(network, synthetic_input(size))(probe(size)))


def _require_market(tensors: dict[str, Tensor], path: Path) -> None:
    """ImageNet weights fit the same network; on them every anonymizer would look perfect."""
    classifier = tensors.get("classifier.weight")
    if classifier is None or len(classifier) != MARKET_IDENTITIES:
        rows = "no" if classifier is None else len(classifier)
        raise WeightsError(
            f"{path}: has {rows} training identities, Market-1501 has {MARKET_IDENTITIES}; "
            "get the file of torchreid's model zoo that was trained on it"
        )
