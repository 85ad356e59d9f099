"""Claims about DeepPrivacy2's generators as anonymizers.

A small package in place of dp2 tests what is handed to it and what becomes of its answers.
"""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from anonbench.anonymizers.deep_privacy2 import background, relative_keypoints
from anonbench.anonymizers.naive import heavy_blur
from anonbench.anonymizers.registry import build
from anonbench.cli.main import run_cli
from anonbench.crops import Outcome
from anonbench.errors import CardError, DataError, WeightsError
from tests.anonymizers.dp2_cards import CONFIGS, NATIVE, card, embed_map, people

FAKE = Path(__file__).parent / "fake_dp2"
LARGER = (64, 40)


def loaded(*packages: str) -> list[str]:
    return [name for name in sys.modules if name.split(".")[0] in packages]


@pytest.fixture
def fake_dp2(monkeypatch):
    """The stand-in, also where the real package is installed."""
    for name in loaded("dp2", "tops"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(FAKE))
    yield
    for name in loaded("dp2", "tops"):
        del sys.modules[name]


@pytest.mark.usefixtures("fake_dp2")
@pytest.mark.parametrize("inputs", CONFIGS)
@pytest.mark.parametrize("size", [NATIVE, LARGER])
def test_the_background_comes_back_bit_exact_and_the_person_is_what_the_generator_painted(
    inputs, size, tmp_path
):
    model, crops = build(card(tmp_path, inputs), tmp_path), people(3, size)
    latents = torch.randn(3, 6)
    result = model.anonymize(crops, latents)
    person = crops.person_mask.expand(-1, 3, -1, -1)
    assert torch.equal(result[~person], crops.image[~person])
    if size == NATIVE:
        colour = torch.tanh(latents @ torch.linspace(-1, 1, 18).reshape(6, 3))
        painted = ((colour + 1) * 127.5).round()[:, :, None, None].expand(result.shape)
        assert torch.equal(result[person].float(), painted[person])


@pytest.mark.usefixtures("fake_dp2")
@pytest.mark.parametrize("inputs", CONFIGS)
@pytest.mark.parametrize("size", [NATIVE, LARGER])
def test_nothing_of_the_person_reaches_the_generator(inputs, size, tmp_path):
    model, crops = build(card(tmp_path, inputs), tmp_path), people(2, size)
    model.anonymize(crops)
    model.anonymize(crops.with_image(torch.where(crops.person_mask, 255 - crops.image, crops.image)))
    first, second = model._generator.seen
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.usefixtures("fake_dp2")
def test_each_configuration_gets_its_inputs(tmp_path):
    common = {"img", "condition", "mask", "maskrcnn_mask"}
    for inputs, more in {
        "surface": {"embedding", "E_mask"},
        "keypoints": {"keypoints", "joint_map"},
        "mask": set(),
    }.items():
        model = build(card(tmp_path, inputs), tmp_path)
        model.anonymize(people(1, NATIVE))
        assert model._generator.seen[0].keys() == common | more


def test_the_mask_is_one_where_the_image_is_known_and_the_image_lies_between_minus_one_and_one():
    crops = people(2, NATIVE)
    batch = background(crops)
    person = crops.person_mask.expand(-1, 3, -1, -1)
    assert torch.equal(batch["mask"], 1 - crops.person_mask.float())
    assert torch.equal(batch["condition"][~person], crops.image[~person] / 127.5 - 1)
    assert (batch["condition"][person] == 0).all()


@pytest.mark.usefixtures("fake_dp2")
def test_every_vertex_is_embedded_by_fdhs_own_table(tmp_path):
    model, crops = build(card(tmp_path, "surface"), tmp_path), people(2, NATIVE)
    model.anonymize(crops)
    batch, table = model._generator.seen[0], embed_map(tmp_path)
    expected = table[crops.surface.clamp(min=0).long()].permute(0, 3, 1, 2) * crops.surface_mask
    assert torch.equal(batch["embedding"], expected)
    assert torch.equal(batch["E_mask"], crops.surface_mask.float())


