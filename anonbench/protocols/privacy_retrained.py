"""`--attacker osnet`: linkage by a re-ID network that was itself trained on anonymized images."""

import hashlib
import json
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from anonbench.cache import cache_dir
from anonbench.errors import UsageError
from anonbench.features.extractors import load_extractor
from anonbench.features.store import feature_store
from anonbench.progress import track
from anonbench.protocols.generation import ImageSet
from anonbench.protocols.privacy_attacks import Pair, untrained
from anonbench.protocols.privacy_linkage import DIRECTIONS, fresh_images
from anonbench.protocols.privacy_people import People
from anonbench.protocols.privacy_results import Reporter, Results, Scores
from anonbench.protocols.privacy_views import AS_IT_IS, Matrix, Views
from anonbench.protocols.scoring import Context
from anonbench.training.attacker import NAME, START, AttackerTraining, KnownPeople, train_attacker

ATTACKERS = {"osnet": NAME}
"""Value of `--attacker` -> what its metric keys are called."""


def attacker_digest(attacker: str) -> dict[str, str]:
    """Name and digest of what an attacker adds to a record's extractors. Raises UsageError for an unknown one."""
    if attacker not in ATTACKERS:
        raise UsageError(f"no attacker '{attacker}'; there are: {', '.join(ATTACKERS)}")
    return {ATTACKERS[attacker]: AttackerTraining().digest}


def measure_retrained(context: Context, people: People, results: Results) -> None:
    """Every direction by the retrained network, and what it gains over the network that it started from."""
    generation = context.generation
    anonymized = [fresh_images(context, seed) for seed in context.seeds]
    network = Retrained(people, anonymized, generation.original())
    seen = {
        images.key: {AS_IT_IS: network.features(images)} for images in (*anonymized, generation.original())
    }
    start = _start_views(context, people)
    reporter = Reporter(results, people.labels)
    for setting, sides in DIRECTIONS.items():
        images = [[generation.original() if side == "original" else a for side in sides] for a in anonymized]
        found = Scores.of([untrained(Pair(*(seen[i.key] for i in pair)), people) for pair in images])
        reporter.retrieval(setting, "trained_", NAME, found)
        before = [untrained(Pair(*(start.of(i) for i in pair)), people) for pair in images]
        reporter.gains(setting, NAME, found, Scores.of(before))


class Retrained:
    """The network trained on the training people's images: anonymized with every seed, and untouched."""

    def __init__(self, people: People, anonymized: list[ImageSet], original: ImageSet) -> None:
        rows = people.train
        settings = AttackerTraining()
        content = [settings.digest, *(list(i.key) for i in (*anonymized, original)), rows.tolist()]
        self._digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        self._settings = settings
        self._known = KnownPeople(
            anonymized=np.concatenate([images.images[rows] for images in anonymized]),
            anonymized_person=np.tile(people.labels.person[rows], len(anonymized)),
            original=original.images[rows],
            original_person=people.labels.person[rows],
        )
        self._network: Callable[[Tensor], Tensor] | None = None

    def features(self, images: ImageSet) -> Matrix:
        """float64 (N, 512) of unit length, computed once."""

        def compute() -> Matrix:
            bar = track(images.batches(), f"{NAME}: features", len(images.batches()))
            return torch.cat([self._trained()(batch) for batch in bar]).double().numpy()

        return np.asarray(feature_store().get_or_compute((NAME, self._digest, *images.key), compute))

    def _trained(self) -> Callable[[Tensor], Tensor]:
        if self._network is None:
            checkpoint = cache_dir() / "attackers" / f"{self._digest}.safetensors"
            self._network = train_attacker(self._known, self._settings, checkpoint)
        return self._network


def _start_views(context: Context, people: People) -> Views:
    return Views(context.crops, load_extractor(START), people.train)
