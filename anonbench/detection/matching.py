"""Two networks see the same people: masks joined with surfaces or keypoints by overlap (thesis Fig. 4.2).

Nobody is lost on the way. A mask without a partner stays, its person is blurred; a surface or keypoints without a
partner become a person with a mask made from them.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou

from anonbench.detection.people import Person, Window, mask_iou

SURFACE_IOU = 0.3
"""From this overlap of mask and surface on they show one person.

A surface stops at the skin, a mask goes around hair and clothes, so they overlap less than two masks would.
"""

BOX_IOU = 0.5
"""From this overlap of boxes on they show one person: PASCAL VOC's criterion of a correct detection."""

DILATION = 0.05
"""A surface without a mask grows by this share of the square root of its bounds' area, to cover hair and
loose clothes, as the masks of COCO-Body do (thesis section 3.5)."""


def match(iou: Tensor, threshold: float) -> list[tuple[int, int]]:
    """One-to-one pairs (row, column) of `iou`, float (M, N), at or above `threshold`; the largest first.

    Greedy: each pair is the largest that is left, of equal ones the first.
    """
    left = iou.clone()
    pairs: list[tuple[int, int]] = []
    while left.numel() and float(left.max()) >= max(threshold, torch.finfo(left.dtype).tiny):
        row, column = divmod(int(left.argmax()), left.shape[1])
        pairs.append((row, column))
        left[row], left[:, column] = -1, -1
    return pairs


def join_surfaces(
    masked: Sequence[Person],
    surfaced: Sequence[Person],
    size: tuple[int, int],
    threshold: float = SURFACE_IOU,
) -> list[Person]:
    """The people of a segmentation network with the surfaces of another network.

    surfaced: people whose mask is where their surface is; size: (H, W) of the image. Matched people have the
    union of both masks. Returns everybody in `masked`, in that order, then those of `surfaced` that have no
    partner, their mask dilated (DILATION).
    """
    iou = torch.tensor([[mask_iou(a, b) for b in surfaced] for a in masked]).reshape(
        len(masked), len(surfaced)
    )
    partner = dict(match(iou, threshold))
    joined = [_union(a, surfaced[partner[i]]) if i in partner else a for i, a in enumerate(masked)]
    alone = [b for i, b in enumerate(surfaced) if i not in partner.values()]
    return joined + [_dilated(person, size) for person in alone]


def join_keypoints(
    people: Sequence[Person],
    boxes: Tensor,
    scores: Tensor,
    keypoints: Tensor,
    size: tuple[int, int],
    threshold: float = BOX_IOU,
) -> list[Person]:
    """The people of a segmentation network with the keypoints of another network, by their boxes.

    boxes: float (N, 4) x0, y0, x1, y1; scores: float (N,); keypoints: float32 (N, 17, 3); size: (H, W) of the
    image. Returns `people` in their order, then those of the other network that have no partner: nothing is
    known but their box, so all of it is their mask, and without keypoints they are blurred.
    """
    known = torch.tensor([person.box for person in people]).reshape(-1, 4)
    partner = dict(match(box_iou(known, boxes.float()), threshold))
    joined = [
        replace(p, keypoints=keypoints[partner[i]]) if i in partner else p for i, p in enumerate(people)
    ]
    alone = [i for i in range(len(boxes)) if i not in partner.values()]
    filled = [_filled_box(boxes[i].tolist(), float(scores[i]), size) for i in alone]
    return joined + [person for person in filled if person is not None]


def _union(person: Person, surfaced: Person) -> Person:
    """`person` with the surface of the other, and the pixels of both."""
    a, b = person.window, surfaced.window
    window = Window(min(a.top, b.top), min(a.left, b.left), max(a.bottom, b.bottom), max(a.right, b.right))
    mask = _moved(person.mask, a, window, False) | _moved(surfaced.mask, b, window, False)
    surface = _moved(surfaced.surface, b, window, -1)
    keypoints = person.keypoints if person.keypoints.any() else surfaced.keypoints
    return replace(person, window=window, mask=mask, surface=surface, keypoints=keypoints)


def _moved(values: Tensor, held: Window, window: Window, fill: int | bool) -> Tensor:
    """`values` (h, w) over `held` in a larger window, `fill` around them."""
    moved = torch.full(window.size, fill, dtype=values.dtype)
    moved[held.relative_to(window).slices] = values
    return moved


def _dilated(person: Person, size: tuple[int, int]) -> Person:
    h, w = person.window.size
    reach = max(1, math.ceil(DILATION * math.sqrt(h * w)))
    top, left = max(0, person.window.top - reach), max(0, person.window.left - reach)
    bottom, right = min(size[0], person.window.bottom + reach), min(size[1], person.window.right + reach)
    window = Window(top, left, bottom, right)
    mask = _moved(person.mask, person.window, window, False)
    grown = F.max_pool2d(mask[None, None].float(), 2 * reach + 1, stride=1, padding=reach)[0, 0] > 0
    return replace(
        person, window=window, mask=grown, surface=_moved(person.surface, person.window, window, -1)
    )


def _filled_box(box: Sequence[float], score: float, size: tuple[int, int]) -> Person | None:
    """A person whose mask is a box, as far as the image holds it; none where it does not."""
    x0, y0, x1, y1 = box
    top, left = max(0, math.floor(y0)), max(0, math.floor(x0))
    bottom, right = min(size[0], math.ceil(y1)), min(size[1], math.ceil(x1))
    if bottom <= top or right <= left:
        return None
    mask = torch.zeros(size, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return Person.of_mask(mask, score, box=(x0, y0, x1, y1))
