"""Claims about the training of the surface head, its random placement and its errors."""

from dataclasses import replace

import pytest
import torch

from anonbench import template
from anonbench.cards import DetectorCard, read_card
from anonbench.crops import Outcome, PersonCrops
from anonbench.detection.coordinates import rest_positions, thinned_vertices
from anonbench.detection.surface_head import (
    SurfaceHeadArchitecture,
    SurfaceHeadOptions,
    build_surface_detector,
)
from anonbench.training.surface_head import (
    Placement,
    SurfaceHeadTraining,
    measure,
    place,
    train,
    write_detector,
)

SIZE = (24, 16)
ARCHITECTURE = SurfaceHeadArchitecture(size=SIZE, channels=8, heat_sigma=1.0)
OPTIONS = SurfaceHeadOptions(min_visibility=0.3, min_keypoints=6, max_error=1e9)
STILL = Placement(scale=1, aspect=1, shift=0, rotation=0)


def block_people(batch=16, seed=0):
    """Rectangles whose rows show the template from head to foot, with keypoints down the middle."""
    generator = torch.Generator().manual_seed(seed)
    tall = template.positions()[:, 2].argsort(descending=True).to(torch.int32)
    surface = torch.full((batch, *SIZE), -1, dtype=torch.int32)
    keypoints = torch.ones(batch, 17, 3)
    for i in range(batch):
        top, left = torch.randint(2, 6, (2,), generator=generator).tolist()
        rows = tall[torch.linspace(0, len(tall) - 1, 16).long()]
        surface[i, top : top + 16, left : left + 6] = rows[:, None]
        keypoints[i, :, 0] = left + 3.0
        keypoints[i, :, 1] = top + torch.linspace(0.5, 15.5, 17)
    return PersonCrops(
        image=torch.zeros(batch, 3, *SIZE, dtype=torch.uint8),
        person_mask=(surface >= 0)[:, None],
        surface=surface,
        keypoints=keypoints,
        person_id=torch.arange(batch),
        camera_id=torch.zeros(batch, dtype=torch.int64),
        outcome=torch.full((batch,), int(Outcome.SURFACE)),
        key=tuple(map(str, range(batch))),
    )


class Oracle:
    """A detector that answers with given surfaces."""

    def __init__(self, surface):
        self.surface = surface

    def fill_surfaces(self, crops):
        return replace(crops, surface=self.surface)


def test_training_lowers_the_loss():
    losses = []
    config = SurfaceHeadTraining(images=200, batch=2)
    train(block_people(8), ARCHITECTURE, config, lambda step, loss: losses.append(loss))
    assert len(losses) == 2
    assert losses[1] < losses[0]


def test_the_same_seed_gives_the_same_network():
    config = SurfaceHeadTraining(images=8, batch=2)
    first, again = (train(block_people(4), ARCHITECTURE, config).state_dict() for _ in range(2))
    assert all(torch.equal(value, again[name]) for name, value in first.items())


def test_the_learning_rate_rises_and_then_falls_to_zero():
    config = SurfaceHeadTraining(images=1000, batch=1)
    rates = [config.rate_at(step) for step in range(config.steps)]
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0 < rates[0] < 0.05
    assert 0 <= rates[-1] < 0.01


def test_a_still_placement_changes_nothing():
    crops = block_people()
    same = place(crops, STILL, torch.Generator().manual_seed(0))
    assert torch.equal(same.surface, crops.surface)
    assert torch.equal(same.person_mask, crops.person_mask)
    torch.testing.assert_close(same.keypoints, crops.keypoints)


@pytest.mark.parametrize("seed", range(3))
def test_keypoints_go_where_the_surface_under_them_goes(seed):
    crops = block_people(64)
    crops.surface.fill_(-1)
    crops.surface[:, 11:14, 7:10] = 5
    crops.keypoints[:, 0] = torch.tensor([8.5, 12.5, 1.0])
    moved = place(crops, Placement(), torch.Generator().manual_seed(seed))
    for surface, keypoint in zip(moved.surface, moved.keypoints[:, 0], strict=True):
        spot = (surface == 5).nonzero().double().mean(dim=0).flip(0) + 0.5
        if keypoint[2] > 0 and (surface == 5).sum() > 4:
            assert (spot - keypoint[:2]).abs().max() < 1.0


def test_keypoints_that_leave_the_crop_are_no_longer_visible():
    crops = block_people(64)
    crops.keypoints[:, 0, :2] = torch.tensor([0.2, 0.2])
    moved = place(
        crops, Placement(scale=1, aspect=1, rotation=0, shift=0.3), torch.Generator().manual_seed(0)
    )
    x, y, seen = moved.keypoints[:, 0].T
    outside = (x < 0) | (y < 0)
    assert outside.any()
    assert (seen[outside] == 0).all()
    assert (seen[~outside] == 1).all()


def every_pixel_its_own_vertex():
    """A crop full of person in which no vertex shows twice."""
    crops = block_people(1)
    vertices = thinned_vertices()[: SIZE[0] * SIZE[1]].to(torch.int32).reshape(1, *SIZE)
    return replace(crops, surface=vertices, person_mask=torch.ones(1, 1, *SIZE, dtype=torch.bool))


def test_a_perfect_detector_has_no_error():
    crops = every_pixel_its_own_vertex()
    errors = measure(Oracle(crops.surface), crops, crops)
    assert errors.distance_p90 == 0
    assert errors.reprojection_p90 == 0


def test_a_map_moved_by_two_rows_is_two_pixels_off():
    crops = every_pixel_its_own_vertex()
    moved = crops.surface.roll(2, dims=1)
    moved[:, :2] = -1
    errors = measure(Oracle(moved), crops, crops)
    assert errors.reprojection_median == errors.reprojection_p90 == 2
    rest = rest_positions()
    off = (rest[crops.surface[:, 2:].long()] - rest[moved[:, 2:].long()]).norm(dim=-1)
    assert errors.distance_median == pytest.approx(off.median().item(), abs=1e-3)


def test_the_written_card_rebuilds_the_same_detector(tmp_path):
    head = train(block_people(), ARCHITECTURE, SurfaceHeadTraining(images=16, batch=8))
    path = write_detector(tmp_path, head, OPTIONS, {"results": {"exact_input": 1}})
    card = read_card(path, DetectorCard)
    detector = build_surface_detector(card, tmp_path, torch.device("cpu"))
    assert detector.options == OPTIONS
    for name, value in head.state_dict().items():
        assert torch.equal(value, detector.head.state_dict()[name]), name
