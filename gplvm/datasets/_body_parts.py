"""What body plans are made of, and the factors that set a body in motion.

Lengths are in body units (a torso is about one unit long). The body frame has
x forward, y up and z to the viewer's side, with its origin between the hips
and the shoulders. The head frame has its origin at the end of the neck, u
forward along the snout, v up and w to the viewer's side. Angles are degrees;
pitch is measured from the horizontal, positive upwards.
"""

from dataclasses import dataclass

__all__ = ["POSE_RANGES", "BodyPlan", "Leg", "Sail", "Spike", "Stalk", "Wing"]


@dataclass(frozen=True)
class Leg:
    """A pair of legs: hip, knee, ankle, ball of the foot and toe."""

    hip: tuple  # x, y, z of the near one; its twin is at -z
    segments: tuple  # lengths of thigh, shin and foot
    radii: tuple  # at hip, knee, ankle, ball and toe
    knee: int  # +1: the knee points forward, -1: backward
    tilt: float  # how far the foot leans back from ball to ankle
    phase: float  # of the step, in turns; the twin is half a turn later
    toe: float = 0.08  # length, forward from the ball


@dataclass(frozen=True)
class Stalk:
    """A neck or a tail: a tapering chain whose pitch changes along it."""

    base: tuple  # x, y
    length: float
    pitch: tuple  # at the base and at the end
    radii: tuple  # at the base and at the end
    swing: float = 1.0  # how far the pose moves it
    n_segments: int = 6


@dataclass(frozen=True)
class Spike:
    """An antenna, ear, quill, jaw or plate: a thin chain of points."""

    frame: str  # "body", "head" or "tail" (the tail's tip)
    points: tuple  # of (forward, up, sideways, radius)
    tone: float = 1.0
    paired: bool = False  # a mirrored twin on the far side


@dataclass(frozen=True)
class Sail:
    """A crest, fan or fin: a fan of triangles about its first point."""

    frame: str
    points: tuple  # of (forward, up, sideways); the first is the root
    tone: float = 1.0
    paired: bool = False
    ribs: float = 0.0  # radius of the rays drawn from the root; 0 for none


@dataclass(frozen=True)
class Wing:
    """A pair of wings: arm, fingers and the membrane between them."""

    shoulder: tuple  # x, y, z
    arm: tuple  # of (span, chord): elbow and wrist
    fingers: tuple  # of (span, chord): finger tips, foremost first
    trailing: float  # chord at which the membrane meets the body
    bone: float  # radius of the arm at the shoulder
    scallop: float = 0.2  # how deep the edge is cut between fingers
    lag: float = 0.0  # of the stroke, in turns


@dataclass(frozen=True)
class BodyPlan:
    """One species."""

    name: str
    size: float  # share of the frame's width that the animal fills
    tone: float  # of the skin: 0 black, 1 white
    torso: tuple  # of (x, y, radius), from hips to shoulders
    neck: Stalk
    head_pitch: float
    head: tuple  # of (u, v, radius), from skull to snout
    tail: Stalk
    eye: tuple  # u, v, w, radius
    legs: tuple = ()
    wings: tuple = ()
    spikes: tuple = ()
    sails: tuple = ()
    stripes: tuple = (0.0, 0.0)  # depth, number along the torso
    ground: float | None = None  # y of the ground; None in flight
    stride: float = 0.2  # half a step, in body units
    yaw: float = 0.0  # degrees turned towards the viewer, besides the pose


# The factors of a picture, each drawn uniformly and independently from its range,
# but for the heading, which is -1 or 1. make_creatures says what each of them does.
POSE_RANGES = {
    "heading": (-1.0, 1.0),
    "yaw": (-20.0, 45.0),
    "elevation": (0.0, 24.0),
    "gait": (0.0, 1.0),
    "stride": (-1.0, 1.0),
    "crouch": (-1.0, 1.0),
    "neck": (-1.0, 1.0),
    "turn": (-1.0, 1.0),
    "tail": (-1.0, 1.0),
    "sway": (-1.0, 1.0),
    "bank": (-1.0, 1.0),
    "climb": (-1.0, 1.0),
    "scale": (0.68, 1.0),
    "x": (-0.1, 0.1),
    "y": (-0.075, 0.075),
    "tone": (0.75, 1.25),
    "light": (-60.0, 60.0),
    "exposure": (0.85, 1.0),
    "haze": (0.3, 1.0),
    "horizon": (0.5, 0.72),
    "hill_height": (0.05, 0.2),
    "hill_phase": (0.0, 1.0),
    "rock_x": (0.0, 1.0),
    "rock_y": (0.08, 0.25),
    "rock_size": (0.05, 0.14),
    "bush_1_x": (0.0, 1.0),
    "bush_1_size": (0.05, 0.16),
    "bush_2_x": (0.0, 1.0),
    "bush_2_size": (0.05, 0.14),
    "bush_3_x": (0.0, 1.0),
    "bush_3_size": (0.04, 0.12),
}
