"""Photos with their detections drawn in, for people who check them."""

import numpy as np
import supervision as sv
from PIL import Image
from torch import Tensor

from anonbench.crops import Outcome
from anonbench.detection.people import PersonDetections

COLOURS = {Outcome.NONE: "#d62728", Outcome.MASK_ONLY: "#ff9f0e", Outcome.SURFACE: "#2ca02c"}
"""Of people who stay as they are, who are blurred and who are replaced."""

MEANING = {Outcome.NONE: "no mask", Outcome.MASK_ONLY: "mask only", Outcome.SURFACE: "surface"}


def draw_people(image: Tensor, detections: PersonDetections) -> Image.Image:
    """The image, uint8 (3, H, W), with everybody's box, mask, score and outcome."""
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    if not len(detections):
        return picture
    people = detections.people
    masks = np.zeros((len(people), *detections.size), dtype=bool)
    for mask, person in zip(masks, people, strict=True):
        mask[person.window.slices] = person.mask.numpy()
    drawn = sv.Detections(
        xyxy=np.array([person.box for person in people]),
        mask=masks,
        class_id=np.array([int(person.outcome) for person in people]),
    )
    colours = sv.ColorPalette.from_hex([COLOURS[outcome] for outcome in Outcome])
    labels = [f"{person.score:.2f} {MEANING[person.outcome]}" for person in people]
    picture = sv.MaskAnnotator(colours, opacity=0.4).annotate(picture, drawn)
    picture = sv.BoxAnnotator(colours, thickness=1).annotate(picture, drawn)
    writer = sv.LabelAnnotator(colours, text_scale=0.35, text_padding=2, smart_position=True)
    return writer.annotate(picture, drawn, labels)
