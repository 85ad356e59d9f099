"""What a detection file holds (docs/detect.md): JSON, unknown keys rejected."""

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from anonbench.cards import Strict
from anonbench.crops import PACKAGED_TEMPLATE

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Side = Annotated[int, Field(ge=1)]


class StoredImage(Strict):
    """Of which image: `name` is for the reader; `sha256` of the pixels (`image_digest`)."""

    size: tuple[Side, Side]
    name: str = ""
    sha256: Sha256 | None = None


class StoredSurfaces(Strict):
    """The .npz beside the file: int arrays, named by the person's position, over the person's window."""

    file: str = Field(pattern=r"^[^/\\]+\.npz$")
    sha256: Sha256 | None = None


class StoredRLE(Strict):
    """COCO's compressed run lengths over the whole image."""

    size: tuple[Side, Side]
    counts: str


class StoredPerson(Strict):
    """One person. Of `mask`, `polygons` and `box` one is needed; the others follow from it."""

    box: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat] | None = None
    score: Share = 1.0
    outcome: Literal["none", "mask_only", "surface"] | None = None
    mask: StoredRLE | None = None
    polygons: tuple[tuple[FiniteFloat, ...], ...] | None = None
    window: tuple[int, int, int, int] | None = None
    keypoints: (
        Annotated[tuple[tuple[FiniteFloat, FiniteFloat, Share], ...], Field(min_length=17, max_length=17)]
        | None
    ) = None


class StoredDetections(Strict):
    """The file. `detector` and its digest say where it comes from; hand-written files need neither."""

    version: Literal[1]
    image: StoredImage
    people: tuple[StoredPerson, ...]
    template: str = PACKAGED_TEMPLATE
    detector: str | None = None
    detector_digest: str | None = None
    surfaces: StoredSurfaces | None = None
