"""z from one image of a person, painted into another one (thesis Figure 5.4, sections 6.2 and 7.2.1).

same_image     z from the crop itself: the easy case, which also rewards hints from pose and background
other_image    z from another image A of the person, of another camera, painted into B: appearance alone helps
other_person   z from an image of somebody else: what the anonymizer guesses without help
random_latent  z from N(0, I)

Everything is compared with the real B. The ceiling of surface and re-ID distances is the real A against the
real B; images of two poses have no aligned pixels, so perceptual distances have none.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonbench.crops import Outcome
from anonbench.errors import DataError
from anonbench.features.base import PerceptualExtractor
from anonbench.latents import sample_tokens
from anonbench.protocols.generation import Images, ImageSet, Sampling
from anonbench.protocols.identity_pairs import images_of_people, pick
from anonbench.protocols.pair_distances import Distance, Measure, reid_measure, surface_measures
from anonbench.protocols.pair_results import PairResults
from anonbench.protocols.scoring import Context, Floats, Measurement, perceptual_distances
from anonbench.protocols.surface_pairs import cells_for
from anonbench.records import Direction

Integers = NDArray[np.int64]
SETTINGS = ("same_image", "other_image", "other_person", "random_latent")
FROM_THE_PERSON = ("same_image", "other_image")
GALLERY_PAIRS = 4


@dataclass(frozen=True)
class Sources:
    """Where the latents of K targets come from in one seed: positions (K,) of targets and of source images."""

    target: Integers
    own: Integers
    stranger: Integers


def measure(context: Context) -> Measurement:
    """Every setting with every extractor; seeds draw other sources and other random latents."""
    sources = [draw_sources(context, seed) for seed in range(context.preset.seeds)]
    target = sources[0].target
    samples = context.crops.samples
    keys, person = samples["key"].to_numpy()[target], samples["person_id"].to_numpy(np.int64)[target]
    results = PairResults(keys.tolist(), person, context.preset.resamples)
    painted = {setting: _paint(context, setting, sources) for setting in SETTINGS}
    original = context.generation.original()

    def to_the_real(way: Measure) -> dict[str, list[Floats]]:
        return {
            setting: [way.distance(image_set, target, original, target) for image_set in images]
            for setting, images in painted.items()
        }

    for way in _ways(context):
        real = [way.distance(original, s.own, original, s.target) for s in sources]
        _add(results, way, to_the_real(way), real)
    for way in _aligned_ways(context):
        _add(results, way, to_the_real(way))
    return Measurement(results.metrics, results.samples, _strips(context, sources[0]))


def draw_sources(context: Context, seed: int) -> Sources:
    """For every image of a person with several: another image of them, and one of the next person.

    Images of another camera are preferred. Crops without a surface are left out: nobody is painted into them,
    and the mapper sees nobody. Raises DataError where no two people have two such images.
    """
    samples, found = context.crops.samples, context.crops.outcome == Outcome.SURFACE
    keys, camera = samples["key"].to_numpy(), samples["camera_id"].to_numpy()
    images = {p: own[found[own]] for p, own in images_of_people(samples).items()}
    people = [p for p, own in images.items() if len(own) > 1]
    if len(people) < 2:
        raise DataError(
            f"{context.crops.dataset.name}: reconstruction needs two images with a surface of each of two people, "
            f"found {len(people)} such people; give data with identities, masks and keypoints (docs/detect.md)"
        )
    rows = []
    for number, person in enumerate(people):
        strangers = images[people[(number + 1) % len(people)]]
        for position in images[person]:
            others = images[person][images[person] != position]
            across = others[camera[others] != camera[position]]
            token = f"{seed}/{keys[position]}"
            own = pick(across if len(across) else others, token)
            rows.append((position, own, pick(strangers, token)))
    return Sources(*np.array(rows, dtype=np.int64).T)


def _paint(context: Context, setting: str, sources: list[Sources]) -> list[ImageSet]:
    """All samples, for each seed; those that are no target get their own latent, and are not scored."""
    keys = context.crops.samples["key"].to_numpy()

    def taken_from(positions: Integers, target: Integers) -> tuple[str, ...]:
        tokens = keys.copy()
        tokens[target] = keys[positions]
        return tuple(tokens)

    if setting == "same_image":
        requests = [Sampling("z from the crop itself", source="mapper")]
    elif setting == "other_image":
        requests = [
            Sampling("z from another image", tokens=taken_from(s.own, s.target), source="mapper")
            for s in sources
        ]
    elif setting == "other_person":
        requests = [
            Sampling("z from another person", tokens=taken_from(s.stranger, s.target), source="mapper")
            for s in sources
        ]
    else:
        tokens = tuple(sample_tokens(keys.tolist()))
        requests = [Sampling("one z per image", seed, tokens) for seed in range(len(sources))]
    return [context.generation.anonymized(request) for request in requests]


def _ways(context: Context) -> list[Measure]:
    """Distances between any two images of people."""
    crops = context.crops
    surface = [m for cells in cells_for(crops.dataset.size) for m in surface_measures(crops, cells)]
    return [*surface, *(reid_measure(extractor) for extractor in context.of_kind("reid"))]


def _aligned_ways(context: Context) -> list[Measure]:
    """Perceptual distances of two images of one crop, over the whole crop and inside the mask."""

    def distance(extractor: PerceptualExtractor, column: int) -> Distance:
        return lambda a, i, b, _: perceptual_distances(a, b, context.crops, extractor)[i, column]

    return [
        Measure("perceptual", extractor.key, distance(extractor, column), "distance", part)
        for extractor in context.perceptual
        for column, part in enumerate(("", "masked"))
    ]


def _add(
    results: PairResults,
    way: Measure,
    found: dict[str, list[Floats]],
    real: list[Floats] | None = None,
) -> None:
    """Distances to the real image in every setting, and how much less they are than with another person's z.

    real: another real image of the person against the real image.
    """

    def key(setting: str, statistic: str) -> str:
        return f"reconstruction.{setting}.{way.statistic(statistic)}.{way.extractor}"

    seeds = len(found["other_person"])
    for setting, per_seed in found.items():
        direction: Direction = "lower" if setting in FROM_THE_PERSON else "none"
        untouched = np.concatenate(real) if real is not None and setting == "other_image" else None
        results.mean(key(setting, ""), per_seed, way.unit, direction, untouched)
    for setting in FROM_THE_PERSON:
        repeated = found[setting] * (seeds // len(found[setting]))
        results.ratio(key(setting, "ratio"), repeated, found["other_person"])
        results.auc(key(setting, "auc"), repeated, found["other_person"])


def _strips(context: Context, sources: Sources) -> dict[str, Images]:
    """Source and target of some people: the real ones; z of the source in both; z of another person in both."""
    person = context.crops.samples["person_id"].to_numpy()[sources.target]
    rows = np.unique(person, return_index=True)[1][:GALLERY_PAIRS]
    pairs = [(int(sources.own[k]), int(sources.target[k])) for k in rows]
    chosen = [position for pair in pairs for position in pair]
    keys = context.crops.samples["key"].to_numpy()

    def painted(source: Integers) -> Images:
        tokens = tuple(str(keys[source[k]]) for k in rows for _ in range(2))
        return context.generation.anonymized_subset(
            chosen, Sampling("gallery", tokens=tokens, source="mapper")
        )

    return {
        "reconstruction.original": context.crops.load(chosen).image.numpy(),
        "reconstruction.z_from_the_left_image": painted(sources.own),
        "reconstruction.z_of_another_person": painted(sources.stranger),
    }
