"""Who can still be found, and what can still be told about them (docs/privacy.md).

original_query, anonymized_query, anonymized
             linkage by a re-ID network as it comes (map), and by the strongest attacker that was trained on anonymized
             images of other people (trained_map); every image has a latent of its own
mapper       z copied from the person by the appearance mapper: not anonymous, if it scores
shape        by mask, keypoints and surface alone: what every generator keeps
attributes   what classifiers trained on anonymized images tell about the person
untouched    person pixels that were left as they were
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anonbench.protocols.privacy_attacks import Pair, attack
from anonbench.protocols.privacy_attributes import measure_attributes
from anonbench.protocols.privacy_linkage import fresh_images, measure_copied_latents, measure_linkage
from anonbench.protocols.privacy_people import People, split_people
from anonbench.protocols.privacy_results import Reporter, Results, Scores
from anonbench.protocols.privacy_retrained import measure_retrained
from anonbench.protocols.privacy_shape import ALL, shape_views
from anonbench.protocols.privacy_untouched import measure_untouched
from anonbench.protocols.privacy_views import AS_IT_IS, Views
from anonbench.protocols.scoring import Context, Measurement

GALLERY_PERSONS = 2
GALLERY_VIEWS = 4


def measure(context: Context) -> Measurement:
    """Every attack that the data and the model allow, with every re-ID extractor."""
    people = split_people(context.crops.samples)
    results = Results(context.preset.resamples)
    for extractor in context.of_kind("reid"):
        views = Views(context.crops, extractor, people.train)
        measure_linkage(context, people, results, views)
        measure_attributes(context, people, results, views)
    measure_copied_latents(context, people, results)
    if context.attacker:
        measure_retrained(context, people, results)
    _measure_shape(context, people, results)
    measure_untouched(context, people, results)
    samples = pd.concat(results.samples, ignore_index=True)
    return Measurement(results.metrics, samples, _strips(context, people), people.notes)


def _measure_shape(context: Context, people: People, results: Results) -> None:
    """Each kind of shape by itself, and whichever of them, or all together, the attacker learns most from."""
    reporter = Reporter(results, people.labels)
    seen = shape_views(context.crops)
    choices = {name: {name: features} for name, features in seen.items()}
    choices[ALL] = {AS_IT_IS: seen[ALL], **seen}
    for name, views in choices.items():
        reporter.retrieval("shape", "", name, Scores.of(attack([Pair(views, views)], people)))


def _strips(context: Context, people: People) -> dict[str, NDArray[np.uint8]]:
    """Some views of the first tested people: originals, and anonymized with a latent each."""
    labels = people.labels
    persons = np.unique(labels.person[labels.query])[:GALLERY_PERSONS]
    shown = [people.tested[labels.person[people.tested] == p][:GALLERY_VIEWS] for p in persons]
    chosen = np.concatenate(shown).tolist()
    return {
        "privacy.original": context.crops.load(chosen).image.numpy(),
        "privacy": np.asarray(fresh_images(context, 0).images[chosen]),
    }
