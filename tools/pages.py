"""Pages of the docs with parts that are made from records: between `<!-- NAME:begin -->` and `<!-- NAME:end -->`."""

from collections.abc import Mapping


def with_blocks(text: str, blocks: Mapping[str, str]) -> str:
    """The page with the content of every named block replaced. Raises ValueError for a block that it lacks."""
    for name, block in blocks.items():
        begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"the page has no block '{name}'")
        text = f"{before}{begin}{block.rstrip()}\n{end}{after}"
    return text
