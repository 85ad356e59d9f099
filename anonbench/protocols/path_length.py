"""Small steps of one input at a fixed z: how far does the person move who ought to stay (thesis 7.2.2)?

Perceptual path length (Karras et al. 2019) asks this of z. What matters for consistency are the conditions:

pose        every joint turned by a few degrees; pixels may move as the real person's do
background  15 % of the way to another place; nothing about the person should change
mask        the mask one pixel wider
shift       anonymized and moved by a pixel, against moved and anonymized
flip        the same for the mirror image (the invariance tests of Surface-Guided GANs, Hukkelås et al. 2023)
latent      a tenth of the way to another z

`change` is the distance of the two outputs over the pixels (or cells of the surface) that show the body in both.
`gain` divides it by the change of the input: that of the untouched person for a pose, that of the surroundings
for a background. `sensitivity` divides it by the distance of two latents: a constant output changes never, and
has no sensitivity. Steps of pose and background need synthetic people; all others are made of any crops.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from anonbench.crops import Outcome
from anonbench.errors import DataError
from anonbench.metrics.path_length import within_tails
from anonbench.protocols import perturbations
from anonbench.protocols.crops import CropSource
from anonbench.protocols.generation import Generation, Images, ImageSet, Sampling
from anonbench.protocols.pair_distances import (
    Measure,
    perceptual_measure,
    pixel_measure,
    surface_measures,
    surroundings,
)
from anonbench.protocols.pair_results import PairResults, ratio_of_means
from anonbench.protocols.perturbations import changed
from anonbench.protocols.reid_labels import latent_tokens
from anonbench.protocols.scoring import Context, Floats, Measurement
from anonbench.protocols.surface_pairs import Cells, cells_for
from anonbench.records import Direction

Integers = NDArray[np.int64]
STEPPED = ("pose", "background")
EQUIVARIANT = {
    "shift": (perturbations.shifted, perturbations.shifted_images),
    "flip": (perturbations.flipped, perturbations.flipped_images),
}
LATENT_STEP = 0.1
"""Share of the way to another z. Karras et al. step by 1e-4 on float images; of bytes that changes one in two hundred,
and rounding makes the length. This step changes nine in ten (results/path_length, docs/protocols.md)."""
MOST_CROPS = 1000
"""Of data without steps, as many crops: paired differences need no more (docs/protocols.md)."""
GALLERY_PERSONS = 3


@dataclass(frozen=True)
class Sources:
    """The crops of one run.

    full: everything with its steps; still: positions (N,) in it of the crops without a step; stepped: of their
    counterparts, by setting. base: the still ones as a source of their own.
    """

    full: CropSource
    still: Integers
    stepped: dict[str, Integers]
    base: CropSource


@dataclass(frozen=True)
class Step:
    """N pairs of images before and after a step, compared over the surfaces of `crops`."""

    crops: CropSource
    before: ImageSet
    after: ImageSet
    first: Integers
    second: Integers


@dataclass(frozen=True)
class Way:
    """How images are compared.

    name: first word of the statistics that have its unit; extractor: last part of metric keys.
    body: over the pixels of the body; around: over those that nobody anonymizes.
    squared: the distance grows with the square of a small change, so that path lengths exist.
    """

    name: str
    extractor: str
    unit: str
    body: Callable[[CropSource], Measure]
    around: Callable[[CropSource], Measure]
    squared: bool

    def distance(self, step: Step) -> Floats:
        """(N,) between the images of a step."""
        return self.body(step.crops).distance(step.before, step.first, step.after, step.second)


def measure(context: Context) -> Measurement:
    """Every step that the data and the model allow, with every perceptual extractor and over the surface."""
    sources = _sources(context.crops)
    samples = sources.base.samples
    person = np.unique(latent_tokens(samples), return_inverse=True)[1]
    results = PairResults(samples["key"].tolist(), person, context.preset.resamples)
    steps = [_steps(context, sources, seed) for seed in context.seeds]
    latents = [
        _latent_steps(context, sources, seed) for seed in context.seeds if context.generation.has_latents
    ]
    for way in _ways(context):
        other = [way.distance(of_seed["other"]) for of_seed in latents]
        untouched, inputs = _untouched(context, sources, way), _inputs(context, sources, way)
        for setting in steps[0]:
            change = [way.distance(of_seed[setting]) for of_seed in steps]
            _add(results, setting, way, change, other, untouched[setting], inputs.get(setting))
        if latents:
            _add_latent(results, way, [way.distance(of_seed["latent"]) for of_seed in latents], other)
    return Measurement(results.metrics, results.samples, _strips(context, sources))


def _sources(crops: CropSource) -> Sources:
    """Where the crops without a step are. Raises DataError where nobody has a surface."""
    if "step" in crops.samples.columns:
        step = crops.samples["step"].to_numpy()
        still, *stepped = (np.flatnonzero(step == name) for name in ("", *STEPPED))
        return Sources(crops, still, dict(zip(STEPPED, stepped, strict=True)), changed(crops, still, "still"))
    found = np.flatnonzero(crops.outcome == Outcome.SURFACE)
    if not len(found):
        raise DataError(
            f"{crops.dataset.name}: no crop has a surface, so nobody would be synthesized; put masks/ and "
            "keypoints.json beside them (docs/detect.md)"
        )
    count = min(len(found), MOST_CROPS)
    base = changed(crops, found[np.linspace(0, len(found) - 1, count).astype(np.int64)], "still")
    return Sources(base, np.arange(count), {}, base)


def _steps(context: Context, sources: Sources, seed: int) -> dict[str, Step]:
    """One seed's outputs before and after each step of the conditions."""
    model, every = context.generation.model, np.arange(len(sources.still))

    def anonymized(crops: CropSource) -> ImageSet:
        tokens = tuple(latent_tokens(crops.samples))
        return Generation(model, crops).anonymized(Sampling("one z per identity", seed, tokens))

    painted = anonymized(sources.full)
    steps = {
        setting: Step(sources.full, painted, painted, sources.still, positions)
        for setting, positions in sources.stepped.items()
    }
    still = _chosen(painted, sources.still)
    wider = changed(sources.base, every, "mask", perturbations.grown_mask)
    steps["mask"] = Step(sources.base, still, anonymized(wider), every, every)
    for setting, (move, move_images) in EQUIVARIANT.items():
        moved = changed(sources.base, every, setting, move)
        followed = move_images(torch.from_numpy(still.images)).numpy()
        before = ImageSet((*still.key, setting), followed)
        steps[setting] = Step(moved, before, anonymized(moved), every, every)
    return steps


