"""Which step of z a path length can be measured with, when outputs are bytes (docs/protocols.md).

    python tools/latent_step.py

Writes results/path_length/latent_step.json: for each model and step, over the pixels of the body, the mean
change in grey levels, the share of bytes that stay, and the mean of d / step^2. Too small a step measures
rounding: d / step^2 explodes. Too large a one leaves the neighbourhood of z: it falls.
"""

from pathlib import Path

import numpy as np

from anonbench.protocols.crops import detected
from anonbench.protocols.generation import Generation, Sampling
from anonbench.protocols.pair_distances import perceptual_measure
from anonbench.protocols.perturbations import changed
from anonbench.protocols.runner import Plan, Request, resolve
from anonbench.records import write_json

OUT = Path(__file__).parent.parent / "results" / "path_length" / "latent_step.json"
MODELS = ("baseline", "final")
STEPS = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 2e-1, 4e-1)


def main() -> None:
    """Measure and write."""
    plans = [resolve(Request("path_length", model, preset="demo")) for model in MODELS]
    write_json(
        {
            "command": "python tools/latent_step.py",
            "data": plans[0].dataset.name,
            "extractor": plans[0].perceptual[0].key,
            "models": {plan.model.card.name: _steps_of(plan) for plan in plans},
        },
        OUT,
    )


def _steps_of(plan: Plan) -> list[dict[str, float]]:
    source = detected(plan.dataset)
    crops = changed(source, np.flatnonzero(source.samples["step"] == ""), "still")
    generation, every = Generation(plan.model, crops), np.arange(len(crops))
    tokens = tuple(f"person/{person}" for person in crops.samples["person_id"])
    others = tuple(f"other/{token}" for token in tokens)
    body = crops.load(every.tolist()).surface_mask.numpy()[:, 0]
    distance = perceptual_measure(crops, plan.perceptual[0]).distance
    still = generation.anonymized(Sampling("one z per identity", 0, tokens))
    rows = []
    for step in STEPS:
        near = generation.anonymized(Sampling("a step of z", 0, tokens, towards=others, step=step))
        difference = np.abs(near.images.astype(int) - still.images).transpose(0, 2, 3, 1)[body]
        length = distance(still, every, near, every).mean() / step**2
        rows.append(
            {
                "step": step,
                "crops": len(crops),
                "grey_levels": round(float(difference.mean()), 4),
                "unchanged_percent": round(100 * float((difference == 0).mean()), 2),
                "length": round(float(length), 4),
            }
        )
    return rows


if __name__ == "__main__":
    main()
