"""People are put back where they were, and nothing else changes; nothing of them is left."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anonbench.anonymizers.base import Anonymizer
from anonbench.detection.people import Person, PersonDetections
from anonbench.latents import latents_for
from anonbench.pipeline.areas import Area, Margins, without_people
from anonbench.pipeline.compositing import OBSCURING, anonymize_people, prepare
from tests.pipeline.people import BLIND, SIZE, Painter, anonymizer_of, block, detections, noise_image

Load = Callable[[str], Anonymizer]
NONE = Margins(dilate=0, seam=0)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    folder = tmp_path_factory.mktemp("generator")
    return lambda name: anonymizer_of(name, folder)


def latents(people: PersonDetections) -> torch.Tensor:
    return latents_for(0, [f"photo/{i}" for i in range(len(people))], 6)


@st.composite
def scenes(draw: st.DrawFn) -> PersonDetections:
    """Images from one pixel on with up to three people anywhere, who may overlap or be cut by the border."""
    size = draw(st.integers(1, 40)), draw(st.integers(1, 40))

    def person() -> Person:
        top, left = draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))
        bottom, right = draw(st.integers(top + 1, size[0])), draw(st.integers(left + 1, size[1]))
        return block(size, top, left, bottom, right, surface=draw(st.booleans()))

    return PersonDetections(size, tuple(person() for _ in range(draw(st.integers(0, 3)))))


margins = st.builds(Margins, st.floats(0, 0.3), st.floats(0, 0.3))


@settings(max_examples=60)
@given(people=scenes(), margins=margins)
def test_beyond_masks_and_seams_every_pixel_is_bit_exact(people: PersonDetections, margins: Margins) -> None:
    image = noise_image(people.size)
    done = anonymize_people(image, people, Painter(), margins=margins, size=SIZE)
    far = torch.ones(people.size, dtype=torch.bool)
    rows, columns = torch.meshgrid(*(torch.arange(n) for n in people.size), indexing="ij")
    for person in people.people:
        reach = (margins.dilate + margins.seam) * max(person.window.size)
        w = person.window  # the masks are rectangles, so distances to them are known without a transform
        down = torch.maximum(w.top - rows, rows - (w.bottom - 1)).clamp(min=0)
        across = torch.maximum(w.left - columns, columns - (w.right - 1)).clamp(min=0)
        far &= torch.hypot(down.double(), across.double()) > reach
    assert torch.equal(done[:, far], image[:, far])


@pytest.mark.parametrize("name", BLIND)
@settings(max_examples=15)
@given(people=scenes(), margins=margins, seed=st.integers(1, 1000))
def test_what_people_look_like_changes_nothing(
    load: Load, name: str, people: PersonDetections, margins: Margins, seed: int
) -> None:
    image, anonymizer = noise_image(people.size), load(name)
    others = torch.where(people.mask(), noise_image(people.size, seed), image)
    done, again = (
        anonymize_people(pixels, people, anonymizer, latents(people), margins=margins, size=SIZE)
        for pixels in (image, others)
    )
    assert torch.equal(done, again)


@pytest.mark.parametrize("name", OBSCURING)
def test_obscured_people_are_made_of_themselves_and_of_nobody_else(load: Load, name: str) -> None:
    size = (40, 60)
    people = detections(size, block(size, 4, 5, 36, 20), block(size, 4, 25, 36, 40))
    image = noise_image(size)
    other = image.clone()
    other[:, 4:36, 25:40] = 0
    done, again = (anonymize_people(pixels, people, load(name), size=SIZE) for pixels in (image, other))
    first, second = (slice(4, 36), slice(5, 20)), (slice(4, 36), slice(25, 40))
    assert torch.equal(done[:, *first], again[:, *first])
    assert not torch.equal(done[:, *second], again[:, *second])
    assert done[:, *first].float().std() < image[:, *first].float().std() / 2


def test_who_stands_lower_is_nearer_and_covers_the_others() -> None:
    size = (40, 40)
    far, near = block(size, 0, 0, 30, 30), block(size, 10, 10, 40, 40)
    done = anonymize_people(
        noise_image(size), detections(size, near, far), Painter(10, 200), margins=NONE, size=SIZE
    )
    assert (done[:, 10:40, 10:40] == 200).all()
    assert (done[:, 0:10, 0:30] == 10).all()


@settings(max_examples=25)
@given(people=scenes(), data=st.data())
def test_the_order_of_the_people_means_nothing(
    load: Load, people: PersonDetections, data: st.DataObject
) -> None:
    anonymizer, image, drawn = load("generator"), noise_image(people.size), latents(people)
    order = data.draw(st.permutations(range(len(people))))
    if len({person.box for person in people.people}) < len(people):
        return  # two people of one box and score are told apart by nothing but their order
    shuffled = people.with_people([people.people[i] for i in order])
    done = anonymize_people(image, people, anonymizer, drawn, size=SIZE)
    again = anonymize_people(image, shuffled, anonymizer, drawn[list(order)], size=SIZE)
    assert torch.equal(done, again)


def test_without_anybody_the_image_comes_back(load: Load) -> None:
    image = noise_image((20, 30))
    assert torch.equal(anonymize_people(image, detections((20, 30)), load("generator")), image)


def test_a_detection_without_a_mask_is_left_as_it_is(load: Load) -> None:
    size = (40, 40)
    person = block(size, 5, 5, 30, 20)
    unseen = replace(person, mask=torch.zeros_like(person.mask))
    image = noise_image(size)
    assert torch.equal(anonymize_people(image, detections(size, unseen), load("blackout")), image)


def test_an_image_of_one_pixel(load: Load) -> None:
    people = detections((1, 1), block((1, 1), 0, 0, 1, 1))
    image = torch.full((3, 1, 1), 7, dtype=torch.uint8)
    done = anonymize_people(image, people, load("generator"), latents(people), size=SIZE)
    other = anonymize_people(image + 200, people, load("generator"), latents(people), size=SIZE)
    assert torch.equal(done, other)


def test_a_very_long_image_takes_little_memory(load: Load) -> None:
    size = (20_000, 10)
    people = detections(size, block(size, 0, 0, 20_000, 10))
    done = anonymize_people(noise_image(size), people, load("blackout"), size=SIZE)
    assert (done == 0).all()


def test_no_crop_shows_anybody() -> None:
    size = (60, 60)
    people = detections(size, block(size, 10, 10, 50, 28), block(size, 12, 24, 52, 40, surface=False))
    image = torch.where(people.mask(), 255, torch.zeros((3, *size), dtype=torch.uint8))
    painter = Painter()
    anonymize_people(image, people, painter, margins=NONE, size=SIZE)
    assert not painter.seen[0].image.any()


def test_those_with_a_mask_alone_become_a_blur_of_their_surroundings(load: Load) -> None:
    size = (60, 60)
    people = detections(size, block(size, 10, 20, 50, 40, surface=False))
    image = torch.full((3, *size), 90, dtype=torch.uint8)
    image[:, 10:50, 20:40] = noise_image((40, 20))
    done = anonymize_people(image, people, load("generator"), latents(people), size=SIZE)
    assert (done == 90).all()


def test_around_the_mask_the_surroundings_are_blurred_and_farther_out_the_image_begins() -> None:
    size = (60, 60)
    people = detections(size, block(size, 20, 20, 40, 40))
    image = torch.zeros((3, *size), dtype=torch.uint8)
    area = Area.of(people.people[0], size, Margins(dilate=0.1, seam=0.2))
    across = slice(39 - area.window.left, 46 - area.window.left)
    assert area.hidden[10, across].tolist() == pytest.approx([1, 1, 1, 0.75, 0.5, 0.25, 0])
    assert area.weight[10, across].tolist() == [1, 0, 0, 0, 0, 0, 0]
    done = anonymize_people(image, people, Painter(200), margins=Margins(0.1, 0.2), size=SIZE)[0, 30].int()
    assert (done[21:39] == 200).all()
    assert not done[41:].any()


def test_the_edge_of_a_large_person_is_soft() -> None:
    size = (500, 100)
    area = Area.of(block(size, 0, 0, 432, 50), size, Margins())
    assert area.weight[100, 49:54].tolist() == pytest.approx([1, 2 / 3, 1 / 3, 0, 0], abs=1e-6)


def test_nobody_draws_surroundings_over_those_behind() -> None:
    size = (60, 60)
    people = detections(size, block(size, 5, 5, 45, 35), block(size, 10, 20, 55, 50))
    image = torch.zeros((3, *size), dtype=torch.uint8)
    done = anonymize_people(image, people, Painter(100, 200), size=SIZE)
    assert set(done[:, 25, 10:48].unique().tolist()) == {100, 200}


def test_crops_can_be_anonymized_elsewhere_and_pasted_later(load: Load) -> None:
    size = (50, 70)
    people = detections(size, block(size, 5, 5, 45, 20), block(size, 8, 30, 48, 50))
    image, anonymizer, drawn = noise_image(size), load("generator"), latents(people)
    canvas = prepare(image, people, anonymizer.card, size=SIZE)
    pasted = canvas.paste(anonymizer.anonymize(canvas.crops, drawn[list(canvas.people)]))
    assert torch.equal(pasted, anonymize_people(image, people, anonymizer, drawn, size=SIZE))


def test_latents_must_be_as_many_as_people(load: Load) -> None:
    people = detections((9, 9), block((9, 9), 0, 0, 5, 5))
    with pytest.raises(ValueError, match="1 people need as many latents, got 2"):
        anonymize_people(noise_image((9, 9)), people, load("generator"), torch.zeros(2, 6))


def test_where_everything_is_somebody_the_base_is_grey() -> None:
    size = (12, 8)
    area = Area.of(block(size, 0, 0, 12, 8), size, NONE)
    base = without_people(noise_image(size), [area])
    assert ((base >= 127) & (base <= 128)).all()


@pytest.mark.parametrize("bad", [(-0.1, 0), (0, 1.5)])
def test_margins_are_shares(bad: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="shares from 0 to 1"):
        Margins(*bad)
