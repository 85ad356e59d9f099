"""Package the model of a finished run: its card and weights to models/, its log to results/training.

anonbench train final --out runs/final
python tools/publish_model.py runs/final/final.yaml
"""

import shutil
import sys
from pathlib import Path

from anonbench.cards import ModelCard, read_card

ROOT = Path(__file__).parent.parent


def publish(card_path: Path) -> Path:
    """Copy a run's card and weights over the packaged card of the same name; returns the packaged card's path."""
    card = read_card(card_path, ModelCard)
    target = next((ROOT / "models").rglob(f"{card.name}.yaml"), ROOT / "models" / f"{card.name}.yaml")
    assert card.checkpoint is not None  # every card in a run's folder has one
    shutil.copyfile(card_path.with_name(card.checkpoint.file), target.with_name(card.checkpoint.file))
    shutil.copyfile(card_path, target)
    shutil.copyfile(card_path.with_name("log.jsonl"), ROOT / "results" / "training" / f"{card.name}.jsonl")
    return target


if __name__ == "__main__":
    print(publish(Path(sys.argv[1])))
