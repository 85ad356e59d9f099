"""Claims about the surface head: which crops get a surface, where, and that the packaged one is right."""

from dataclasses import replace

import pytest
import torch

from anonbench import template
from anonbench.cards import DetectorCard, packaged_card
from anonbench.crops import Outcome, PersonCrops, resize
from anonbench.detection.surface_head import (
    SurfaceDetector,
    SurfaceHead,
    SurfaceHeadArchitecture,
    SurfaceHeadOptions,
    build_surface_detector,
    fill_surfaces,
    load_surface_detector,
)
from anonbench.errors import CardError, WeightsError
from anonbench.generators.conditions import keypoint_heat
from anonbench.resources import resource_dir
from tests.detection.template_person import template_person

ARCHITECTURE = SurfaceHeadArchitecture(size=(24, 16), channels=8, heat_sigma=1.0)
OPTIONS = SurfaceHeadOptions(min_visibility=0.3, min_keypoints=6, max_error=1e9)


def detector(**options):
    torch.manual_seed(0)
    return SurfaceDetector(SurfaceHead(ARCHITECTURE), OPTIONS.model_copy(update=options), torch.device("cpu"))


def detected(*outcomes, size=(32, 24)):
    """Crops with a rectangular mask, all keypoints seen, and no surface."""
    b = len(outcomes)
    mask = torch.zeros(b, 1, *size, dtype=torch.bool)
    mask[..., 4:-4, 6:-6] = True
    spots = torch.rand(b, 17, 2, generator=torch.Generator().manual_seed(1)) * torch.tensor(
        [size[1], size[0]]
    )
    return PersonCrops(
        image=torch.zeros(b, 3, *size, dtype=torch.uint8),
        person_mask=mask,
        surface=torch.full((b, *size), -1, dtype=torch.int32),
        keypoints=torch.cat([spots, torch.ones(b, 17, 1)], 2),
        person_id=torch.arange(b),
        camera_id=torch.arange(b),
        outcome=torch.tensor([int(o) for o in outcomes]),
        key=tuple(map(str, range(b))),
    )


def without_surface(crops):
    return replace(
        crops,
        surface=torch.full_like(crops.surface, -1),
        outcome=torch.full_like(crops.outcome, int(Outcome.MASK_ONLY)),
    )


@pytest.mark.parametrize("size", [(24, 16), (32, 24), (72, 40), (41, 13)])
def test_masked_crops_of_any_size_get_vertices_inside_the_mask_and_nowhere_else(size):
    crops = detector().fill_surfaces(detected(Outcome.MASK_ONLY, Outcome.MASK_ONLY, size=size))
    assert (crops.outcome == Outcome.SURFACE).all()
    assert torch.equal(crops.surface >= 0, crops.person_mask[:, 0])
    assert crops.surface.max() < template.VERTICES


def test_crops_without_detection_and_crops_with_surface_stay_as_they_are():
    before = detected(Outcome.NONE, Outcome.SURFACE, Outcome.MASK_ONLY)
    after = detector().fill_surfaces(before)
    assert after.outcome.tolist() == [Outcome.NONE, Outcome.SURFACE, Outcome.SURFACE]
    assert torch.equal(after.surface[:2], before.surface[:2])
    assert (before.surface == -1).all()


def test_few_seen_keypoints_or_an_empty_mask_keep_the_outcome():
    crops = detected(*[Outcome.MASK_ONLY] * 3)
    crops.keypoints[0, 5:, 2] = 0.2
    crops.keypoints[1, 6:, 2] = 0.2
    crops.person_mask[2] = False
    after = detector().fill_surfaces(crops)
    assert after.outcome.tolist() == [Outcome.MASK_ONLY, Outcome.SURFACE, Outcome.MASK_ONLY]
    assert (after.surface[[0, 2]] == -1).all()


def test_a_crop_that_the_head_expects_to_be_wrong_about_keeps_its_outcome():
    after = detector(max_error=1e-6).fill_surfaces(detected(Outcome.MASK_ONLY))
    assert after.outcome.tolist() == [Outcome.MASK_ONLY]
    assert (after.surface == -1).all()


