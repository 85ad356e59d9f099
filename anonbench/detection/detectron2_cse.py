"""People from detectron2's Mask R-CNN, surfaces from DensePose's Continuous Surface Embeddings (thesis Fig. 4.2).

Neither package is on PyPI: both are built from their source (docs/detect.md). Surfaces hold vertices of SMPL as
DensePose numbers them ("smpl_27554"), which is what FDH and the generators trained on it hold.
"""

import hashlib
from functools import cached_property
from importlib import import_module
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from anonbench.cards import Strict
from anonbench.detection.instances import people_of_masks, scale_to, shrunk
from anonbench.detection.matching import SURFACE_IOU, join_surfaces
from anonbench.detection.people import Person, PersonDetections
from anonbench.errors import UsageError
from anonbench.weights import load_strictly, read_tensors, weights_card, weights_path

MASKS, SURFACES = "detectron2.mask_rcnn_r_50_fpn_3x", "densepose.cse_r_50_fpn_soft_s1x"
"""Names of the weights (`anonbench weights list`)."""

TEMPLATE = "smpl_27554"
VERTICES = 27554

MASK_CONFIG = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml"
"""In detectron2's model zoo, whose configurations come with the package."""

SURFACE_CONFIG: dict[str, Any] = {
    "VERSION": 2,
    "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
    "MODEL.BACKBONE.NAME": "build_resnet_fpn_backbone",
    "MODEL.RESNETS.DEPTH": 50,
    "MODEL.RESNETS.OUT_FEATURES": ["res2", "res3", "res4", "res5"],
    "MODEL.FPN.IN_FEATURES": ["res2", "res3", "res4", "res5"],
    "MODEL.ANCHOR_GENERATOR.SIZES": [[32], [64], [128], [256], [512]],
    "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": [[0.5, 1.0, 2.0]],
    "MODEL.RPN.IN_FEATURES": ["p2", "p3", "p4", "p5", "p6"],
    "MODEL.RPN.PRE_NMS_TOPK_TEST": 1000,
    "MODEL.RPN.POST_NMS_TOPK_TEST": 1000,
    "MODEL.DENSEPOSE_ON": True,
    "MODEL.ROI_HEADS.NAME": "DensePoseROIHeads",
    "MODEL.ROI_HEADS.IN_FEATURES": ["p2", "p3", "p4", "p5"],
    "MODEL.ROI_HEADS.NUM_CLASSES": 1,
    "MODEL.ROI_BOX_HEAD.NAME": "FastRCNNConvFCHead",
    "MODEL.ROI_BOX_HEAD.NUM_FC": 2,
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": 7,
    "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": 2,
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": "ROIAlign",
    "MODEL.ROI_DENSEPOSE_HEAD.NAME": "DensePoseV1ConvXHead",
    "MODEL.ROI_DENSEPOSE_HEAD.POOLER_TYPE": "ROIAlign",
    "MODEL.ROI_DENSEPOSE_HEAD.NUM_COARSE_SEGM_CHANNELS": 2,
    "MODEL.ROI_DENSEPOSE_HEAD.PREDICTOR_NAME": "DensePoseEmbeddingPredictor",
    "MODEL.ROI_DENSEPOSE_HEAD.LOSS_NAME": "DensePoseCseLoss",
    "MODEL.ROI_DENSEPOSE_HEAD.CSE.EMBED_LOSS_NAME": "SoftEmbeddingLoss",
}
"""`densepose_rcnn_R_50_FPN_soft_s1x`, as far as inference needs it (DensePose's `configs/cse`, which are not
installed with the package)."""

EMBEDDER = {
    "TYPE": "vertex_feature",
    "NUM_VERTICES": VERTICES,
    "FEATURE_DIM": 256,
    "FEATURES_TRAINABLE": False,
    "IS_TRAINABLE": True,
    "INIT_FILE": "",  # the checkpoint holds it
}

NOT_LEARNED = ("pixel_mean", "pixel_std", "proposal_generator.anchor_generator")
"""Constants that checkpoints may hold beside what was learned."""


class Detectron2Options(Strict):
    """What counts as a person. The defaults favour recall: whoever is missed is published."""

    min_score: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="of a person in either network; detectron2 itself draws from 0.5 on and misses far people",
    )
    mask_threshold: float = Field(default=0.5, gt=0, lt=1, description="of a pixel, as in COCO's evaluation")
    min_overlap: float = Field(
        default=SURFACE_IOU, gt=0, le=1, description="IoU of a mask and a surface of one person"
    )
    shorter_side: int = Field(default=800, ge=32, description="pixels at which the networks see the image")
    longer_side: int = Field(default=1333, ge=32, description="limit, which long images reach first")
    max_people: int = Field(default=100, ge=1, description="in one image, the most certain first")