def test_keypoints_are_shares_of_the_crop_and_seen_only_inside_it():
    crops = people(1, (40, 20))
    points = torch.zeros(1, 17, 3)
    points[0, 0] = torch.tensor([5.0, 10.0, 0.9])
    points[0, 1] = torch.tensor([-1.0, 10.0, 0.9])
    points[0, 2] = torch.tensor([5.0, 41.0, 0.9])
    points[0, 3] = torch.tensor([5.0, 10.0, 0.04])
    found = relative_keypoints(replace(crops, keypoints=points))
    assert torch.allclose(found[0, 0], torch.tensor([0.25, 0.25, 1.0]))
    assert found[0, :, 2].tolist() == [1.0] + [0.0] * 16


@pytest.mark.usefixtures("fake_dp2")
def test_crops_without_keypoints_are_refused_by_name(tmp_path):
    model = build(card(tmp_path, "keypoints"), tmp_path)
    crops = replace(people(2, NATIVE), keypoints=torch.zeros(2, 17, 3))
    with pytest.raises(DataError, match="sample sample/0/0: has no keypoints"):
        model.anonymize(crops)


@pytest.mark.usefixtures("fake_dp2")
def test_crops_of_another_body_template_are_refused_by_surface_models_only(tmp_path):
    crops = replace(people(2, NATIVE), template="makehuman_13380")
    with pytest.raises(DataError, match="'makehuman_13380', not to 'smpl_27554'"):
        build(card(tmp_path, "surface"), tmp_path).anonymize(crops)
    for inputs in ("keypoints", "mask"):
        assert build(card(tmp_path, inputs), tmp_path).anonymize(crops).shape == crops.image.shape


@pytest.mark.usefixtures("fake_dp2")
def test_only_crops_with_a_surface_are_synthesized(tmp_path):
    outcomes = torch.tensor([Outcome.SURFACE, Outcome.MASK_ONLY, Outcome.NONE])
    crops = replace(people(3, NATIVE), outcome=outcomes)
    model = build(card(tmp_path, "keypoints"), tmp_path)
    result = model.anonymize(crops)
    assert torch.equal(result[1:2], heavy_blur(crops.image[1:2], crops.person_mask[1:2]))
    assert torch.equal(result[2], crops.image[2])
    assert len(model._generator.seen[0]["img"]) == 1


@pytest.mark.usefixtures("fake_dp2")
def test_truncation_is_that_of_dp2_towards_the_mean_w(tmp_path):
    model, crops = build(card(tmp_path, "mask"), tmp_path), people(2, NATIVE)
    result = model.anonymize(crops, torch.randn(2, 6), truncation=0.0)
    mean = round((torch.tanh(torch.tensor(0.5)).item() + 1) * 127.5)
    assert (result[crops.person_mask.expand_as(result)] == mean).all()


@pytest.mark.usefixtures("fake_dp2")
def test_fractions_of_a_level_are_rounded_or_on_request_cut_off_as_dp2_does_for_fid(tmp_path):
    crops, z = people(4, NATIVE), torch.randn(4, 6, generator=torch.Generator().manual_seed(3))
    rounded, cut = (
        build(card(tmp_path, "mask", options={"to_bytes": rule}), tmp_path).anonymize(crops, z).int()
        for rule in ("round", "truncate")
    )
    person = crops.person_mask.expand_as(rounded)
    lost = (rounded - cut)[person]
    assert set(lost.tolist()) == {0, 1}
    assert 0.3 < lost.float().mean() < 0.7
    assert torch.equal(cut[~person], crops.image[~person].int())
    with pytest.raises(CardError, match="to_bytes"):
        build(card(tmp_path, "mask", options={"to_bytes": "up"}), tmp_path)


@pytest.mark.usefixtures("fake_dp2")
def test_latents_are_tied_to_the_sample_unless_given_and_their_shape_is_checked(tmp_path):
    model, crops = build(card(tmp_path, "mask"), tmp_path), people(20, NATIVE)
    together = model.anonymize(crops)
    assert torch.equal(together[17:18], model.anonymize(crops.select([17])))
    with pytest.raises(ValueError, match=r"latents must be \(20, 6\), got \(20, 5\)"):
        model.anonymize(crops, torch.randn(20, 5))
    assert model.anonymize(crops.select([])).shape == (0, 3, *NATIVE)