def _latent_steps(context: Context, sources: Sources, seed: int) -> dict[str, Step]:
    """One seed's outputs before and after a step of z, and against another z (`other`): diversity."""
    generation, every = Generation(context.generation.model, sources.base), np.arange(len(sources.still))
    tokens = tuple(latent_tokens(sources.base.samples))
    others = tuple(f"other/{token}" for token in tokens)
    still = generation.anonymized(Sampling("one z per identity", seed, tokens))
    near = generation.anonymized(Sampling("a step of z", seed, tokens, towards=others, step=LATENT_STEP))
    far = generation.anonymized(Sampling("another z", seed, others))
    return {
        name: Step(sources.base, still, after, every, every)
        for name, after in (("latent", near), ("other", far))
    }


def _chosen(images: ImageSet, positions: Integers) -> ImageSet:
    chosen = hashlib.sha256(positions.tobytes()).hexdigest()
    return ImageSet((*images.key, chosen), images.images[positions])


def _ways(context: Context) -> list[Way]:
    ways = [
        Way(
            "perceptual",
            extractor.key,
            "distance",
            partial(perceptual_measure, extractor=extractor),
            partial(perceptual_measure, extractor=extractor, area=surroundings),
            squared=True,
        )
        for extractor in context.perceptual
    ]
    around = partial(pixel_measure, area=surroundings)
    return ways + [
        Way(
            "surface",
            cells.name,
            "colour distance",
            partial(_whole_surface, cells=cells),
            around,
            squared=False,
        )
        for cells in cells_for(context.crops.dataset.size)
    ]


