"""Claims about DeepPrivacy2's own networks, with random weights, where dp2 can be imported."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from anonbench.anonymizers import deep_privacy2
from anonbench.anonymizers.registry import build
from anonbench.cards import ModelCard
from anonbench.errors import CardError, WeightsError
from tests.anonymizers.dp2_cards import card, digest, embed_map, people

REAL = {
    "surface": ("configs/fdh/styleganL.py", {"cnum": 4}, 512),
    "mask": ("configs/fdh/styleganL_nocse.py", {"cnum": 4}, 512),
    "keypoints": ("configs/fdh/triagan/L_im288.py", {"dim": 4}, 64),
}
"""Configurations of full-body models with public checkpoints, made narrow: they have 43 and 124 million weights."""


@pytest.fixture
def real_dp2(monkeypatch):
    """The installed dp2, with narrow networks."""
    try:
        with deep_privacy2._dp2("test"):
            for config, _, _ in REAL.values():
                deep_privacy2._read_config("test", config)
    except (WeightsError, CardError) as error:
        pytest.skip(f"DeepPrivacy2 itself is not here: {error}")
    narrow = {config: changes for config, changes, _ in REAL.values()}
    read = deep_privacy2._read_config

    def read_narrow(model, name):
        config = read(model, name)
        config.generator.update(narrow[name])
        return config

    monkeypatch.setattr(deep_privacy2, "_read_config", read_narrow)


def real_card(folder: Path, inputs: str) -> ModelCard:
    from tops.config import instantiate

    config, _, latent_dim = REAL[inputs]
    torch.manual_seed(0)
    state = instantiate(deep_privacy2._read_config("test", config).generator).state_dict()
    architecture = {"config": config, "inputs": inputs, "resolution": (288, 160)}
    if inputs == "surface":
        embed_map(folder)
        architecture["embed_map"] = digest(folder / "embed_map.torch")
    return card(folder, "mask", state, latent_dim=latent_dim, architecture=architecture)


@pytest.mark.usefixtures("real_dp2")
@pytest.mark.parametrize("inputs", REAL)
@pytest.mark.parametrize("size", [(288, 160), (128, 64)])
def test_real_generators_paint_the_person_and_nothing_else(inputs, size, tmp_path):
    model, crops = build(real_card(tmp_path, inputs), tmp_path), people(2, size)
    latents = torch.randn(2, model.card.latent_dim)
    result = model.anonymize(crops, latents)
    person = crops.person_mask.expand(-1, 3, -1, -1)
    assert torch.equal(result[~person], crops.image[~person])
    assert (result[person] != crops.image[person]).float().mean() > 0.5
    assert torch.equal(model.anonymize(crops, latents), result)
    assert not torch.equal(model.anonymize(crops, -latents)[person], result[person])
    assert torch.equal(model.anonymize(crops, -latents, truncation=0.0), model.anonymize(crops, latents, 0.0))


@pytest.mark.usefixtures("real_dp2")
@pytest.mark.parametrize("inputs", ["surface", "keypoints"])
def test_real_generators_follow_the_pose(inputs, tmp_path):
    model, crops = build(real_card(tmp_path, inputs), tmp_path), people(1, (288, 160))
    other = replace(crops, surface=crops.surface.flip(0, 1), keypoints=crops.keypoints.flip(1))
    latents = torch.randn(1, model.card.latent_dim)
    assert not torch.equal(model.anonymize(crops, latents), model.anonymize(other, latents))


@pytest.mark.usefixtures("real_dp2")
def test_dp2s_own_transforms_make_the_same_batch(tmp_path):
    from dp2.data.transforms.transforms import (
        CreateCondition,
        CreateEmbedding,
        InsertJointMap,
        Normalize,
        ToFloat,
    )

    crops = people(2, (288, 160))
    model = build(real_card(tmp_path, "surface"), tmp_path)
    sample = {
        "img": crops.image.clone(),
        "mask": ~crops.person_mask,
        "E_mask": crops.surface_mask,
        "vertices": crops.surface.clamp(min=0)[:, None],
    }
    half = [127.5] * 3
    for transform in (
        ToFloat(norm=False, keys=["img", "mask", "E_mask"]),
        CreateEmbedding(tmp_path / "embed_map.torch", cuda=False),
        Normalize(half, half, inplace=True),
        CreateCondition(),
    ):
        sample = transform(sample)
    ours = model._batch(crops)
    for name in ("condition", "mask", "E_mask", "embedding"):
        assert torch.allclose(ours[name], sample[name], atol=1e-6), name
    keypoints = build(real_card(tmp_path, "keypoints"), tmp_path)._batch(crops)
    theirs = InsertJointMap((288, 160))({"img": crops.image, "keypoints": keypoints["keypoints"]})
    assert torch.equal(keypoints["joint_map"], theirs["joint_map"])
    assert keypoints["joint_map"].unique().tolist() == list(range(7))
