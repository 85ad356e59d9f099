"""What a photo or a video says beside its pixels: names, previews, places."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import ExifTags, Image

from anonbench.datasets.images import open_image, read_bytes
from anonbench.pipeline.clips import opened
from anonbench.pipeline.inputs import KEPT_EXIF

HARMLESS_EXIF = (
    "Orientation", "XResolution", "YResolution", "ResolutionUnit", "YCbCrPositioning", "ColorSpace",
    "ExifVersion", "FlashPixVersion", "ComponentsConfiguration", "ExifImageWidth", "ExifImageHeight",
    "ImageWidth", "ImageLength", "BitsPerSample", "Compression", "PhotometricInterpretation", "StripOffsets",
    "SamplesPerPixel", "RowsPerStrip", "StripByteCounts", "PlanarConfiguration", "Predictor", "ExtraSamples",
    "SampleFormat", "InterColorProfile", "ExifOffset", "GPSInfo", "ExifInteroperabilityOffset",
)  # fmt: skip
"""EXIF entries that describe the pixels, or point to directories that are looked into."""

HARMLESS_TAGS = ("major_brand", "minor_version", "compatible_brands", "encoder")
"""What every muxer writes about itself."""


@dataclass(frozen=True)
class Metadata:
    """What was found in a file. telling: what may show or name somebody; harmless: camera, time and place."""

    telling: tuple[str, ...]
    harmless: tuple[str, ...] = ()


def photo_metadata(path: Path) -> Metadata:
    """What is left in a photo; what `--keep-metadata` lets through is harmless. Raises DataError naming the file."""
    content = read_bytes(path)
    open_image(content, path)  # a broken file ends here
    image = Image.open(BytesIO(content))
    exif = image.getexif()
    names: dict[bool, list[str]] = {True: [], False: []}
    for directory in (None, ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        table = ExifTags.GPSTAGS if directory == ExifTags.IFD.GPSInfo else ExifTags.TAGS
        for tag in exif if directory is None else exif.get_ifd(directory):
            name = table.get(tag, f"EXIF {tag}")
            if name not in HARMLESS_EXIF:
                names[name in KEPT_EXIF[directory]].append(name)
    parts = {
        "thumbnail": bool(exif.get_ifd(ExifTags.IFD.IFD1)),
        "XMP": "xmp" in image.info or "XML:com.adobe.xmp" in image.info,
        "IPTC": "photoshop" in image.info,
        "comment": bool(image.info.get("comment")) or bool(getattr(image, "text", None)),
        "second picture": image.format == "MPO",
    }
    hidden = [name for name, there in parts.items() if there]
    return Metadata(tuple(hidden + names[False]), tuple(names[True]))


def video_metadata(path: Path) -> Metadata:
    """What is left in a video: every tag but the muxer's own, and sound, since a voice names somebody."""
    with opened(path) as container:
        tags = [name for name in container.metadata if name.lower() not in HARMLESS_TAGS]
        sound = ["sound"] * bool(container.streams.audio)
    return Metadata(tuple(sound + tags))