class Detectron2CSE:
    """People with masks and SMPL surfaces, without keypoints; networks are loaded by the first `detect`."""

    name = "detectron2"

    def __init__(self, options: Detectron2Options | None = None, device: str = "cpu") -> None:
        self.options = options or Detectron2Options()
        self.device = torch.device(device)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.options, str(self.device))

    @cached_property
    def digest(self) -> str:
        """Of the options and the weights' cards."""
        parts = [self.options.digest, *(weights_card(name).digest for name in (MASKS, SURFACES))]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def require(self) -> None:
        """Raises UsageError or WeightsError, saying what to do, when a package or a weight file is not there."""
        for package in ("detectron2._C", "densepose"):
            _imported(package)
        for name in (MASKS, SURFACES):
            weights_path(name)

    @torch.inference_mode()
    def detect(self, image: Tensor) -> PersonDetections:
        """Everybody in `image`, uint8 (3, H, W), RGB. Raises what `require` raises."""
        size = (image.shape[1], image.shape[2])
        # Both networks were trained on BGR.
        view = shrunk(image.flip(0).float(), self.options.shorter_side, self.options.longer_side)
        scale = scale_to(size, (view.shape[1], view.shape[2]))
        masked = self._run(self._mask_network, view)
        masked = masked[masked.pred_classes == 0]
        people = people_of_masks(
            masked.pred_boxes.tensor * scale.repeat(2),
            masked.scores,
            masked.pred_masks.float(),
            size,
            self.options.mask_threshold,
        )
        surfaced = self._surfaced(self._run(self._surface_network, view), scale, size)
        joined = join_surfaces(people, surfaced, size, self.options.min_overlap)
        return PersonDetections(size, tuple(sorted(joined, key=lambda person: -person.score)), TEMPLATE)

    def _run(self, network: nn.Module, view: Tensor) -> Any:
        """detectron2's `Instances` in pixels of the view, on the CPU."""
        resize = _imported("detectron2.data.transforms").ResizeShortestEdge(
            [self.options.shorter_side] * 2, self.options.longer_side
        )
        pixels = view.permute(1, 2, 0).contiguous().numpy()
        seen = resize.get_transform(pixels).apply_image(pixels)
        shown = torch.from_numpy(seen).permute(2, 0, 1).contiguous().to(self.device)
        given = {"image": shown, "height": view.shape[1], "width": view.shape[2]}
        return network([given])[0]["instances"].to("cpu")

    def _surfaced(self, found: Any, scale: Tensor, size: tuple[int, int]) -> list[Person]:
        """People whose mask is where CSE sees their surface."""
        embedding = self._surface_network.roi_heads.embedder(TEMPLATE).cpu()  # type: ignore[union-attr, operator]
        nearest = _imported("densepose.modeling.cse.utils").get_closest_vertices_mask_from_ES
        boxes = found.pred_boxes.tensor * scale.repeat(2)
        people = []
        for i, (box, score) in enumerate(zip(boxes.tolist(), found.scores.tolist(), strict=True)):
            left, top = int(box[0]), int(box[1])
            h = min(size[0] - top, max(1, round(box[3] - box[1])))
            w = min(size[1] - left, max(1, round(box[2] - box[0])))
            output = found.pred_densepose[i]
            vertices, body = nearest(
                output.embedding, output.coarse_segm, h, w, embedding, torch.device("cpu")
            )
            surface = torch.full(size, -1, dtype=torch.int32)
            surface[top : top + h, left : left + w] = torch.where(body, vertices, -1).to(torch.int32)
            corners = (box[0], box[1], box[2], box[3])
            people.append(Person.of_mask(surface >= 0, score, surface=surface, box=corners))
        return [person for person in people if person is not None]

    @cached_property
    def _mask_network(self) -> nn.Module:
        config = _imported("detectron2.model_zoo").get_config(MASK_CONFIG)
        return self._network(config, MASKS)

    @cached_property
    def _surface_network(self) -> nn.Module:
        detectron2_config = _imported("detectron2.config")
        config = detectron2_config.get_cfg()
        _imported("densepose").add_densepose_config(config)
        config.merge_from_list([part for item in SURFACE_CONFIG.items() for part in item])
        config.MODEL.ROI_DENSEPOSE_HEAD.CSE.EMBEDDERS = detectron2_config.CfgNode({TEMPLATE: EMBEDDER})
        config.DATASETS.CLASS_TO_MESH_NAME_MAPPING = detectron2_config.CfgNode({"0": TEMPLATE})
        return self._network(config, SURFACES)

    def _network(self, config: Any, weights: str) -> nn.Module:
        """A network of detectron2. Its own loader reads pickles; the weights are read from safetensors here."""
        config.MODEL.WEIGHTS = ""
        config.MODEL.DEVICE = str(self.device)
        config.MODEL.ROI_HEADS.SCORE_THRESH_TEST = self.options.min_score
        config.TEST.DETECTIONS_PER_IMAGE = self.options.max_people
        network: nn.Module = _imported("detectron2.modeling").build_model(config)
        path = weights_path(weights)
        given = {k: v for k, v in read_tensors(path).items() if not k.startswith(NOT_LEARNED)}
        load_strictly(network, given, str(path))
        return network.eval()


def _imported(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(
            f"detector 'detectron2' needs detectron2 and its project DensePose, built from source ({error}): "
            "docs/detect.md says how; or use --detector torchvision"
        ) from error
