"""The table of docs/benchmarks.md, from the record of the benchmarks.

pytest benchmarks/test_peers.py --record
python tools/benchmarks_page.py
"""

import json
from pathlib import Path

from pages import with_blocks

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
RECORD = ROOT / "results" / "benchmarks" / "metric_speed.json"


def table() -> str:
    """The machine, and one row for each benchmark; empty as long as nothing is recorded."""
    if not RECORD.exists():
        return ""
    record = json.loads(RECORD.read_text())
    packages = record["environment"]["packages"]
    versions = ", ".join(
        f"{name} {packages[name]}" for name in ("lpips", "scipy", "torch-fidelity", "torchreid")
    )
    head = (
        f"{record['hardware']}, {record['threads']} thread(s), torch {packages['torch']}, {versions}:\n\n"
        "| what | anonbench | peer | | times as fast |\n| --- | ---: | --- | ---: | ---: |\n"
    )
    return head + "".join(map(_row, record["results"].values()))


def page_with_results(text: str) -> str:
    """The page with its table made anew."""
    return with_blocks(text, {"peers": table()})


def _row(result: dict[str, str | float]) -> str:
    ours, peer = float(result["seconds"]), float(result["peer_seconds"])
    return f"| {result['what']} | {ours:.2g} s | {result['peer']} | {peer:.2g} s | {peer / ours:.1f} |\n"


if __name__ == "__main__":
    PAGE.write_text(page_with_results(PAGE.read_text()))
