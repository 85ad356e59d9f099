"""Pictures of what models do: people across, models down, one latent per person (thesis Figures 5.1 to 5.3)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from anonbench.anonymizers.base import Anonymizer
from anonbench.anonymizers.registry import load_anonymizer
from anonbench.cards import Preset
from anonbench.errors import UsageError
from anonbench.protocols.crops import detected
from anonbench.protocols.data import open_data
from anonbench.protocols.generation import Generation, Images, Sampling
from anonbench.protocols.registry import protocol_card
from anonbench.reporting.galleries import GalleryRow

FIGURES = {
    "pose_swap": "one person in several poses before one background (thesis Figure 5.1)",
    "background_swap": "one person in one pose before several backgrounds (thesis Figure 5.2)",
    "reid": "one person from several cameras",
    "video": "moments of one person who walks",
    "samples": "different people (thesis Figure 5.3)",
}
PROTOCOLS = {"samples": "fid"}
"""The protocol whose data a figure shows, where it has another name."""

FIXED = {"pose_swap": "background", "background_swap": "pose"}
"""The factor that stays the same in a figure."""


@dataclass(frozen=True)
class Gallery:
    """What to draw: `people` persons, at most `columns` images of each, `latents` appearances per model."""

    figure: str
    people: int = 4
    columns: int = 6
    latents: int = 1
    truncation: float = 1.0


def gallery_rows(gallery: Gallery, models: list[str], data: str, preset: str) -> list[GalleryRow]:
    """The rows of a picture: per person the originals, then each model with its latents.

    data, preset: as for a protocol. Raises UsageError for data that the figure cannot show.
    """
    generations = _generations(gallery, [load_anonymizer(name) for name in models], data, preset)
    rows = []
    for group, chosen in _groups(gallery, generations[0].crops.samples):
        rows.append(GalleryRow("original", _last(generations[0].crops.load(chosen).image.numpy()), group))
        for generation in generations:
            for latent in range(gallery.latents if generation.has_latents else 1):
                label = generation.model.card.name
                label += f", z {latent + 1}" if gallery.latents > 1 and generation.has_latents else ""
                rows.append(GalleryRow(label, _last(_paint(generation, gallery, chosen, latent)), group))
    return rows


def _generations(gallery: Gallery, models: list[Anonymizer], data: str, preset: str) -> list[Generation]:
    card = protocol_card(PROTOCOLS.get(gallery.figure, gallery.figure))
    presets: dict[str, Preset] = {str(name): value for name, value in card.presets.items()}
    count = gallery.columns if gallery.figure == "samples" else gallery.people
    dataset = open_data(data, card.split, presets[preset].model_copy(update={"count": count}))
    crops = detected(dataset)
    return [Generation(model, crops) for model in models]


def _groups(gallery: Gallery, samples: pd.DataFrame) -> Iterator[tuple[str, list[int]]]:
    """(header, positions of the samples across) for every person, or once for different people."""
    if gallery.figure == "samples":
        yield "", list(range(min(gallery.columns, len(samples))))
        return
    fixed = FIXED.get(gallery.figure)
    if fixed is not None and fixed not in samples.columns:
        raise UsageError(f"the figure {gallery.figure} needs factorial data: draw it on --data synthetic")
    shown = samples[samples[fixed] == 0] if fixed else samples[samples["person_id"] > 0]
    if shown.empty:
        raise UsageError(f"the figure {gallery.figure} needs people with known identities: draw samples")
    persons = shown["person_id"].drop_duplicates().iloc[: gallery.people]
    for number, person in enumerate(persons, start=1):
        positions = np.flatnonzero(shown["person_id"] == person)
        spread = np.linspace(0, len(positions) - 1, min(gallery.columns, len(positions))).astype(int)
        yield f"person {number}", shown.index.to_numpy()[positions[spread]].tolist()


def _paint(generation: Generation, gallery: Gallery, chosen: list[int], latent: int) -> Images:
    samples = generation.crops.samples.iloc[chosen]
    identities = samples["key"] if gallery.figure == "samples" else samples["person_id"].astype(str)
    tokens = tuple(f"gallery/{identity}" for identity in identities)
    sampling = Sampling("gallery", latent, tokens, truncation=gallery.truncation)
    return generation.anonymized_subset(chosen, sampling)


def _last(images: Images) -> Images:
    """(N, 3, H, W) -> (N, H, W, 3)."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))