@pytest.mark.usefixtures("fake_dp2")
def test_cards_that_contradict_the_configuration_are_refused(tmp_path):
    good = card(tmp_path, "mask")
    architecture = good.architecture
    for change, message in (
        ({"latent_dim": 7}, r"key 'latent_dim' is 7, configs/fdh/mask\.py has 6"),
        ({"can_reconstruct": True}, "key 'can_reconstruct' is True"),
        ({"checkpoint": None}, "has no checkpoint; convert"),
        ({"options": {"truncation": "multimodal"}}, "key 'truncation': unknown key"),
        ({"architecture": architecture | {"resolution": (64, 32)}}, r"resolution' is \(64, 32\)"),
        ({"architecture": architecture | {"inputs": "keypoints"}}, "inputs' is keypoints"),
        ({"architecture": architecture | {"inputs": "surface"}}, "embed_map belongs to inputs: surface"),
        ({"architecture": architecture | {"config": "configs/fdh/absent.py"}}, r"no configs/fdh/absent\.py"),
        ({"architecture": architecture | {"config": "configs/../evil.py"}}, "key 'config'"),
        ({"architecture": architecture | {"config": "/configs/evil.py"}}, "key 'config'"),
        ({"architecture": architecture | {"generator": {"imsize": [8, 8]}}}, "builds another generator"),
    ):
        with pytest.raises(CardError, match=message):
            build(good.model_copy(update=change), tmp_path)


@pytest.mark.usefixtures("fake_dp2")
def test_the_digest_of_a_model_holds_what_its_configuration_says(tmp_path):
    stated = card(tmp_path, "mask")
    model = build(stated, tmp_path)
    generator = model.card.architecture["generator"]
    assert generator["_target_"] == "dp2.generator.OneColour"
    assert generator["imsize"] == [32, 16]
    assert model.card.digest != stated.digest
    assert build(model.card, tmp_path).card.digest == model.card.digest


@pytest.mark.usefixtures("fake_dp2")
def test_absent_changed_or_foreign_files_are_refused(tmp_path):
    good = card(tmp_path, "surface")
    torch.save(torch.zeros(27554, 16), tmp_path / "embed_map.torch")
    with pytest.raises(WeightsError, match="embed_map.torch: sha256 differs"):
        build(good, tmp_path)
    with pytest.raises(WeightsError, match="not the weights of this network"):
        build(card(tmp_path, "mask", {"weight": torch.zeros(6, 3)}), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="not found"):
        build(good, tmp_path)


@pytest.mark.usefixtures("fake_dp2")
def test_centres_of_multi_modal_truncation_may_be_in_a_checkpoint(tmp_path):
    state = {"weight": torch.zeros(6, 3), "w_avg": torch.zeros(3), "style_net.w_centers": torch.zeros(4, 3)}
    assert build(card(tmp_path, "mask", state), tmp_path)


@pytest.mark.usefixtures("fake_dp2")
def test_what_dp2_prints_stays_out_of_the_output(tmp_path, capsys):
    build(card(tmp_path, "mask"), tmp_path)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "dp2 says something" in captured.err


@pytest.mark.usefixtures("fake_dp2")
def test_an_absent_requirement_of_dp2_is_named(tmp_path):
    architecture = {"config": "configs/fdh/incomplete.py", "inputs": "mask", "resolution": NATIVE}
    with pytest.raises(WeightsError, match="'a_requirement_of_dp2_that_is_absent' is not installed"):
        build(card(tmp_path, "mask", architecture=architecture), tmp_path)


def test_without_dp2_the_error_says_how_to_install_it_and_exits_as_for_missing_weights(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "dp2", None)
    path = tmp_path / "theirs.yaml"
    path.write_text(card(tmp_path, "mask").model_dump_json())
    assert run_cli(["run", "lpips", "--model", str(path)]) == 3
    error = capsys.readouterr().err
    assert "'dp2' is not installed: clone https://github.com/hukkelas/deep_privacy2" in error
