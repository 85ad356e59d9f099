"""Official extractors on random weights in official file formats, against the original libraries on the same."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from anonbench.errors import WeightsError
from anonbench.features.clip import INPUT
from anonbench.features.extractors import load_extractor, load_perceptual
from anonbench.features.osnet import osnet
from anonbench.weights import WrongHashError
from anonbench.weights.trust import pin_path
from tests.official_files import settle

Accept = Callable[[str], Path]


def file_of(folder: Path, name: str) -> Path:
    from anonbench.weights import weights_card

    return folder / weights_card(name).files[0]


class TestInception:
    @pytest.fixture
    def original(self, weights_folder: Path) -> nn.Module:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        torch.manual_seed(0)
        bare = FeatureExtractorInceptionV3.__new__(FeatureExtractorInceptionV3)
        path = file_of(weights_folder, "inception_v3")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
            patch.setattr(torch, "load", lambda *args, **options: {})
            bare.__init__("original", ["2048"], feature_extractor_weights_path="random")
        torch.save(settle(bare).state_dict(), path)
        return bare

    def test_features_equal_torch_fidelity(self, original: nn.Module, accept: Accept, crops: Tensor) -> None:
        accept("inception_v3")
        features = load_extractor("inception_v3").features(crops[:2])
        assert features.shape == (2, 2048)
        torch.testing.assert_close(features, original(crops[:2])[0], rtol=1e-5, atol=1e-5)

    def test_tensors_of_another_network_are_refused(
        self, weights_folder: Path, accept: Accept, crops: Tensor
    ) -> None:
        torch.save({"a": torch.zeros(1)}, file_of(weights_folder, "inception_v3"))
        accept("inception_v3")
        with pytest.raises(WeightsError, match="InceptionV3"):
            load_extractor("inception_v3").features(crops)

    def test_another_file_under_its_name_is_refused(self, weights_folder: Path) -> None:
        torch.save({"a": torch.zeros(1)}, file_of(weights_folder, "inception_v3"))
        with pytest.raises(WrongHashError, match="6726825d0af5"):
            load_extractor("inception_v3")


class Archive(nn.Module):
    """Holds tensors under given names, as OpenAI's TorchScript archives do."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            *parents, leaf = name.split(".")
            module: nn.Module = self
            for part in parents:
                if part not in dict(module.named_children()):
                    module.add_module(part, Archive({}))
                module = module.get_submodule(part)
            module.register_buffer(leaf, tensor)

    def forward(self, x: Tensor) -> Tensor:
        return x


