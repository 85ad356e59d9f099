"""Measure whose fault a lost mAP is: the records in results/studies/outcomes, and the picture of docs/findings.md.

    python tools/outcomes_study.py

Re-identification under the detection outcomes of thesis section 6.3, imposed on synthetic people; preset full.
"""

from pathlib import Path

from anonbench.protocols.runner import Request, resolve, run
from anonbench.records import write_record

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results" / "studies" / "outcomes"
MODELS = ("original", "baseline", "final", "gaussian_blur")
PRESET = "full"


def measure(model: str) -> Path:
    """Run or read the record of a model and write it to the results, without its per-sample values."""
    command = f"anonbench run reid --model {model} --preset {PRESET} --outcomes thesis"
    record, _ = run(resolve(Request("reid", model, preset=PRESET, command=command, outcomes="thesis")))
    path = RESULTS / f"{record.slug}.json"
    write_record(record.model_copy(update={"samples": None, "galleries": {}}), path)
    return path


if __name__ == "__main__":
    for name in MODELS:
        print(measure(name).relative_to(ROOT))
