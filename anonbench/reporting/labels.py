"""What metric keys are called in tables and plots, and the order in which a reader meets them."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from anonbench.records import Direction

ARROWS: dict[Direction, str] = {"higher": "↑", "lower": "↓", "none": ""}

PROTOCOLS = {
    "reid": "Re-identification",
    "pairs": "Two cameras, one person",
    "fid": "Realism",
    "lpips": "Perceptual distance and diversity",
    "reconstruction": "Reconstruction",
    "pose_swap": "Pose swap",
    "background_swap": "Background swap",
    "path_length": "Path length",
    "video": "Video",
    "privacy": "Privacy",
}
"""Protocol titles, in the order of the tables. Others follow under their own name."""

SETTINGS = {
    "reid.original": "untouched images",
    "reid.same_latent": "one latent per identity",
    "reid.fresh_latent": "fresh latent per image",
    "reid.permuted_latent": "random latents, true identity",
    "reid.linkage": "untouched against anonymized",
    "reid.perfect_detection": "perfect detection",
    "reid.ideal_generator": "ideal generator",
    "reid.loss": "imposed outcomes",
    "reconstruction.same_image": "latent from the crop itself",
    "reconstruction.other_image": "latent from another image of the person",
    "reconstruction.other_person": "latent from another person",
    "reconstruction.random_latent": "random latent",
    "path_length.pose": "small step of the pose",
    "path_length.background": "small step of the background",
    "path_length.mask": "mask grown by a pixel",
    "path_length.shift": "shifted by a pixel",
    "path_length.flip": "mirrored",
    "path_length.latent": "small step of the latent",
    "video.same_latent": "one latent per track",
    "video.fresh_latent": "fresh latent per frame",
    "privacy.anonymized_query": "anonymized query, untouched gallery",
    "privacy.original_query": "untouched query, anonymized gallery",
    "privacy.anonymized": "anonymized query and gallery, fresh latents",
    "privacy.mapper": "latent copied by the mapper",
    "privacy.shape": "shape alone",
    "privacy.attributes": "recognized",
    "privacy.untouched": "person pixels left as they were",
}

STATISTICS = {
    "map": "mAP",
    "assigned_map": "mAP",
    "rank1": "rank-1",
    "rank5": "rank-5",
    "rank10": "rank-10",
    "rank20": "rank-20",
    "linkage_map": "mAP, untouched against anonymized",
    "added": "Points of mAP added by missed detections",
    "total": "Points of mAP lost in all",
    "generator": "Points of mAP lost to the generator",
    "detector": "Points of mAP lost to the detector",
    "blurred": "Points of mAP lost to blurred crops",
    "untouched": "Points of mAP lost to untouched crops",
    "value": "Fréchet distance",
    "value_at_infinity": "Fréchet distance, n → ∞",
    "value_slope": "Fréchet distance, slope over 1/n",
    "kid": "Kernel distance (KID)",
    "precision": "Precision",
    "recall": "Recall",
    "density": "Density",
    "coverage": "Coverage",
    "random": "Perceptual distance to the original, random latent",
    "reconstructed": "Perceptual distance to the original, latent from the mapper",
    "diversity": "Diversity: perceptual distance between two latents",
    **{
        f"{key}_{statistic}": f"{name}, {words}"
        for key, name in (
            ("surface", "Surface distance"),
            ("perceptual", "Perceptual distance"),
            ("reid", "Re-ID distance"),
        )
        for statistic, words in (
            ("same", "same latent"),
            ("other", "two people"),
            ("different", "different latents"),
            ("latent", "one crop, two latents"),
            ("ratio", "same / different latent"),
            ("auc", "AUC same against different latent"),
        )
    },
    "surface": "Surface distance to the real image",
    "perceptual": "Perceptual distance to the real image",
    "reid": "Re-ID distance to the real image",
    "surface_shared": "Surface that both images show",
    "surface_unscored": "Pairs that share too little surface",
    "reid_similarity": "Re-ID similarity, same latent",
    "gain": "Change of the output / of the input",
    "sensitivity": "Controlled sensitivity: change by swap or step / by latent",
    "perceptual_change": "Perceptual change",
    "perceptual_change_median": "Perceptual change, median",
    "surface_change": "Surface change",
    "surface_change_median": "Surface change, median",
    "perceptual_diversity": "Diversity: perceptual distance between two latents",
    "surface_diversity": "Diversity: surface distance between two latents",
    "length": "Perceptual path length",
    "consistency": "Likeness within tracks",
    "between_tracks": "Likeness between tracks",
    "warping_ratio": "Warping error over that of the untouched clips",
    "warping_error": "Warping error",
    "flicker_ratio": "Flicker over that of the untouched clips",
    "flicker": "Flicker",
    "uncovered": "Frames with an uncovered person",
    "longest_leak": "Longest time uncovered",
    "trained_map": "Trained attacker: mAP",
    "trained_rank1": "Trained attacker: rank-1",
    "advantage": "Trained attacker: mAP above the untrained one",
    "over_chance": "Trained attacker: mAP above chance",
    "figure": "Figure (feminine, masculine)",
    "build": "Build (light, medium, heavy)",
    "skin": "Skin (light, medium, dark)",
    "hair": "Hair (short, long)",
    "top": "Top (T-shirt, long sleeves, jacket)",
    "bottom": "Bottom (trousers, shorts, skirt or dress)",
    "image": "Mean over images",
    "area": "Mean over pixels",
}
"""Names of statistics, in the order of the tables. Others follow with their underscores as spaces."""

OUTCOMES = {"surface": "synthesized", "mask_only": "blurred", "none": "untouched"}
"""What happens to a crop with each detection outcome."""

QUALIFIERS = {
    "head": "head",
    "torso": "torso",
    "arms": "arms",
    "legs": "legs",
    "masked": "inside the mask",
    "cameras": "cameras new to the attacker",
    "reconstructed": "latent from the mapper",
    **{outcome: f"{fate} crops" for outcome, fate in OUTCOMES.items()},
    **{
        f"{query}_to_{gallery}": f"{asked} crops in {shown} ones"
        for query, asked in OUTCOMES.items()
        for gallery, shown in OUTCOMES.items()
    },
}
"""What a suffix of a statistic restricts it to."""

EXCEPTIONS = {"reid.permuted_latent.assigned_map": "mAP, random latents, assigned identity"}

OFFICIAL_EXTRACTORS = frozenset(
    {"inception_v3", "clip_vit_b32", "dinov2_vit_l14", "vgg16", "alex", "osnet_x1_0_market1501"}
)
"""Extractors that published numbers are made with."""

NO_NETWORK = frozenset(
    {"template", "vertices", "pixels", "exact", "dis", "latent", "mask", "keypoints", "surface", "shape"}
)
"""What stands in the place of an extractor without being a network: the body template, plain pixels, and the
optical flow, exact or by OpenCV's DIS; z, and what is known of a person's shape."""


@dataclass(frozen=True)
class MetricKey:
    """A metric key in its parts: `<protocol>[.<setting>].<statistic>.<extractor>`."""

    protocol: str
    setting: str
    statistic: str
    extractor: str

    @classmethod
    def parse(cls, text: str) -> "MetricKey":
        """The parts of a key; those that a short key leaves out are empty."""
        parts = text.split(".")
        protocol = parts.pop(0)
        extractor = parts.pop() if len(parts) > 1 else ""
        statistic = parts.pop() if parts else ""
        return cls(protocol, ".".join(parts), statistic, extractor)

    @property
    def measure(self) -> str:
        """The key without its extractor."""
        return ".".join(part for part in (self.protocol, self.setting, self.statistic) if part)

    def __str__(self) -> str:
        return ".".join(part for part in (self.measure, self.extractor) if part)

    @property
    def label(self) -> str:
        """What the measure is called, without its extractor."""
        if self.measure in EXCEPTIONS:
            return EXCEPTIONS[self.measure]
        statistic, qualifier = self._split_statistic()
        parts = [STATISTICS.get(statistic, words(statistic) or self.protocol)]
        if self.setting:
            parts.append(SETTINGS.get(f"{self.protocol}.{self.setting}", words(self.setting)))
        if qualifier:
            parts.append(QUALIFIERS[qualifier])
        return ", ".join(parts)

    @property
    def reading_order(self) -> tuple[object, ...]:
        """Sorts keys as a reader meets them: protocol, qualifier, setting, statistic, extractor."""
        statistic, qualifier = self._split_statistic()
        return (
            *protocol_order(self.protocol),
            *_rank(qualifier, ("", *QUALIFIERS)),
            *_rank(f"{self.protocol}.{self.setting}", SETTINGS),
            *_rank(statistic, STATISTICS),
            self.extractor,
        )

    def _split_statistic(self) -> tuple[str, str]:
        if self.statistic in STATISTICS:
            return self.statistic, ""
        for qualifier in QUALIFIERS:
            statistic = self.statistic.removesuffix(f"_{qualifier}")
            if statistic != self.statistic and statistic in STATISTICS:
                return statistic, qualifier
        return self.statistic, ""


def protocol_title(protocol: str) -> str:
    """The heading of a protocol's rows."""
    return PROTOCOLS.get(protocol, words(protocol))


def protocol_order(protocol: str) -> tuple[int, str]:
    """Sorts protocols as the tables do."""
    return _rank(protocol, PROTOCOLS)


def file_stem(text: str) -> str:
    """`text` as a file name that is safe on every system."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-_") or "unnamed"


def decimals(unit: str, values: Iterable[float]) -> int:
    """Digits after the point for the values of one row: one for percent, else three significant digits."""
    largest = max((abs(value) for value in values), default=0.0)
    if unit == "percent" or largest >= 100:
        return 1
    return 3 if largest == 0 else min(2 - math.floor(math.log10(largest)), 6)


def words(name: str) -> str:
    """A name from a key, readable."""
    return name.replace("_", " ").replace(".", ", ")


def _rank(name: str, known: Iterable[str]) -> tuple[int, str]:
    order = list(known)
    return (order.index(name), "") if name in order else (len(order), name)
