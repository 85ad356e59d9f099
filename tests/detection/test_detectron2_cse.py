"""Claims about the detectron2 backend, with random weights; most are skipped where detectron2 is absent."""

import pickle
import sys

import pytest
import torch

from anonbench.crops import Outcome
from anonbench.detection import detectron2_cse
from anonbench.detection.detectron2_cse import MASKS, SURFACES, TEMPLATE, Detectron2CSE, Detectron2Options
from anonbench.errors import UsageError, WeightsError
from anonbench.weights import weights_card
from tests.detection.scenes import scene

SMALL = Detectron2Options(shorter_side=96, longer_side=192, max_people=3)


@pytest.fixture(scope="module")
def detector():
    reason = "detectron2 and DensePose are built from source, docs/detect.md"
    pytest.importorskip("detectron2._C", reason=reason)
    pytest.importorskip("densepose", reason=reason)
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detectron2_cse, "weights_path", lambda name: name)
        patch.setattr(detectron2_cse, "read_tensors", lambda path: {})
        patch.setattr(detectron2_cse, "load_strictly", lambda network, tensors, source: None)
        built = Detectron2CSE(SMALL)
        for network in (built._mask_network, built._surface_network):
            network.roi_heads.box_predictor.cls_score.bias.data[0] = 8.0
        embedder = built._surface_network.roi_heads.embedder.embedder_smpl_27554
        embedder.features.normal_()
        embedder.embeddings.data.normal_()
    return built


def test_people_have_masks_and_smpl_surfaces(detector):
    found = detector.detect(scene(2)[0])
    assert found.template == TEMPLATE
    assert Outcome.SURFACE in {person.outcome for person in found.people}
    for person in found.people:
        assert person.surface.max() < 27554
        assert person.mask[person.surface >= 0].all()


@pytest.mark.parametrize("size", [(1, 1), (2000, 10), (10, 2000)])
def test_images_of_any_shape_are_no_error(detector, size):
    assert detector.detect(torch.zeros(3, *size, dtype=torch.uint8)).size == size


def test_results_do_not_depend_on_what_was_seen_before(detector):
    image = scene(2)[0]
    first = detector.detect(image)
    detector.detect(scene(3, seed=5)[0])
    again = detector.detect(image)
    assert len(first) == len(again)
    assert all(torch.equal(a.mask, b.mask) for a, b in zip(first.people, again.people, strict=True))
    assert all(torch.equal(a.surface, b.surface) for a, b in zip(first.people, again.people, strict=True))


def test_networks_load_strictly(detector, monkeypatch):
    monkeypatch.setattr(detectron2_cse, "weights_path", lambda name: name)
    for network, attribute in (
        (detector._mask_network, "_mask_network"),
        (detector._surface_network, "_surface_network"),
    ):
        tensors = {name: torch.full_like(value, 0.25) for name, value in network.state_dict().items()}
        official = tensors | {"pixel_mean": torch.zeros(3, 1, 1)}  # a constant that is not learned
        monkeypatch.setattr(detectron2_cse, "read_tensors", lambda path, found=official: found)
        loaded = getattr(Detectron2CSE(SMALL), attribute)
        assert all((value == 0.25).all() for value in loaded.state_dict().values())
        monkeypatch.setattr(
            detectron2_cse, "read_tensors", lambda path, found=tensors: dict(list(found.items())[1:])
        )
        with pytest.raises(WeightsError, match="not the weights of this network"):
            getattr(Detectron2CSE(SMALL), attribute)


def test_without_detectron2_the_error_says_where_to_read_on(monkeypatch):
    monkeypatch.setitem(sys.modules, "detectron2", None)
    monkeypatch.setitem(sys.modules, "detectron2._C", None)
    with pytest.raises(UsageError, match=r"docs/detect\.md"):
        Detectron2CSE().require()


def test_the_weights_are_registered_without_their_pickles():
    assert all(weights_card(name).files[0].endswith(".safetensors") for name in (MASKS, SURFACES))


def test_options_survive_pickling_and_decide_the_digest():
    copy = pickle.loads(pickle.dumps(Detectron2CSE(SMALL)))
    assert copy.options == SMALL
    assert copy.digest == Detectron2CSE(SMALL).digest
    assert copy.digest != Detectron2CSE().digest