def test_the_batch_does_not_matter():
    crops = detected(*[Outcome.MASK_ONLY] * 5)
    together = detector().fill_surfaces(crops, batch=5).surface
    alone = detector().fill_surfaces(crops, batch=1).surface
    assert (together == alone).float().mean() > 0.999


def test_a_keypoint_is_a_hill_as_high_as_it_is_visible():
    keypoints = torch.zeros(1, 17, 3)
    keypoints[0, 0] = torch.tensor([3.5, 10.5, 0.8])
    heat = keypoint_heat(keypoints, (24, 16), 1.0)
    assert heat.shape == (1, 17, 24, 16)
    assert heat[0, 0, 10, 3] == pytest.approx(0.8)
    assert heat[0, 0].argmax() == 10 * 16 + 3
    assert heat[0, 0, 10, 4] == pytest.approx(0.8 * 0.6065, abs=1e-3)
    assert (heat[0, 1:] == 0).all()


@pytest.fixture
def card():
    return packaged_card("models/detectors", "surface_head", DetectorCard)


def test_an_absent_or_foreign_checkpoint_is_named(card, tmp_path):
    with pytest.raises(WeightsError, match=r"surface_head\.safetensors: not found"):
        build_surface_detector(card, tmp_path, torch.device("cpu"))
    (tmp_path / "surface_head.safetensors").write_bytes(b"something else")
    with pytest.raises(WeightsError, match="sha256 differs"):
        build_surface_detector(card, tmp_path, torch.device("cpu"))


def test_wrong_options_and_architecture_name_the_key(card):
    folder = resource_dir("models") / "detectors"
    wrong = card.model_copy(update={"options": {**card.options, "min_joints": 3}})
    with pytest.raises(CardError, match=r"surface_head\.yaml: key 'min_joints': unknown key"):
        build_surface_detector(wrong, folder, torch.device("cpu"))
    wider = card.model_copy(update={"architecture": {**card.architecture, "channels": 40}})
    with pytest.raises(WeightsError, match="not the weights of this network"):
        build_surface_detector(wider, folder, torch.device("cpu"))


def test_the_packaged_card_says_how_good_the_head_is_on_unseen_people(card):
    results = card.training["results"]
    assert results["exact_input"]["distance_median"] < 0.08
    assert results["exact_input"]["distance_median"] <= results["disturbed_input"]["distance_median"]
    assert (resource_dir("models") / "detectors" / card.checkpoint.file).stat().st_size < 3_000_000


@pytest.mark.parametrize("size", [(72, 40), (128, 64), (288, 160)])
def test_the_packaged_head_finds_the_template_itself(size):
    person = resize(template_person(), size)
    found = fill_surfaces(without_surface(person))
    assert found.outcome.tolist() == [Outcome.SURFACE]
    known = person.surface >= 0
    right = template.parts(found.surface)[known & found.person_mask[:, 0]]
    wrong = (right != template.parts(person.surface)[known & found.person_mask[:, 0]]).float().mean()
    assert wrong < 0.25


def test_the_packaged_head_tells_front_from_back_and_left_from_right():
    front = fill_surfaces(without_surface(template_person()))
    back = fill_surfaces(without_surface(template_person(turn=180)))
    for crops, chest in ((front, "torso_front"), (back, "torso_back")):
        parts = template.parts(crops.surface)[0]
        counts = {
            name: int((parts == template.PARTS.index(name)).sum()) for name in ("torso_front", "torso_back")
        }
        assert max(counts, key=counts.get) == chest
    columns = torch.arange(80.0)
    for crops, sign in ((front, 1), (back, -1)):
        parts = template.parts(crops.surface)[0]
        left, right = (
            columns.expand_as(parts)[parts == template.PARTS.index(f"{side}_lower_leg")].mean()
            for side in ("left", "right")
        )
        assert (left - right) * sign > 5


def test_the_packaged_head_is_loaded_once():
    assert load_surface_detector() is load_surface_detector()
