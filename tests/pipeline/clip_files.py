"""Clips on disk, and a detector that knows who is in which frame."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from anonbench.detection.people import PersonDetections

SIZE = (48, 64)


def pictures(count: int, size: tuple[int, int] = SIZE) -> list[Tensor]:
    """Smooth images, so that encoding changes little: a bright corner top left, and a level per frame."""
    h, w = size
    shade = torch.linspace(40, 120, h)[:, None] + torch.linspace(0, 60, w)[None]
    images = [(shade + 2 * i).clamp(0, 255).expand(3, h, w).to(torch.uint8).clone() for i in range(count)]
    for image in images:
        image[:, : h // 3, : w // 3] = torch.tensor([230, 60, 40], dtype=torch.uint8)[:, None, None]
    return images


def write_video(
    path: Path,
    images: Sequence[Tensor],
    codec: str = "libx264",
    rate: int = 10,
    milliseconds: Sequence[int] | None = None,
    turned: int = 0,
    sound: bool = False,
) -> Path:
    """milliseconds: when each frame is shown. turned: degrees of the display matrix. sound: a tone beside it."""
    options = {"movflags": "+faststart"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(path, "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = images[0].shape[1], images[0].shape[2], "yuv420p"
        if turned:
            stream.set_display_rotation(turned)
        if milliseconds:
            stream.codec_context.time_base = Fraction(1, 1000)
        tone = container.add_stream("aac", rate=8000) if sound else None
        container.metadata["title"] = "taken by Alice"
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image.permute(1, 2, 0).contiguous().numpy(), format="rgb24")
            if milliseconds:
                frame.pts, frame.time_base = milliseconds[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if tone:
            container.mux([*tone.encode(_tone(len(images) / rate)), *tone.encode()])
    return path


def write_frames(folder: Path, images: Sequence[Tensor], suffix: str = ".png") -> Path:
    """Files 0.png, 1.png and so on, whose names do not sort as text."""
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(folder / f"{i}{suffix}")
    return folder


class Scripted:
    """Finds in each frame who is written down for it, by the frame's number; counts how often it was asked."""

    name = "scripted"
    digest = "scripted"

    def __init__(self, frames: Sequence[PersonDetections]) -> None:
        self.frames = frames
        self.asked = 0

    def require(self) -> None:
        """Nothing is missing."""

    def detect(self, image: Tensor, name: str | None = None) -> PersonDetections:
        assert name is not None
        self.asked += 1
        return self.frames[int(Path(name).stem)]


def _tone(seconds: float) -> av.AudioFrame:
    samples = np.sin(np.arange(int(8000 * seconds)) / 5).astype(np.float32)[None]
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    frame.sample_rate = 8000
    return frame
