"""People from Mask R-CNN (He et al., ICCV 2017) and Keypoint R-CNN with torchvision's official COCO weights."""

import hashlib
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import torch
import torchvision
from pydantic import Field
from torch import Tensor, nn
from torchvision.models.detection import KeypointRCNN, MaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.misc import FrozenBatchNorm2d

from anonbench.cards import Strict
from anonbench.detection.instances import people_of_masks, scale_to, shrunk
from anonbench.detection.matching import join_keypoints
from anonbench.detection.people import PersonDetections
from anonbench.weights import load_strictly, read_tensors, weights_card, weights_path

MASKS, KEYPOINTS = "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn"
"""Names of the weights (`anonbench weights list`)."""

PERSON = 1
"""COCO's class "person" in both networks."""


class TorchvisionOptions(Strict):
    """What counts as a person. The defaults favour recall: whoever is missed is published."""

    min_score: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="of a person; far and half hidden people often get 0.3 to 0.5, objects rarely",
    )
    min_lone_score: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="of somebody whom the keypoint network alone sees: all of the box is anonymized",
    )
    mask_threshold: float = Field(default=0.5, gt=0, lt=1, description="of a pixel, as in COCO's evaluation")
    shorter_side: int = Field(default=800, ge=32, description="pixels at which the networks see the image")
    longer_side: int = Field(default=1333, ge=32, description="limit, which long images reach first")
    max_people: int = Field(default=100, ge=1, description="in one image, the most certain first")


class TorchvisionRCNN:
    """People with masks and COCO keypoints, without surfaces; networks are loaded by the first `detect`.

    Memory does not grow with the number of people in a large image: see `instances.shrunk`.
    """

    name = "torchvision"

    def __init__(self, options: TorchvisionOptions | None = None, device: str = "cpu") -> None:
        self.options = options or TorchvisionOptions()
        self.device = torch.device(device)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.options, str(self.device))

    @cached_property
    def digest(self) -> str:
        """Of the options, the weights' cards and torchvision's version."""
        cards = [weights_card(name).digest for name in (MASKS, KEYPOINTS)]
        parts = [self.options.digest, *cards, f"torchvision {torchvision.__version__}"]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def require(self) -> None:
        """Raises WeightsError, saying what to put where, when a weight file is not there."""
        for name in (MASKS, KEYPOINTS):
            weights_path(name)

    @torch.inference_mode()
    def detect(self, image: Tensor) -> PersonDetections:
        """Everybody in `image`, uint8 (3, H, W), RGB. Raises WeightsError when a weight file is not there."""
        size = (image.shape[1], image.shape[2])
        view = shrunk(
            image.to(self.device).float() / 255, self.options.shorter_side, self.options.longer_side
        )
        scale = scale_to(size, (view.shape[1], view.shape[2]))
        masked, keyed = self._run(self._mask_network, view), self._run(self._keypoint_network, view)
        people = people_of_masks(
            masked["boxes"] * scale.repeat(2),
            masked["scores"],
            masked["masks"][:, 0],
            size,
            self.options.mask_threshold,
        )
        joined = join_keypoints(
            people, keyed["boxes"] * scale.repeat(2), keyed["scores"], _keypoints(keyed, scale), size
        )
        lone = [person for person in joined[len(people) :] if person.score >= self.options.min_lone_score]
        everybody = sorted(joined[: len(people)] + lone, key=lambda person: -person.score)
        return PersonDetections(size, tuple(everybody))

    @cached_property
    def _mask_network(self) -> nn.Module:
        return self._network(MaskRCNN, MASKS, 91)

    @cached_property
    def _keypoint_network(self) -> nn.Module:
        return self._network(partial(KeypointRCNN, num_keypoints=17), KEYPOINTS, 2)

    def _network(self, kind: Callable[..., nn.Module], weights: str, classes: int) -> nn.Module:
        # The weights were trained with frozen batch normalization whose epsilon is zero.
        backbone = resnet_fpn_backbone(
            backbone_name="resnet50", weights=None, norm_layer=partial(FrozenBatchNorm2d, eps=0.0)
        )
        network = kind(
            backbone,
            num_classes=classes,
            min_size=self.options.shorter_side,
            max_size=self.options.longer_side,
            box_score_thresh=self.options.min_score,
            box_detections_per_img=self.options.max_people,
        )
        path = weights_path(weights)
        load_strictly(network, read_tensors(path), str(path))
        return network.to(self.device).eval()

    def _run(self, network: nn.Module, view: Tensor) -> dict[str, Tensor]:
        """The people whom a network sees, in pixels of the view."""
        found = network([view])[0]
        person = found["labels"] == PERSON
        return {key: value[person].cpu() for key, value in found.items()}


def _keypoints(found: dict[str, Tensor], scale: Tensor) -> Tensor:
    """float32 (N, 17, 3); visibility is the logistic of the network's heat, which is about 0 where it guesses."""
    points = found["keypoints"][..., :2] * scale
    return torch.cat([points, found["keypoints_scores"].sigmoid()[..., None]], dim=2)