class TestClip:
    @pytest.fixture
    def original(self, weights_folder: Path) -> nn.Module:
        from open_clip import CLIP
        from open_clip.model import CLIPTextCfg, CLIPVisionCfg, convert_weights_to_fp16

        torch.manual_seed(0)
        vision = CLIPVisionCfg(layers=1, width=64, patch_size=32, image_size=224)
        text = CLIPTextCfg(context_length=4, vocab_size=8, width=64, heads=1, layers=1)
        model = CLIP(512, vision, text, quick_gelu=True).eval()
        convert_weights_to_fp16(model)  # as OpenAI stores them
        tensors = {k: v for k, v in model.state_dict().items() if k != "attn_mask"}
        extra = {k: torch.tensor(1) for k in ("input_resolution", "context_length", "vocab_size")}
        torch.jit.script(Archive(tensors | extra)).save(str(file_of(weights_folder, "clip_vit_b32")))
        return model.float()

    def test_features_equal_open_clip(self, original: nn.Module, accept: Accept, crops: Tensor) -> None:
        accept("clip_vit_b32")
        features = load_extractor("clip_vit_b32").features(crops)
        assert features.shape == (4, 512)
        with torch.no_grad():
            expected = original.encode_image(INPUT(crops), normalize=False)
        torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)

    def test_embeddings_are_not_normalized(self, original: nn.Module, accept: Accept, crops: Tensor) -> None:
        accept("clip_vit_b32")
        norms = load_extractor("clip_vit_b32").features(crops).norm(dim=1)
        assert (norms - 1).abs().min() > 0.01

    def test_a_file_that_is_no_archive_is_refused(
        self, weights_folder: Path, accept: Accept, crops: Tensor
    ) -> None:
        file_of(weights_folder, "clip_vit_b32").write_bytes(b"no archive")
        accept("clip_vit_b32")
        with pytest.raises(WeightsError, match="CLIP"):
            load_extractor("clip_vit_b32").features(crops)

    def test_the_input_is_that_of_deep_privacy2(self, crops: Tensor) -> None:
        """torchvision's bicubic resize of tensors without antialias, then CLIP's own normalization."""
        from torchvision.transforms import InterpolationMode, Normalize, Resize

        resize = Resize((224, 224), interpolation=InterpolationMode.BICUBIC, antialias=False)
        expected = Normalize(INPUT.mean, INPUT.std)(resize(crops.float() / 255))
        torch.testing.assert_close(INPUT(crops), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore::UserWarning")  # lpips builds torchvision models with retired arguments
@pytest.mark.parametrize(("name", "constructor", "key"), [("lpips.alex", "alexnet", "alex")])
class TestLpips:
    @pytest.fixture
    def original(
        self, weights_folder: Path, name: str, constructor: str, key: str
    ) -> Callable[..., nn.Module]:
        import torchvision.models
        from lpips import LPIPS

        torch.manual_seed(0)
        backbone = getattr(torchvision.models, constructor)(weights=None)
        torch.save(backbone.state_dict(), file_of(weights_folder, name))

        def make(spatial: bool) -> nn.Module:
            model = LPIPS(net=key, pnet_rand=True, spatial=spatial, verbose=False)
            for layer, parameter in backbone.features.named_parameters():
                slice_of = {n.partition(".")[2]: n for n, _ in model.net.named_parameters()}
                model.net.get_parameter(slice_of[layer]).data.copy_(parameter)
            return model

        return make

    def test_distances_and_maps_equal_the_lpips_package(
        self, original: Callable[..., nn.Module], accept: Accept, crops: Tensor, name: str
    ) -> None:
        accept(name)
        extractor = load_perceptual(name)
        a, b = crops, crops.flip(0)
        scaled = [images.float() / 127.5 - 1 for images in (a, b)]
        with torch.no_grad():
            whole, spatial = original(spatial=False)(*scaled), original(spatial=True)(*scaled)
        torch.testing.assert_close(extractor.distance(a, b), whole[:, 0, 0, 0], rtol=1e-4, atol=1e-7)
        torch.testing.assert_close(extractor.distance_map(a, b), spatial, rtol=1e-4, atol=1e-7)

    def test_equal_images_have_distance_zero(
        self, original: object, accept: Accept, crops: Tensor, name: str, key: str
    ) -> None:
        accept(name)
        extractor = load_perceptual(name)
        assert extractor.key == key
        assert extractor.distance(crops, crops).abs().max() == 0


def test_vgg16_layers_are_found_by_their_torchvision_numbers() -> None:
    """The full VGG16 has 138 million weights; only the renaming differs from AlexNet."""
    import torchvision.models

    from anonbench.features.lpips import lpips_network

    torch.manual_seed(0)
    features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    tensors = {f"features.{name}": tensor for name, tensor in features.state_dict().items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.init, "normal_", lambda tensor, *args, **options: tensor)
        patch.setattr(nn.Linear, "reset_parameters", lambda self: None)
        network = lpips_network("vgg16", tensors | {"classifier.0.weight": torch.zeros(1)}, "vgg16.pth")
        assert torch.equal(network.net.slice5[-2].weight, features[28].weight)
        with pytest.raises(WeightsError, match=r"vgg16\.pth"):
            lpips_network(
                "vgg16", {k: v for k, v in tensors.items() if k != "features.0.weight"}, "vgg16.pth"
            )


class TestOsnetMarket:
    NAME = "osnet_x1_0_market1501"

    @pytest.fixture
    def original(self, weights_folder: Path) -> nn.Module:
        torch.manual_seed(0)
        network = settle(osnet("osnet_x1_0", 751))
        torch.save(network.state_dict(), file_of(weights_folder, self.NAME))
        return network

    def test_features_equal_torchreid_on_images_resized_by_pillow(
        self, original: nn.Module, crops: Tensor
    ) -> None:
        from torchvision.transforms import Compose, Normalize, Resize, ToTensor

        transform = Compose(
            [Resize((256, 128)), ToTensor(), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
        )
        images = [transform(Image.fromarray(crop.permute(1, 2, 0).numpy())) for crop in crops]
        with torch.no_grad():
            expected = original(torch.stack(images))
        features = load_extractor(self.NAME).features(crops)
        assert features.shape == (4, 512)
        similarity = torch.nn.functional.cosine_similarity(features, expected)
        assert similarity.min() > 0.999

    @pytest.mark.parametrize("identities", [1000, 702])
    def test_weights_of_other_training_data_are_refused(
        self, weights_folder: Path, crops: Tensor, identities: int
    ) -> None:
        """ImageNet has 1000 classes; on such features every anonymizer would look perfect."""
        network = osnet("osnet_x1_0", identities)
        torch.save(network.state_dict(), file_of(weights_folder, self.NAME))
        with pytest.raises(WeightsError, match="751"):
            load_extractor(self.NAME).features(crops)

    def test_the_digest_is_that_of_the_file_in_use(self, original: nn.Module, weights_folder: Path) -> None:
        first = load_extractor(self.NAME).digest
        pin_path(file_of(weights_folder, self.NAME)).unlink()
        network = settle(osnet("osnet_x1_0", 751))
        torch.save(network.state_dict(), file_of(weights_folder, self.NAME))
        assert load_extractor(self.NAME).digest != first
