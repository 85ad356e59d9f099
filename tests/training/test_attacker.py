"""The retrained attacker: resumed runs end the same, batches mix both kinds of images."""

from pathlib import Path

import numpy as np
import pytest
import torch

from anonbench.errors import DataError
from anonbench.training import attacker
from anonbench.training.attacker import AttackerTraining, KnownPeople, start_network, train_attacker

SETTINGS = AttackerTraining(steps=3, persons_per_batch=2, images_per_person=2, checkpoint_every=1)


def people(count: int = 3, views: int = 3) -> KnownPeople:
    images = np.random.default_rng(0).integers(0, 256, (count * views, 3, 24, 16), dtype=np.uint8)
    person = np.repeat(np.arange(1, count + 1), views)
    return KnownPeople(images, person, 255 - images, person)


def features(path: Path) -> torch.Tensor:
    trained = train_attacker(people(), SETTINGS, path)
    return trained(torch.from_numpy(people().anonymized[:4]))


def test_a_stopped_run_is_continued_and_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = features(tmp_path / "whole.safetensors")
    batch = KnownPeople.batch

    def killed(self: KnownPeople, step: int, settings: AttackerTraining) -> object:
        if step == 2:
            raise KeyboardInterrupt
        return batch(self, step, settings)

    monkeypatch.setattr(KnownPeople, "batch", killed)
    with pytest.raises(KeyboardInterrupt):
        features(tmp_path / "stopped.safetensors")
    monkeypatch.setattr(KnownPeople, "batch", batch)
    assert torch.equal(features(tmp_path / "stopped.safetensors"), whole)


def test_a_finished_run_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = features(tmp_path / "run.safetensors")
    monkeypatch.setattr(attacker, "supervised_contrastive", lambda *_: pytest.fail("trained again"))
    assert torch.equal(features(tmp_path / "run.safetensors"), first)
    torch.testing.assert_close(first.norm(dim=1), torch.ones(4))


def test_training_changes_the_network(tmp_path: Path) -> None:
    from anonbench.features.extractors import load_extractor

    images = torch.from_numpy(people().anonymized[:4])
    untrained = load_extractor("osnet_synthetic").features(images)
    assert not torch.allclose(features(tmp_path / "run.safetensors"), untrained, atol=1e-3)


def test_it_starts_as_the_packaged_network() -> None:
    from anonbench.features.extractors import load_extractor
    from anonbench.features.osnet import synthetic_input

    images = torch.from_numpy(people().anonymized[:4])
    network, size = start_network()
    with torch.inference_mode():
        found = torch.nn.functional.normalize(network.eval()(synthetic_input(size)(images)), dim=1)
    torch.testing.assert_close(
        found, load_extractor("osnet_synthetic").features(images), atol=1e-4, rtol=1e-3
    )


def test_a_batch_holds_both_kinds_of_images_of_every_person() -> None:
    settings = AttackerTraining(persons_per_batch=2, images_per_person=4)
    known = people()
    images, labels = known.batch(0, settings)
    assert labels.tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    anonymized = {image.tobytes() for image in known.anonymized}
    assert [image.numpy().tobytes() in anonymized for image in images] == [True] * 4 + [False] * 4
    again, _ = known.batch(0, settings)
    assert torch.equal(images, again)
    assert not torch.equal(images, known.batch(1, settings)[0])


def test_one_person_cannot_be_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least two people"):
        train_attacker(people(count=1), SETTINGS, tmp_path / "run.safetensors")
