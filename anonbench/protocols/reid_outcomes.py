"""How much of the lost mAP is the detector's and how much the generator's (thesis section 6.3).

Between the untouched images and a run under imposed outcomes, three things got worse: people are synthesized, some
are blurred since only their mask was found, and some stay as they are. Each can be undone on its own, by taking
other features for the crops concerned:

generator  an ideal generator: everybody looks like one other real person, in every crop (`disguised`)
blurred    crops with a mask only are synthesized
untouched  crops without a detection are synthesized

What undoing one of them gains depends on what else is undone, so a part of the loss is the mean of what it takes
away over the orders in which things can get worse: the Shapley value, in its form for groups (Owen 1977), with
blurred and untouched as the group `detector`. The parts add up to the loss exactly.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from anonbench.crops import Outcome
from anonbench.metrics.ranking import DISTRACTOR_ID, UNKNOWN_CAMERA
from anonbench.protocols.reid_labels import Integers, Labels
from anonbench.protocols.reid_rankings import (
    Features,
    Floats,
    Ranking,
    Scores,
    both_directions,
    per_query,
    query_mean,
    search,
    summarize,
)
from anonbench.records import Direction, Metric

FAULTS = GENERATOR, BLURRED, UNTOUCHED = ("generator", "blurred", "untouched")
DETECTOR = (BLURRED, UNTOUCHED)
ORDERS = (
    (GENERATOR, BLURRED, UNTOUCHED),
    (GENERATOR, UNTOUCHED, BLURRED),
    (BLURRED, UNTOUCHED, GENERATOR),
    (UNTOUCHED, BLURRED, GENERATOR),
)
"""The two faults of the detector follow one another."""
PARTS = {
    "total": FAULTS,
    "generator": (GENERATOR,),
    "detector": DETECTOR,
    "blurred": (BLURRED,),
    "untouched": (UNTOUCHED,),
}

Corners = Mapping[frozenset[str], Ranking]
"""What the queries find, for every set of faults."""


@dataclass(frozen=True)
class Versions:
    """Features float32 (N, D) of the same crops, for one latent seed.

    original: untouched. perfect: all synthesized, one z per identity. imposed: synthesized, blurred or untouched.
    """

    original: Features
    perfect: Features
    imposed: Features


def decompose(
    versions: Iterable[Versions], labels: Labels, extractor: str, resamples: int, generates: bool = True
) -> Scores:
    """What perfect detection would give, the parts of the loss in points of mAP, and the leakage that is added.

    versions: one per latent seed. labels: with the imposed outcomes. generates: the model draws new people; for
    others, and where somebody has no look to take (`disguised`), there is no ideal generator and no split.
    """
    behind = disguised(labels) if generates else None
    perfect: list[Ranking] = []
    leaks_before: list[Ranking] = []
    leaks_after: list[Ranking] = []
    corners: list[Corners] = []
    for version in versions:
        perfect.append(search(version.perfect, version.perfect, labels))
        leaks_before.append(both_directions(version.original, version.perfect, labels))
        leaks_after.append(both_directions(version.original, version.imposed, labels))
        if behind is not None:
            corners.append(_corners(version, labels, behind))
    scores = Scores.joined([
        summarize("perfect_detection", perfect, extractor, resamples),
        summarize("perfect_detection.linkage", leaks_before, extractor, resamples),
        _added_leakage(leaks_before, leaks_after, extractor, resamples),
    ])  # fmt: skip
    if not corners:
        return scores
    ideal = [corner[frozenset(DETECTOR)] for corner in corners]
    return Scores.joined([
        scores, summarize("ideal_generator", ideal, extractor, resamples), _losses(corners, extractor, resamples)
    ])  # fmt: skip


def disguised(labels: Labels) -> Integers | None:
    """For every crop, taken as the new look of somebody, the crop of whom it disguises, int64 (N,).

    People stand in rings, each as the look of the next. The two have as many queries and gallery images, with
    cameras that repeat in the same way, so that disguised people are as easy to tell apart as the untouched ones.
    None where somebody has no such partner. Strangers stay themselves.
    """
    role = np.zeros(len(labels.person), dtype=np.int64)
    role[labels.query] += 1
    role[labels.gallery] += 2
    by_name = np.argsort(labels.key, kind="stable")
    alike: dict[tuple[object, ...], list[Integers]] = {}
    for person in np.unique(labels.person[(labels.person > DISTRACTOR_ID) & (role > 0)]):
        crops = by_name[labels.person[by_name] == person]
        pattern = (tuple(role[crops].tolist()), _repeats(labels.camera[crops].tolist()))
        alike.setdefault(pattern, []).append(crops)
    behind = np.arange(len(labels.person))
    for ring in alike.values():
        if len(ring) < 2:
            return None
        for look, person_behind in zip(ring, [*ring[1:], ring[0]], strict=True):
            behind[look] = person_behind
    return behind


def _repeats(cameras: list[int]) -> tuple[int, ...]:
    """Cameras numbered by first appearance; an unknown one repeats nothing."""
    numbers = {camera: number for number, camera in enumerate(dict.fromkeys(cameras))}
    return tuple(UNKNOWN_CAMERA if camera == UNKNOWN_CAMERA else numbers[camera] for camera in cameras)


def _corners(version: Versions, labels: Labels, behind: Integers) -> Corners:
    sets = (frozenset(c) for size in range(len(FAULTS) + 1) for c in combinations(FAULTS, size))
    return {faults: _with_faults(version, labels, behind, faults) for faults in sets}


def _with_faults(version: Versions, labels: Labels, behind: Integers, faults: frozenset[str]) -> Ranking:
    """The ranking where only these things are as bad as they are."""
    affected = np.zeros(len(behind), dtype=np.bool_)
    affected |= (BLURRED in faults) & (labels.outcome == Outcome.MASK_ONLY)
    affected |= (UNTOUCHED in faults) & (labels.outcome == Outcome.NONE)
    if GENERATOR in faults:
        features = np.where(affected[:, None], version.imposed, version.perfect)
        return search(features, features, labels)
    # The disguise slips: the crop shows who is behind it.
    slips = affected[behind]
    features = np.where(slips[:, None], version.imposed[behind], version.original)
    # Looks are borrowed from people who are in the data too, which a generator's people are not: crops that show
    # one person under two names are kept apart.
    shown = np.where(slips, labels.person[behind], labels.person)
    q, g = labels.query, labels.gallery
    strangers = (shown[q, None] == shown[g]) & (labels.person[q, None] != labels.person[g])
    return search(features, features, labels, strangers)


def _losses(corners: list[Corners], extractor: str, resamples: int) -> Scores:
    """Points of mAP lost in all and to each part, from the losses of single queries."""
    scores = Scores({}, [])
    by_fault = [_loss_by_fault(corner) for corner in corners]
    asked = [corner[frozenset()] for corner in corners]
    for part, faults in PARTS.items():
        key = f"reid.loss.{part}.{extractor}"
        values = [np.sum([loss[fault] for fault in faults], axis=0) for loss in by_fault]
        # A better generator has more that a detector can spoil: that part is no merit either way.
        direction: Direction = "lower" if GENERATOR in faults else "none"
        scores.metrics[key] = query_mean(values, asked, "points", direction, resamples)
        scores.samples.append(per_query(key, values, asked))
    return scores


def _loss_by_fault(corner: Corners) -> dict[str, Floats]:
    """Points of average precision (Q,) that each fault takes away, on average over the orders."""
    loss = {fault: np.zeros(len(corner[frozenset()].queries)) for fault in FAULTS}
    for order in ORDERS:
        for place, fault in enumerate(order):
            before, after = corner[frozenset(order[:place])], corner[frozenset(order[: place + 1])]
            loss[fault] += (before.average_precision - after.average_precision) / len(ORDERS)
    return loss


def _added_leakage(before: list[Ranking], after: list[Ranking], extractor: str, resamples: int) -> Scores:
    """Points of linkage mAP under imposed outcomes above those under perfect detection."""
    key = f"reid.linkage.added.{extractor}"
    values = [b.average_precision - a.average_precision for a, b in zip(before, after, strict=True)]
    metric: Metric = query_mean(values, after, "points", "lower", resamples)
    return Scores({key: metric}, [per_query(key, values, after)])
