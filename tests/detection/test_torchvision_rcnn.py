"""Claims about torchvision's detectors, with random weights whose person class is always certain."""

import pickle

import pytest
import torch
from torchvision.models.detection import keypointrcnn_resnet50_fpn, maskrcnn_resnet50_fpn

from anonbench.detection import torchvision_rcnn
from anonbench.detection.people import PersonDetections
from anonbench.detection.torchvision_rcnn import KEYPOINTS, MASKS, TorchvisionOptions, TorchvisionRCNN
from anonbench.errors import WeightsError
from tests.detection.scenes import scene

SMALL = TorchvisionOptions(shorter_side=64, longer_side=128, max_people=4)


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torchvision_rcnn, "weights_path", lambda name: name)
        patch.setattr(torchvision_rcnn, "read_tensors", lambda path: {})
        patch.setattr(torchvision_rcnn, "load_strictly", lambda network, tensors, source: None)
        built = TorchvisionRCNN(SMALL)
        for network in (built._mask_network, built._keypoint_network):
            network.roi_heads.box_predictor.cls_score.bias.data[1] = 10.0
    return built


def assert_same(a: PersonDetections, b: PersonDetections):
    assert len(a) == len(b)
    for one, other in zip(a.people, b.people, strict=True):
        assert (one.window, one.score) == (other.window, other.score)
        assert torch.equal(one.mask, other.mask)
        assert torch.equal(one.keypoints, other.keypoints)


@pytest.mark.parametrize("size", [(120, 160), (40, 30), (1, 1), (20_000, 10), (10, 3000)])
def test_people_lie_inside_images_of_any_shape(detector, size):
    image = torch.randint(0, 256, (3, *size), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    found = detector.detect(image)
    assert found.size == size
    for person in found.people:
        assert 0 <= person.score <= 1
        assert person.box[0] >= 0
        assert person.box[1] >= 0
        assert person.box[2] <= size[1] + 1e-3
        assert person.box[3] <= size[0] + 1e-3


def test_people_come_most_certain_first_with_the_keypoints_of_their_partner(detector):
    found = detector.detect(scene(2)[0])
    assert found.people
    assert [p.score for p in found.people] == sorted((p.score for p in found.people), reverse=True)
    for person in found.people:
        assert ((person.keypoints[:, 2] >= 0) & (person.keypoints[:, 2] <= 1)).all()


def test_results_do_not_depend_on_what_was_seen_before(detector):
    image, other = scene(2)[0], scene(3, seed=5)[0]
    first = detector.detect(image)
    detector.detect(other)
    assert_same(detector.detect(image), first)


def test_nobody_is_an_empty_result(detector):
    strict = TorchvisionRCNN(SMALL)
    strict.__dict__["_mask_network"] = Sees(detector._mask_network, label=3)
    strict.__dict__["_keypoint_network"] = Sees(detector._keypoint_network, label=3)
    assert strict.detect(scene(2)[0]).people == ()


class Sees:
    """A network that takes everybody for something else than a person."""

    def __init__(self, network, label):
        self.network, self.label = network, label

    def __call__(self, images):
        return [
            found | {"labels": torch.full_like(found["labels"], self.label)} for found in self.network(images)
        ]


def test_masks_of_a_shrunk_image_come_back_at_its_size(detector):
    image = torch.nn.functional.interpolate(scene(2)[0][None].float(), (480, 640))[0].to(torch.uint8)
    found = detector.detect(image)
    assert found.size == (480, 640)
    assert found.people
    assert max(person.window.right for person in found.people) > 160


def test_an_absent_weight_file_is_an_error_that_says_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("ANONBENCH_WEIGHTS", str(tmp_path))
    detector = TorchvisionRCNN()
    for attempt in (detector.require, lambda: detector.detect(scene(1)[0])):
        with pytest.raises(WeightsError, match=r"maskrcnn_resnet50_fpn_coco-bf2d0c1e\.pth") as error:
            attempt()
        assert str(tmp_path) in str(error.value)


def test_a_file_whose_hash_begins_otherwise_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("ANONBENCH_WEIGHTS", str(tmp_path))
    for name in ("maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth", "keypointrcnn_resnet50_fpn_coco-fc266e95.pth"):
        (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(WeightsError, match="must be bf2d0c1e"):
        TorchvisionRCNN().require()


def test_the_networks_have_the_tensors_of_the_official_files(detector):
    for network, build in (
        (detector._mask_network, maskrcnn_resnet50_fpn),
        (detector._keypoint_network, keypointrcnn_resnet50_fpn),
    ):
        official = build(weights=None, weights_backbone=None).state_dict()
        # Counters of batch normalization, which frozen layers do without.
        wanted = {k: v.shape for k, v in official.items() if not k.endswith("num_batches_tracked")}
        assert {k: v.shape for k, v in network.state_dict().items()} == wanted


def test_options_and_device_survive_pickling_and_decide_the_digest(detector):
    copy = pickle.loads(pickle.dumps(detector))
    assert copy.options == SMALL
    assert copy.digest == detector.digest
    assert copy.digest != TorchvisionRCNN(SMALL.model_copy(update={"min_score": 0.4})).digest


def test_the_names_of_the_weights_are_registered():
    from anonbench.weights import weights_card

    assert [weights_card(name).name for name in (MASKS, KEYPOINTS)] == [MASKS, KEYPOINTS]
