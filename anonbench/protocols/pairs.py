"""Natural pairs of images of one person from two cameras: does one z give one person there?

Pose, view, place and light change at once, as in any real data with identities, so no factor can be blamed:
the swap protocols do that, on factorial data. With one z per identity, for a pair (i, j) and a stranger k:

    same   d(A[i], A[j])   one person from two cameras
    other  d(A[i], A[k])   two people, from the cameras of i and j

It asks what `reid` asks, but of the body's colours rather than of a re-ID network, and counts distances, not
ranks. The ceiling is that of the untouched images.
"""

import numpy as np

from anonbench.protocols.generation import Images, ImageSet, Sampling
from anonbench.protocols.identity_pairs import IdentityPairs, identity_pairs
from anonbench.protocols.pair_distances import Measure, reid_measure, surface_measures
from anonbench.protocols.pair_results import PairResults, ratio_of_means
from anonbench.protocols.reid_labels import latent_tokens
from anonbench.protocols.scoring import Context, Floats, Measurement
from anonbench.protocols.surface_pairs import cells_for
from anonbench.protocols.swaps import add_overlap

GALLERY_PAIRS = 6


def measure(context: Context) -> Measurement:
    """Surface distances over the whole body and by region, and cosine distances of every re-ID extractor."""
    crops = context.crops
    pairs = identity_pairs(crops.samples)
    keys = crops.samples["key"].to_numpy()
    names = [f"{a}|{b}" for a, b in zip(keys[pairs.first], keys[pairs.second], strict=True)]
    results = PairResults(names, pairs.person, context.preset.resamples)
    tokens = tuple(latent_tokens(crops.samples))
    painted = [
        context.generation.anonymized(Sampling("one z per identity", seed, tokens)) for seed in context.seeds
    ]
    surface = [m for cells in cells_for(crops.dataset.size) for m in surface_measures(crops, cells)]
    for way in [*surface, *(reid_measure(extractor) for extractor in context.of_kind("reid"))]:
        found = [_distances(way, images, pairs) for images in painted]
        _add(results, way, found, _distances(way, context.generation.original(), pairs))
    add_overlap(results, context, "pairs", pairs.first, pairs.second)
    return Measurement(results.metrics, results.samples, _strips(context, pairs, tokens))


def _distances(measure: Measure, images: ImageSet, pairs: IdentityPairs) -> tuple[Floats, Floats]:
    """(K,) same and other."""
    return (
        measure.distance(images, pairs.first, images, pairs.second),
        measure.distance(images, pairs.first, images, pairs.other),
    )


def _add(
    results: PairResults,
    measure: Measure,
    found: list[tuple[Floats, Floats]],
    original: tuple[Floats, Floats],
) -> None:
    def key(statistic: str) -> str:
        return f"pairs.{measure.statistic(statistic)}.{measure.extractor}"

    same, other = [f[0] for f in found], [f[1] for f in found]
    results.mean(key("same"), same, measure.unit, "lower", original[0])
    if not measure.part:
        results.mean(key("other"), other, measure.unit, "none", original[1])
    results.ratio(key("ratio"), same, other, ratio_of_means(*original))
    results.auc(key("auc"), same, other, original)


def _strips(context: Context, pairs: IdentityPairs, tokens: tuple[str, ...]) -> dict[str, Images]:
    """Pairs of different people beside each other: originals and anonymized with one z each."""
    starts = np.unique(pairs.person, return_index=True)[1][:GALLERY_PAIRS]
    chosen = [int(i) for k in starts for i in (pairs.first[k], pairs.second[k])]
    sampling = Sampling("gallery", 0, tuple(tokens[i] for i in chosen))
    return {
        "pairs.original": context.crops.load(chosen).image.numpy(),
        "pairs": context.generation.anonymized_subset(chosen, sampling),
    }
