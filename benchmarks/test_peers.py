"""What users wait for, against the programs that they wait for today.

    pytest benchmarks/test_peers.py -s                # prints the ratios
    pytest benchmarks/test_peers.py --record --rank-cylib FOLDER      # and writes results/benchmarks/metric_speed.json

Networks have random weights, which cost as much as any. Both sides get the same images and give the same number.
"""

import contextlib
import io
import runpy
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from numpy.typing import NDArray
from PIL import Image

from anonbench.datasets.folder import ImageFolder
from anonbench.features.base import LayeredDistance
from anonbench.features.extractors import load_extractor
from anonbench.features.lpips import layer_distances, lpips_network
from anonbench.metrics.frechet import (
    GaussianStats,
    frechet_distance,
    frechet_distance_of_features,
    gaussian_stats,
)
from anonbench.metrics.ranking import mean_average_precision, rank
from anonbench.weights import WeightsCard, file_sha256, registry, weights_card

Speedup = Callable[..., float]
SIZE = (288, 160)
IMAGES = 64
PAIRS = 8
D = 2048
QUERIES, GALLERY = 3368, 15_913
"""Market-1501, the gallery without junk."""
FRECHET = f"Frechet distance of two Gaussians of {D} dimensions"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders of PNG files, smooth as photos are."""
    rng = np.random.default_rng(0)
    found = []
    for name in ("real", "fake"):
        folder = tmp_path_factory.mktemp(name)
        for i in range(IMAGES):
            coarse = Image.fromarray(rng.integers(0, 256, (18, 10, 3), dtype=np.uint8))
            coarse.resize(SIZE[::-1], Image.Resampling.BICUBIC).save(folder / f"{i:04d}.png")
        found.append(folder)
    return found[0], found[1]


@pytest.fixture
def inception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Random weights in place of the official ones, which the registry then expects."""
    monkeypatch.setenv("ANONBENCH_WEIGHTS", str(tmp_path))
    # By its path: some packages install a `tests` of their own.
    runpy.run_path(str(Path(__file__).parent.parent / "tests" / "official_files.py"))["inception"](tmp_path)
    card = weights_card("inception_v3")
    path = tmp_path / card.files[0]
    own = WeightsCard.model_validate(card.model_dump() | {"sha256": file_sha256(path)})
    monkeypatch.setattr(registry, "weights_card", lambda name: own)
    return path


def test_fid_of_two_folders(speedup: Speedup, folders: tuple[Path, Path], inception: Path) -> None:
    from torch_fidelity import calculate_metrics

    extractor = load_extractor("inception_v3")

    def features(folder: Path) -> NDArray[np.float32]:
        data = ImageFolder(folder)
        batches = torch.arange(len(data)).split(32)
        return np.concatenate([extractor.features(data.load(b.tolist()).image).numpy() for b in batches])

    def ours() -> None:
        values["ours"] = frechet_distance_of_features(real=features(folders[0]), fake=features(folders[1]))

    def peer() -> None:
        found = calculate_metrics(
            input1=str(folders[0]), input2=str(folders[1]), fid=True, cuda=False, cache=False, verbose=False,
            feature_extractor_weights_path=str(inception),
        )  # fmt: skip
        values["peer"] = float(found["frechet_inception_distance"])

    values: dict[str, float] = {}
    what = f"FID of two folders of {IMAGES} images, {SIZE[0]}x{SIZE[1]}, from the files to the number"
    assert speedup(ours, peer, rounds=1, warmup=0, key=("torch-fidelity", what)) > 1
    assert values["ours"] == pytest.approx(values["peer"], rel=1e-4)


