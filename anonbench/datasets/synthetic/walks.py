"""Clips of people who walk: one camera that stands still, its crop following the person."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from anonbench.datasets.synthetic import flow, scene
from anonbench.datasets.synthetic.body import Body, Floats, Posed
from anonbench.datasets.synthetic.camera import follow, response
from anonbench.datasets.synthetic.outfit import Mesh, dress
from anonbench.datasets.synthetic.poses import STRIDE, walking_pose
from anonbench.datasets.synthetic.render import COARSE_ROWS, Sample, Shot, Tracer, photograph
from anonbench.datasets.synthetic.splits import FRAME_RATE, WALK_FRAMES, Plan
from anonbench.datasets.synthetic.streams import Stream, stream
from anonbench.datasets.synthetic.wardrobe import identity

CADENCE = (0.85, 1.05)
"""Gait cycles, of two steps each, per second."""

LEG = 0.85
"""Metres from the hip to the ground. With the stride it says how far a step goes, so that feet hardly slide."""

STRAIGHT_SHARE = 0.5
TURN = (0.3, 1.0)
"""Radians per second of those who walk a curve, to either side."""


@dataclass(frozen=True)
class Walk:
    """How somebody walks. stride: radians that a leg swings to each side; cadence: gait cycles per second;
    phase: of the gait at the start; heading and turn: radians from -y at the start, and per second."""

    stride: float
    cadence: float
    phase: float
    heading: float
    turn: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Walk":
        """A random walk."""
        stride, cadence = rng.uniform(*STRIDE), rng.uniform(*CADENCE)
        phase, heading = rng.uniform(0, 2 * np.pi), rng.uniform(-np.pi, np.pi)
        straight, side = rng.random() < STRAIGHT_SHARE, rng.choice([-1, 1])
        turn = 0.0 if straight else side * rng.uniform(*TURN)
        return cls(stride, cadence, phase, heading, turn)

    @property
    def speed(self) -> float:
        """Metres per second: two steps in each cycle."""
        return 4 * LEG * float(np.sin(self.stride)) * self.cadence

    def gait(self, seconds: float) -> float:
        """Phase of the gait, for `walking_pose`."""
        return self.phase - 2 * np.pi * self.cadence * seconds

    def direction(self, seconds: float) -> float:
        """Heading in radians."""
        return self.heading + self.turn * seconds

    def position(self, seconds: float) -> tuple[float, float]:
        """x and y in metres: along a line or an arc of a circle, from the origin."""
        # The mean direction over the time since the start, and the chord of the arc.
        half = self.turn * seconds / 2
        way = self.speed * seconds * float(np.sinc(half / np.pi))
        angle = self.heading + half
        return way * float(np.sin(angle)), -way * float(np.cos(angle))


def render_clips(body: Body, seed: int, plans: Sequence[Plan], size: tuple[int, int]) -> list[Sample]:
    """The frames of these plans at `size` (H, W). Bytes do not depend on how plans are batched."""
    samples = []
    for _, frames in groupby(plans, key=lambda plan: plan.person):
        wanted = list(frames)
        shots = _shots(body, seed, wanted[0], size)
        samples += [_sample(shots, plan) for plan in wanted]
    return samples


def _shots(body: Body, seed: int, plan: Plan, size: tuple[int, int]) -> list[Shot]:
    """Every moment of the clip that `plan` belongs to."""
    who = identity(seed, plan.person, plan.dress_theme, plan.correlation)
    walk = Walk.draw(stream(seed, Stream.WALK, *plan.pose))
    times = [frame / FRAME_RATE for frame in range(WALK_FRAMES)]
    poses = [
        walking_pose(stream(seed, Stream.POSE, *plan.pose), walk.gait(seconds), walk.stride)
        for seconds in times
    ]
    posed = body.pose(poses, [who.phenotype] * len(poses))
    coarse = size[0] <= COARSE_ROWS
    placed = [
        _placed(walk, seconds, dress(body, who, moment, sitting=False, coarse=coarse), moment)
        for seconds, moment in zip(times, posed, strict=True)
    ]
    people = [mesh.vertices[mesh.person] for mesh, _ in placed]
    half_height = max(float(points[:, 2].max()) for points in people) / 2
    way = np.array([(*walk.position(seconds), half_height) for seconds in times])
    cameras = follow(stream(seed, Stream.VIEW, *plan.view), people, way, size)
    light = scene.random_light(stream(seed, Stream.LIGHT, *plan.light), plan.light_theme)
    return [
        Shot(body, seed, plan, who, moment, mesh, camera, Tracer(mesh, camera), light, size)
        for (mesh, moment), camera in zip(placed, cameras, strict=True)
    ]


def _placed(walk: Walk, seconds: float, mesh: Mesh, posed: Posed) -> tuple[Mesh, Posed]:
    """The person turned into the direction of the walk, put on its way and on the ground (z = 0)."""
    c, s = np.cos(walk.direction(seconds)), np.sin(walk.direction(seconds))
    x, y = walk.position(seconds)
    place = np.array([x, y, -float(mesh.vertices[:, 2].min())])

    def turned(vectors: Floats) -> Floats:
        # Written out: a matrix product may round differently on another machine.
        across, along = vectors[..., 0].astype(np.float64), vectors[..., 1].astype(np.float64)
        return np.asarray(np.stack([c * across - s * along, s * across + c * along, vectors[..., 2]], -1))

    def moved(points: Floats) -> Floats:
        return np.asarray(turned(points) + place)

    return (
        replace(
            mesh,
            vertices=moved(mesh.vertices).astype(np.float32),
            normals=turned(mesh.normals).astype(np.float32),
        ),
        replace(posed, vertices=moved(posed.vertices).astype(np.float32), joints=moved(posed.joints)),
    )


def _sample(shots: Sequence[Shot], plan: Plan) -> Sample:
    """The photographed frame of `plan`, with its motion since the frame before."""
    assert plan.moment is not None
    clip, frame = plan.moment
    shot = shots[frame]
    develop = response(shot.seed, plan.camera, plan.shot, shot.size, frame=(*plan.shot, clip, frame))
    # Vignetting belongs to the whole picture, in which nobody knows where the crop lies.
    sample = photograph(shot, replace(develop, vignetting=0.0))
    motion = flow.motion(shot, shots[frame - 1]) if frame else flow.still(shot.size)
    return replace(sample, motion=motion)
