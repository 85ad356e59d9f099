from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from anonbench.cards import ExtractorCard, read_card
from anonbench.features.osnet import OsnetArchitecture, osnet, synthetic_input
from anonbench.template import PARTS, part_of_vertex
from anonbench.training.reid import (
    ReidTraining,
    evaluate,
    identity_batches,
    train,
    write_extractor,
)
from anonbench.training.reid_augmentation import Augmentation, gaussian_blur
from anonbench.training.reid_losses import PartColours, part_colours, supervised_contrastive

STILL = Augmentation(
    shift=0, zoom=0, low_resolution_share=0, blur_share=0, brightness=0, contrast=0, saturation=0, tint=0, erase_share=0
)  # fmt: skip


def coloured_people(persons: int, views: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Persons who differ in the colour of their upper and lower half, under noise."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(40, 216, (persons, 2, 3))
    images = np.repeat(np.repeat(colours, 12, axis=1)[:, :, :, None], 12, axis=3).transpose(0, 2, 1, 3)
    images = np.repeat(images, views, axis=0) + rng.normal(0, 8, (persons * views, 3, 24, 12))
    pixels = torch.from_numpy(images.clip(0, 255).astype(np.uint8))
    return pixels, torch.arange(persons).repeat_interleave(views) + 7


def no_colours(persons: int) -> PartColours:
    return PartColours(torch.zeros(persons, 3), torch.zeros(persons, 3))


def test_batches_hold_persons_with_several_images_each() -> None:
    labels = np.repeat(np.arange(10), 6)
    batches = identity_batches(labels, persons=5, images_per_person=4, rng=np.random.default_rng(0))
    seen: Counter[int] = Counter()
    for _ in range(2):
        batch = next(batches)
        assert len(set(batch)) == 20
        counts = Counter(labels[batch].tolist())
        assert set(counts.values()) == {4}
        seen.update(counts.keys())
    assert set(seen.values()) == {1}
    assert len(seen) == 10


def test_a_person_with_few_images_repeats_them() -> None:
    labels = np.array([0, 0, 1, 1, 1, 1, 1])
    batch = next(identity_batches(labels, persons=2, images_per_person=4, rng=np.random.default_rng(0)))
    assert Counter(labels[batch].tolist()) == {0: 4, 1: 4}


def test_the_contrastive_loss_is_the_cross_entropy_of_finding_the_positives() -> None:
    """Two persons on two orthogonal axes: each anchor has one positive at cosine 1 and two others at 0."""
    features = torch.tensor([[2.0, 0.0], [5.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    loss = supervised_contrastive(features, torch.tensor([0, 0, 1, 1]), temperature=0.5)
    assert float(loss) == pytest.approx(-np.log(np.exp(2) / (np.exp(2) + 2)), rel=1e-5)


def test_the_contrastive_loss_of_equal_features_is_that_of_guessing_and_has_finite_gradients() -> None:
    features = torch.ones(6, 2, requires_grad=True)
    loss = supervised_contrastive(features, torch.tensor([0, 0, 0, 1, 1, 1]), temperature=0.1)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(np.log(5), rel=1e-5)
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()


class TestPartColours:
    def crops(self, exposure: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)) -> tuple[Tensor, Tensor, Tensor]:
        """Two persons, two images each: the head above, the left foot below, the rest background."""
        head, foot = (int((part_of_vertex() == PARTS.index(p)).nonzero()[0]) for p in ("head", "left_foot"))
        image = torch.full((4, 3, 8, 8), 250, dtype=torch.uint8)
        surface = torch.full((4, 8, 8), -1, dtype=torch.int32)
        surface[:, :3], surface[:, 5:] = head, foot
        for i, gain in enumerate(exposure):
            image[i, :, :3] = int((40 if i < 2 else 80) * gain)
            image[i, :, 5:] = int((80 if i < 2 else 40) * gain)
        return image, surface, torch.tensor([3, 3, 9, 9])

    def test_persons_are_standardized_part_by_part(self) -> None:
        colours = part_colours(*self.crops())
        value = colours.value.view(2, len(PARTS), 3)
        torch.testing.assert_close(value[:, PARTS.index("head")], torch.tensor([[-1.0] * 3, [1.0] * 3]))
        torch.testing.assert_close(value[:, PARTS.index("left_foot")], torch.tensor([[1.0] * 3, [-1.0] * 3]))

    def test_views_that_show_a_part_are_averaged_and_others_left_out(self) -> None:
        image, surface, persons = self.crops((0.5, 1.5, 1.0, 1.0))
        averaged = part_colours(image, surface, persons)
        torch.testing.assert_close(averaged.value, part_colours(*self.crops()).value)
        surface[0, :3] = -1
        unaveraged = part_colours(image, surface, persons)
        torch.testing.assert_close(unaveraged.value[:, -6:-3], averaged.value[:, -6:-3])
        assert unaveraged.known.sum() == averaged.known.sum()

    def test_parts_that_nobody_shows_are_unknown_and_zero(self) -> None:
        colours = part_colours(*self.crops())
        known = colours.known.view(2, len(PARTS), 3)[:, :, 0]
        assert known.sum(dim=1).tolist() == [2, 2]
        assert colours.value[colours.known == 0].abs().max() == 0


class TestAugmentation:
    def test_it_gives_uint8_of_the_wanted_size_and_repeats_with_its_seed(self) -> None:
        images, _ = coloured_people(4, 2)
        first = Augmentation()(images, (32, 16), np.random.default_rng(1))
        assert first.shape == (8, 3, 32, 16)
        assert first.dtype == torch.uint8
        assert torch.equal(first, Augmentation()(images, (32, 16), np.random.default_rng(1)))
        assert not torch.equal(first, Augmentation()(images, (32, 16), np.random.default_rng(2)))

    def test_with_everything_off_only_mirroring_is_left(self) -> None:
        images, _ = coloured_people(4, 2)
        out = STILL(images, (24, 12), np.random.default_rng(0))
        mirrored = [torch.equal(a, b.flip(2)) for a, b in zip(images, out, strict=True)]
        same = [torch.equal(a, b) for a, b in zip(images, out, strict=True)]
        assert all(m or s for m, s in zip(mirrored, same, strict=True))
        assert any(mirrored)
        assert any(same)

    def test_passing_through_a_low_resolution_removes_detail(self) -> None:
        images, _ = coloured_people(8, 1)
        low = STILL.model_copy(update={"low_resolution_share": 1.0, "low_resolution": (6, 3)})
        kept, lost = (a(images, (24, 12), np.random.default_rng(0)).float() for a in (STILL, low))
        assert lost.diff(dim=3).abs().mean() < 0.5 * kept.diff(dim=3).abs().mean()

    def test_erasing_keeps_within_its_area(self) -> None:
        images, _ = coloured_people(16, 1)
        erased = STILL.model_copy(update={"erase_share": 1.0, "erase_area": (0.1, 0.2)})
        before, after = (a(images, (24, 12), np.random.default_rng(0)) for a in (STILL, erased))
        changed = (before != after).any(dim=1).float().mean(dim=(1, 2))
        assert changed.max() < 0.3
        assert changed.min() > 0.02

    def test_blur_keeps_the_mean_of_a_flat_image(self) -> None:
        flat = torch.full((1, 3, 9, 7), 100, dtype=torch.uint8)
        assert torch.equal(gaussian_blur(flat, 1.5), flat)


def test_training_separates_persons_and_the_result_loads_as_an_extractor(tmp_path: Path) -> None:
    images, persons = coloured_people(8, 6)
    config = ReidTraining(
        input_size=(32, 16), images=16 * 50, persons_per_batch=8, images_per_person=2, augmentation=STILL, identities=8
    )  # fmt: skip
    reports: list[int] = []
    network = train(images, persons, no_colours(8), config, lambda step, losses: reports.append(step))
    assert reports == [50]

    role = ["query" if i % 6 == 0 else "gallery" for i in range(len(images))]
    cameras = torch.arange(len(images)) % 6
    normalize = synthetic_input(config.input_size)

    def quality(net: torch.nn.Module) -> float:
        with torch.no_grad():
            return evaluate(lambda batch: net(normalize(batch)), images, persons, cameras, role).map

    assert quality(network) > 90
    path = write_extractor(tmp_path, network, config, {"results": {}})
    card = read_card(path, ExtractorCard)
    assert OsnetArchitecture.model_validate(card.architecture).identities == 8
    assert card.checkpoint is not None
    assert (tmp_path / card.checkpoint.file).stat().st_size < 12_000_000


def test_training_repeats_with_its_seed() -> None:
    images, persons = coloured_people(4, 2)
    config = ReidTraining(
        input_size=(32, 16), images=16, persons_per_batch=4, images_per_person=2, identities=4
    )
    first, second = (train(images, persons, no_colours(4), config).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_untrained_networks_are_built_without_a_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *a: pytest.fail("it wanted the network"))
    assert osnet("osnet_x0_25", 5)(torch.zeros(1, 3, 32, 16)).shape == (1, 512)
