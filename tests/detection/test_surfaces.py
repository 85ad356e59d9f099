"""Claims about surfaces of detected people: who gets one, where it lies, and that it is about right."""

from dataclasses import replace

import torch

from anonbench import template
from anonbench.crops import Outcome
from anonbench.detection.people import PersonDetections
from anonbench.detection.surfaces import with_surfaces
from tests.detection.scenes import scene


def without_surfaces(detections):
    return detections.with_people(
        [replace(p, surface=torch.full_like(p.surface, -1)) for p in detections.people]
    )


def test_people_with_mask_and_keypoints_get_the_right_body_parts():
    _, truth = scene(2, size=(240, 320))
    found = with_surfaces(without_surfaces(truth))
    for person, exact in zip(found.people, truth.people, strict=True):
        assert person.outcome == Outcome.SURFACE
        both = (person.surface >= 0) & (exact.surface >= 0)
        assert both.sum() > 0.9 * (exact.surface >= 0).sum()
        positions = template.positions()
        error = positions[person.surface[both].long()] - positions[exact.surface[both].long()]
        assert error.norm(dim=1).median() < 0.12


def test_a_surface_lies_inside_the_mask_and_leaves_no_hole_in_it():
    _, truth = scene(1, size=(300, 200))
    person = with_surfaces(without_surfaces(truth)).people[0]
    assert torch.equal(person.surface >= 0, person.mask)


def test_a_small_person_is_covered_as_well():
    _, truth = scene(1, size=(60, 60))
    person = with_surfaces(without_surfaces(truth)).people[0]
    assert torch.equal(person.surface >= 0, person.mask)


def test_surfaces_that_are_there_stay():
    _, truth = scene(2)
    mixed = truth.with_people([truth.people[0], without_surfaces(truth).people[1]])
    found = with_surfaces(mixed)
    assert found.people[0] is truth.people[0]
    assert found.people[1].outcome == Outcome.SURFACE


def test_without_keypoints_a_person_stays_mask_only():
    _, truth = scene(1)
    person = replace(without_surfaces(truth).people[0], keypoints=torch.zeros(17, 3))
    assert with_surfaces(truth.with_people([person])).people[0].outcome == Outcome.MASK_ONLY


def test_a_person_without_a_mask_gets_nothing():
    _, truth = scene(1)
    person = without_surfaces(truth).people[0]
    person = replace(person, mask=torch.zeros_like(person.mask))
    assert with_surfaces(truth.with_people([person])).people[0].outcome == Outcome.NONE


def test_people_do_not_depend_on_each_other():
    _, truth = scene(4)
    bare = without_surfaces(truth)
    together = with_surfaces(bare)
    for i, person in enumerate(bare.people):
        alone = with_surfaces(bare.with_people([person])).people[0]
        differing = (alone.surface != together.people[i].surface)[person.mask].float().mean()
        assert differing < 0.01  # sums of another batch size round differently


def test_vertices_of_another_template_are_never_mixed_with_ours():
    _, truth = scene(1)
    other = replace(without_surfaces(truth), template="smpl_27554")
    assert with_surfaces(other) is other


def test_nobody_stays_nobody():
    nobody = PersonDetections((10, 10), ())
    assert with_surfaces(nobody) is nobody