def _whole_surface(crops: CropSource, cells: Cells) -> Measure:
    return surface_measures(crops, cells)[0]


def _untouched(context: Context, sources: Sources, way: Way) -> dict[str, Floats]:
    """The change of the real person in each step: none by a wider mask, and they follow their image."""
    original = Generation(context.generation.model, sources.full).original()
    nothing = np.zeros(len(sources.still))
    return dict.fromkeys(("mask", *EQUIVARIANT), nothing) | {
        setting: way.distance(Step(sources.full, original, original, sources.still, positions))
        for setting, positions in sources.stepped.items()
    }


def _inputs(context: Context, sources: Sources, way: Way) -> dict[str, Floats]:
    """How far the input goes in a step: the real person in one of the pose, their surroundings in the other."""
    original = Generation(context.generation.model, sources.full).original()
    found: dict[str, Floats] = {}
    for setting, positions in sources.stepped.items():
        where = way.body if setting == "pose" else way.around
        found[setting] = where(sources.full).distance(original, sources.still, original, positions)
    return found


def _add(
    results: PairResults,
    setting: str,
    way: Way,
    change: list[Floats],
    other: list[Floats],
    untouched: Floats,
    moved: Floats | None,
) -> None:
    """change: of each seed; other: with another latent, empty without latents; moved: the change of the input."""

    def key(statistic: str) -> str:
        return f"path_length.{setting}.{statistic}.{way.extractor}"

    # A person who moves less than the real one is frozen, or blurred: nothing to be good at.
    better: Direction = "none" if setting == "pose" else "lower"
    results.mean(key(f"{way.name}_change"), change, way.unit, better, untouched)
    results.median(key(f"{way.name}_change_median"), change, way.unit, better, untouched)
    if moved is not None:
        ceiling = ratio_of_means(untouched, moved)
        results.ratio(key("gain"), change, [moved] * len(change), ceiling, better)
    if other:
        results.ratio(key("sensitivity"), change, other)


def _add_latent(results: PairResults, way: Way, change: list[Floats], other: list[Floats]) -> None:
    """The step of z, and what it is measured against: the distance of two z, the diversity."""

    def key(statistic: str) -> str:
        return f"path_length.latent.{statistic}.{way.extractor}"

    results.mean(key(f"{way.name}_change"), change, way.unit, "lower")
    results.median(key(f"{way.name}_change_median"), change, way.unit, "lower")
    results.ratio(key("sensitivity"), change, other)
    results.mean(key(f"{way.name}_diversity"), other, way.unit, "higher")
    if way.squared:
        lengths = [within_tails(c / LATENT_STEP**2) for c in change]
        results.mean(key("length"), lengths, "distance per step squared", "lower")


def _strips(context: Context, sources: Sources) -> dict[str, Images]:
    """Some people as they stand, and after each step of pose and background where the data have them."""
    people = range(min(GALLERY_PERSONS, len(sources.still)))
    if not sources.stepped:
        people = range(min(2 * GALLERY_PERSONS, len(sources.still)))
    chosen = [int(p[k]) for k in people for p in (sources.still, *sources.stepped.values())]
    tokens = latent_tokens(sources.full.samples)
    sampling = Sampling("gallery", 0, tuple(tokens[i] for i in chosen))
    return {
        "path_length.original": sources.full.load(chosen).image.numpy(),
        "path_length": Generation(context.generation.model, sources.full).anonymized_subset(chosen, sampling),
    }
