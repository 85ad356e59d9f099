"""What networks for instance segmentation share: the size at which they see an image, and people from their masks."""

import torch
import torch.nn.functional as F
from torch import Tensor

from anonbench.detection.people import Person


def shrunk(image: Tensor, shorter_side: int, longer_side: int) -> Tensor:
    """`image`, float (3, H, W), no larger than a network looks at it, and at least one pixel wide.

    A network that is shown the whole image gives masks of its size: 100 people in 20 megapixels are 8 GB.
    """
    height, width = image.shape[1:]
    scale = min(shorter_side / min(height, width), longer_side / max(height, width))
    if scale >= 1:
        return image
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]


def scale_to(size: tuple[int, int], view: tuple[int, int]) -> Tensor:
    """float (2,): factors of x and y from pixels of the view to pixels of the image; both sizes are (H, W)."""
    return torch.tensor([size[1] / view[1], size[0] / view[0]])


def people_of_masks(
    boxes: Tensor, scores: Tensor, masks: Tensor, size: tuple[int, int], threshold: float
) -> list[Person]:
    """One person per mask that is not empty.

    boxes: float (N, 4) x0, y0, x1, y1 in pixels of the image of `size` (H, W). masks: float (N, h, w) in [0, 1],
    the whole image at any resolution; each is brought to the image's by itself, which bounds memory.
    """
    people = []
    for box, score, mask in zip(boxes.tolist(), scores.tolist(), masks, strict=True):
        inside = F.interpolate(mask[None, None].float(), size, mode="bilinear")[0, 0] >= threshold
        person = Person.of_mask(inside, score, box=(box[0], box[1], box[2], box[3]))
        if person is not None:
            people.append(person)
    return people