def test_inception_features(speedup: Speedup, inception: Path) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    extractor = load_extractor("inception_v3")
    peer = FeatureExtractorInceptionV3("peer", ["2048"], feature_extractor_weights_path=str(inception))
    images = torch.randint(0, 256, (32, 3, *SIZE), dtype=torch.uint8)
    extractor.features(images[:1])  # builds the network
    key = ("torch-fidelity", f"InceptionV3 features of {len(images)} images, {SIZE[0]}x{SIZE[1]}")
    assert speedup(lambda: extractor.features(images), lambda: peer(images), rounds=1, warmup=0, key=key) > 1


@pytest.fixture(scope="module")
def statistics() -> tuple[GaussianStats, GaussianStats]:
    """Of features whose spectrum falls over some decades, as that of networks does."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(D, D)) * np.exp(-np.arange(D) / 200)
    real, fake = (rng.normal(size=(5000, D)) @ mixing * scale for scale in (1.0, 1.1))
    return gaussian_stats(real), gaussian_stats(fake)


def test_frechet_distance(speedup: Speedup, statistics: tuple[GaussianStats, GaussianStats]) -> None:
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    real, fake = statistics
    given = [{"mu": s.mean, "sigma": s.covariance} for s in statistics]

    def peer() -> None:
        values.append(fid_statistics_to_metric(*given, verbose=False)["frechet_inception_distance"])

    values: list[float] = []
    key = ("torch-fidelity", FRECHET)
    assert speedup(lambda: frechet_distance(real=real, fake=fake), peer, rounds=1, warmup=0, key=key) > 1.5
    assert frechet_distance(real=real, fake=fake) == pytest.approx(values[0], rel=1e-4)


def test_frechet_distance_by_sqrtm(speedup: Speedup, statistics: tuple[GaussianStats, GaussianStats]) -> None:
    real, fake = statistics

    def peer() -> float:
        root = scipy.linalg.sqrtm(real.covariance @ fake.covariance).real
        shift = real.mean - fake.mean
        return float(shift @ shift + np.trace(real.covariance + fake.covariance - 2 * root))

    key = ("SciPy (sqrtm)", FRECHET)
    assert speedup(lambda: frechet_distance(real=real, fake=fake), peer, rounds=1, warmup=0, key=key) > 1.5


@pytest.fixture(scope="module")
def retrieval() -> tuple[NDArray[np.float32], list[NDArray[np.int64]]]:
    """Distances, ids and cameras of the size of Market-1501, matches a little nearer than the others."""
    rng = np.random.default_rng(0)
    distances = rng.random((QUERIES, GALLERY), dtype=np.float32)
    query, gallery = rng.integers(1, 751, QUERIES), rng.integers(1, 751, GALLERY)
    gallery[rng.random(GALLERY) < 0.17] = 0
    distances[query[:, None] == gallery] -= 0.3
    return distances, [query, gallery, rng.integers(1, 7, QUERIES), rng.integers(1, 7, GALLERY)]


RETRIEVAL = f"mAP and CMC of {QUERIES} queries in a gallery of {GALLERY}"


def test_reid_evaluation(
    speedup: Speedup, retrieval: tuple[NDArray[np.float32], list[NDArray[np.int64]]]
) -> None:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # it tells that its compiled version is absent
        from torchreid.reid.metrics.rank import eval_market1501
    distances, labels = retrieval
    found: list[float] = []

    def peer() -> None:
        found.append(eval_market1501(distances, *labels, 50)[1])

    key = ("torchreid (Python)", RETRIEVAL)
    assert speedup(lambda: rank(distances, *labels), peer, rounds=1, warmup=0, key=key) > 10
    assert mean_average_precision(rank(distances, *labels)) == pytest.approx(found[0], rel=1e-3)


def test_reid_evaluation_compiled(
    speedup: Speedup,
    retrieval: tuple[NDArray[np.float32], list[NDArray[np.int64]]],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluate = compiled_torchreid(request.config.getoption("--rank-cylib"), tmp_path, monkeypatch)
    distances, labels = retrieval
    key = ("torchreid (Cython)", RETRIEVAL)
    peer = lambda: evaluate(distances, *labels, 50)  # noqa: E731
    assert speedup(lambda: rank(distances, *labels), peer, rounds=2, warmup=0, key=key) > 2


def compiled_torchreid(
    folder: str | None, build: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., object]:
    """torchreid's Cython evaluation, built in a folder of its own; skipped where something is missing."""
    pytest.importorskip("Cython", reason="Cython is not installed")
    if folder is None:
        pytest.skip(
            "torchreid's package holds no rank_cy.pyx: give --rank-cylib a checkout's rank_cylib folder"
        )
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        pytest.skip("there is no C compiler")
    shutil.copy(Path(folder) / "rank_cy.pyx", build)
    script = (
        "from setuptools import setup, Extension; from Cython.Build import cythonize; import numpy; "
        "setup(ext_modules=cythonize([Extension('rank_cy', ['rank_cy.pyx'], include_dirs=[numpy.get_include()])]))"
    )
    subprocess.run(
        [sys.executable, "-c", script, "build_ext", "--inplace"], cwd=build, check=True, capture_output=True
    )
    monkeypatch.syspath_prepend(str(build))
    evaluate: Callable[..., object] = import_module("rank_cy").evaluate_cy
    return evaluate


