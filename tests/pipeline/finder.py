"""A detector that knows the answer."""

from torch import Tensor

from anonbench.detection.people import PersonDetections
from tests.pipeline.people import block, detections

SIZE = (60, 80)
TWO = detections(SIZE, block(SIZE, 5, 5, 50, 25), block(SIZE, 8, 40, 56, 66))


class Finder:
    """Finds the same people in every photo, except in those called "empty", and remembers their names."""

    name = "finder"
    digest = "finder"

    def __init__(self, found: PersonDetections = TWO) -> None:
        self.found = found
        self.names: list[str | None] = []

    def require(self) -> None:
        """Nothing is missing."""

    def detect(self, image: Tensor, name: str | None = None) -> PersonDetections:
        self.names.append(name)
        return self.found.with_people([]) if name and "empty" in name else self.found
