"""Make the committed results from measured ones: records to results/, the table and picture to the README.

    anonbench compare baseline final original gaussian_blur --preset demo --out report
    python tools/publish_results.py report
    anonbench run reid fid lpips --model runs/kl_01/kl_01.yaml --preset full --out runs/kl_01/records
    python tools/publish_results.py runs/kl_01 studies/lambda_kl

Galleries stay where they are, and so do per-sample values, except beside packaged records of the small presets:
paired tests (the README's table, `anonbench check results/packaged`) need them. Beside the records of a study go
the card and the training log of its model, whose weights are not kept.
"""

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from pages import with_blocks

from anonbench.records import Record, read_record, write_record
from anonbench.reporting.significance import compare_with_tests
from anonbench.reporting.tables import headline_markdown

ROOT = Path(__file__).parent.parent
PACKAGED = ROOT / "results" / "packaged"
README_PRESET = "demo"
SAMPLED_PRESETS = ("smoke", "demo")
"""Whose per-sample values are kept: a few MB, which those of `full` would multiply."""
MODEL_ORDER = ("baseline", "final", "original", "gaussian_blur")


def packaged_records(preset: str) -> list[Record]:
    """The committed records of one preset, models in the order of the README's columns."""
    records = [read_record(path) for path in sorted(PACKAGED.glob(f"*.{preset}.json"))]
    return sorted(records, key=lambda record: MODEL_ORDER.index(record.model.name))


def readme_with_results(text: str, records: Iterable[Record]) -> str:
    """The README with the headline table of these records between its markers."""
    (comparison,) = compare_with_tests([(record, PACKAGED) for record in records])
    return with_blocks(text, {"results": headline_markdown(comparison)})


def publish(folder: Path, target: str = "packaged") -> None:
    """Copy the records in FOLDER/records to results/TARGET; packaged ones of the README's preset into it too."""
    records = [read_record(path) for path in sorted((folder / "records").glob("*.json"))]
    results = ROOT / "results" / target
    results.mkdir(parents=True, exist_ok=True)
    for record in records:
        sampled = target == "packaged" and record.protocol.preset in SAMPLED_PRESETS
        samples = record.samples if sampled else None
        alone = record.model_copy(update={"samples": samples, "galleries": {}})
        if samples:
            shutil.copyfile(folder / "records" / samples, results / samples)
        write_record(alone, results / f"{record.slug}.json")
    if target != "packaged":
        for name in {record.model.name for record in records}:
            shutil.copyfile(folder / f"{name}.yaml", results / f"{name}.yaml")
            shutil.copyfile(folder / "log.jsonl", results / f"{name}.jsonl")
    elif any(record.protocol.preset == README_PRESET for record in records):
        _update_readme(folder)


def _update_readme(report: Path) -> None:
    readme = ROOT / "README.md"
    readme.write_text(readme_with_results(readme.read_text(), packaged_records(README_PRESET)))
    pictures = ROOT / "docs" / "images"
    pictures.mkdir(parents=True, exist_ok=True)
    for picture in (report / "galleries").glob("*background_swap*.png"):
        shutil.copyfile(picture, pictures / "background_swap.png")


if __name__ == "__main__":
    publish(Path(sys.argv[1]), *sys.argv[2:])