@pytest.fixture(scope="module")
def vgg16() -> tuple[torch.nn.Module, LayeredDistance]:
    """The lpips package's network and ours with the same random weights."""
    import torchvision
    from lpips import LPIPS

    torch.manual_seed(0)
    features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    tensors = {f"features.{name}": tensor for name, tensor in features.state_dict().items()}
    network = lpips_network("vgg16", tensors, "random")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it builds torchvision models with retired arguments
        peer = LPIPS(net="vgg", pnet_rand=True, verbose=False)
    peer.load_state_dict(network.state_dict())
    ours = LayeredDistance("lpips.vgg16", "vgg16", "", lambda device: lambda a, b: layer_distances(network, a, b),
                           torch.device("cpu"))  # fmt: skip
    return peer.eval(), ours


@pytest.fixture(scope="module")
def pairs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randint(0, 256, (2, PAIRS, 3, *SIZE), dtype=torch.uint8, generator=generator)
    return a, b


@torch.inference_mode()
def lpips_of(network: torch.nn.Module, a: torch.Tensor, b: torch.Tensor, spatial: bool) -> torch.Tensor:
    network.spatial = spatial
    found: torch.Tensor = network(a / 127.5 - 1, b / 127.5 - 1)
    return found


def test_lpips_of_pairs(
    speedup: Speedup,
    vgg16: tuple[torch.nn.Module, LayeredDistance],
    pairs: tuple[torch.Tensor, torch.Tensor],
) -> None:
    network, ours = vgg16
    few = pairs[0][:1], pairs[1][:1]
    expected = lpips_of(network, *few, spatial=False)[:, 0, 0, 0]
    torch.testing.assert_close(ours.distance(*few), expected, rtol=1e-5, atol=1e-6)
    what = f"LPIPS (VGG16) of {PAIRS} pairs, {SIZE[0]}x{SIZE[1]}"
    peer = lambda: lpips_of(network, *pairs, spatial=False)  # noqa: E731
    assert speedup(lambda: ours.distance(*pairs), peer, rounds=2, warmup=0, key=("lpips", what)) > 0.9


def test_lpips_of_pairs_inside_and_out(
    speedup: Speedup,
    vgg16: tuple[torch.nn.Module, LayeredDistance],
    pairs: tuple[torch.Tensor, torch.Tensor],
) -> None:
    network, ours = vgg16

    def peer() -> None:
        lpips_of(network, *pairs, spatial=False)
        lpips_of(network, *pairs, spatial=True)

    what = f"LPIPS (VGG16) of {PAIRS} pairs, {SIZE[0]}x{SIZE[1]}, of the whole image and per pixel"
    assert speedup(lambda: ours.distance_and_map(*pairs), peer, rounds=2, warmup=0, key=("lpips", what)) > 1.5
