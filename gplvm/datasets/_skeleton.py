"""From a body plan and a pose to shapes in the picture: the animal's anatomy.

``pose`` is a dict of arrays (n,), one entry per factor; every function works on
all n animals of one species at once. Shapes come out in painting order, far
side first, in frame units: x to the right, y down, the frame is [0, 1] x [0, 1].
"""

from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

import numpy as np

from gplvm.datasets._body_parts import POSE_RANGES

__all__ = ["Chain", "Layer", "Membrane", "animal_layers", "light_direction"]

_FAR = 0.68  # light that reaches limbs on the far side


@dataclass
class Chain:
    """Tapered capsules from point to point."""

    points: np.ndarray  # (n, j, 3), later (n, j, 2)
    radii: np.ndarray  # (j,), later (n, j)
    tone: float
    stripes: tuple = (0.0, 0.0)  # depth, number along the chain
    is_leg: bool = False


@dataclass
class Membrane:
    """Triangles of thin skin."""

    corners: np.ndarray  # (n, t, 3, 3), later (n, t, 3, 2)
    tone: float
    light: np.ndarray | None = None  # (n, t): how squarely each meets the light


@dataclass
class Layer:
    """Shapes that are painted together; its chains melt into one another."""

    chains: list = field(default_factory=list)
    trunk: bool = False  # whether the near limbs melt into this layer
    membranes: list = field(default_factory=list)


def _stack(*coordinates):
    """Broadcast coordinates, each (n, ...) or a number, into (n, ..., 3)."""
    return np.stack(np.broadcast_arrays(*coordinates), axis=-1)


def _frame(origin, pitch, turn):
    """A moving frame: its origin and its axes u, v, w, each (n, 3)."""
    cp, sp, ct, st = np.cos(pitch), np.sin(pitch), np.cos(turn), np.sin(turn)
    axes = (
        _stack(cp * ct, sp, cp * st),
        _stack(-sp * ct, cp, -sp * st),
        _stack(-st, 0.0 * st, ct),
    )
    return origin, np.stack(axes, axis=1)


def _place(frame, points):
    """Points (j, 3) of a moving frame, in the body frame: (n, j, 3)."""
    origin, axes = frame
    return origin[:, None, :] + np.einsum("jk,nkc->njc", points, axes)


def _stalk(stalk, raise_, turn):
    """Joints (n, j, 3) of a neck or tail, and the frame at its end."""
    s = (np.arange(stalk.n_segments) + 0.5) / stalk.n_segments
    pitch0, pitch1 = np.radians(stalk.pitch)
    pitch = pitch0 + (pitch1 - pitch0) * s + raise_[:, None] * s
    heading = turn[:, None] * s
    backward = -1.0 if stalk.base[0] < 0 else 1.0
    step = stalk.length / stalk.n_segments
    steps = step * _stack(
        backward * np.cos(pitch) * np.cos(heading),
        np.sin(pitch),
        np.cos(pitch) * np.sin(heading),
    )
    base = np.broadcast_to((*stalk.base, 0.0), (len(turn), 1, 3))
    joints = np.concatenate([base, base + np.cumsum(steps, axis=1)], axis=1)
    end_pitch = pitch[:, -1]
    return joints, end_pitch, heading[:, -1]


def _leg(leg, plan, pose, side):
    """One leg (n, 5, 3): its foot follows the gait and keeps to the ground.

    The foot is put down first; the knee then follows from the two-bone
    triangle of hip and ankle, so a foot on the ground stays on the ground
    however the body moves above it.
    """
    thigh, shin, foot = leg.segments
    step = 2 * np.pi * (pose["gait"] + leg.phase + (0.5 if side < 0 else 0.0))
    reach = plan.stride * (0.75 + 0.35 * pose["stride"])
    lift = np.maximum(0.0, np.cos(step))
    hip_x, hip_y, hip_z = leg.hip
    hip_y = hip_y + 0.05 * pose["crouch"]
    x = reach * np.sin(step)
    y = plan.ground - hip_y + leg.radii[3] + 0.55 * reach * lift
    tilt = np.radians(leg.tilt) + 0.3 * np.sin(step) - 0.7 * lift
    lean_x, lean_y = foot * np.sin(tilt), foot * np.cos(tilt)
    # From the hip to the ankle, shortened where the leg cannot reach.
    ankle_x, ankle_y = x - lean_x, y + lean_y
    distance = np.hypot(ankle_x, ankle_y)
    reachable = np.clip(distance, 1.05 * abs(thigh - shin), 0.985 * (thigh + shin))
    ux, uy = ankle_x / distance, ankle_y / distance
    along = (thigh**2 - shin**2 + reachable**2) / (2 * reachable)
    across = leg.knee * np.sqrt(np.maximum(thigh**2 - along**2, 0.0))
    knee_x, knee_y = along * ux - across * uy, along * uy + across * ux
    ankle_x, ankle_y = reachable * ux, reachable * uy
    ball_x, ball_y = ankle_x + lean_x, ankle_y - lean_y
    toe_x, toe_y = ball_x + leg.toe, ball_y - 0.3 * leg.toe * lift
    # A slight splay: the foot stands a little wider than the hip.
    xs = hip_x + _columns(0.0 * x, knee_x, ankle_x, ball_x, toe_x)
    ys = hip_y[:, None] + _columns(0.0 * x, knee_y, ankle_y, ball_y, toe_y)
    zs = side * hip_z * np.array([1.0, 1.25, 1.2, 1.25, 1.25])
    return _stack(xs, ys, zs)


def _rounded(points, radii, share=0.25):
    """Cut the corners of a chain (Chaikin's rule): joints become rounder."""
    weights = np.array([[1.0 - share, share], [share, 1.0 - share]])

    def cut(values, axis):
        values = np.moveaxis(values, axis, 0)
        pairs = np.stack([values[:-1], values[1:]])
        inner = np.einsum("ab,bj...->ja...", weights, pairs)
        inner = inner.reshape(-1, *values.shape[1:])[1:-1]
        whole = np.concatenate([values[:1], inner, values[-1:]])
        return np.moveaxis(whole, 0, axis)

    return cut(points, 1), cut(radii, 0)


def _columns(*arrays):
    """Arrays (n,) as the columns of one (n, k)."""
    return np.stack(arrays, axis=1)


def _wing(wing, pose, side):
    """The bones (points of arm and fingers) and triangles of one wing."""
    beat = 2 * np.pi * (pose["gait"] - wing.lag)
    strength = np.radians(15 + 5 * pose["stride"])
    inner = np.radians(4) + strength * np.sin(beat)
    outer = np.radians(-2) + 1.25 * strength * np.sin(beat - 1.1)
    wrist_span = wing.arm[1][0]
    sx, sy, sz = wing.shoulder

    def place(span, chord):
        """A point of the wing's plane; the hand lags the arm in the stroke."""
        arm, hand = min(span, wrist_span), max(span - wrist_span, 0.0)
        up = arm * np.sin(inner) + hand * np.sin(outer) - 0.06 * abs(chord)
        out = arm * np.cos(inner) + hand * np.cos(outer)
        return _stack(sx + chord, sy + up, side * (sz + out))

    root, tips = place(0.0, 0.0), [place(*tip) for tip in wing.fingers]
    elbow, wrist = (place(*joint) for joint in wing.arm)
    hem = place(0.0, wing.trailing)
    triangles = [(root, elbow, hem), (elbow, wrist, hem)]
    edge = [*wing.fingers, (0.0, wing.trailing)]
    points = [*tips, hem]
    for k, (first, second) in enumerate(pairwise(edge)):
        # The free edge is cut in towards the wrist between two fingers.
        middle = [0.5 * (a + b) for a, b in zip(first, second, strict=True)]
        cut = [
            m + wing.scallop * (w - m) for m, w in zip(middle, wing.arm[1], strict=True)
        ]
        notch = place(*cut)
        triangles.append((wrist, points[k], notch))
        triangles.append((wrist, notch, points[k + 1]))
    bones = [(_columns(root, elbow, wrist), np.array([1.0, 0.75, 0.6]) * wing.bone)]
    for tip in tips:
        bones.append((_columns(wrist, tip), np.array([0.45, 0.14]) * wing.bone))
    corners = np.stack([np.stack(t, axis=1) for t in triangles], axis=1)
    return bones, corners


def _wing_layer(wing, plan, pose, side):
    """One wing, bones over membrane."""
    light = 1.0 if side > 0 else _FAR + 0.12
    bones, corners = _wing(wing, pose, side)
    chains = [Chain(p, r, 0.8 * plan.tone * light) for p, r in bones]
    skin = Membrane(corners, 1.2 * plan.tone * light)
    return [Layer(membranes=[skin]), Layer(chains=chains)]


def _extras(items, frames, side):
    """The spikes and sails on one side (0: those in the middle)."""
    for item in items:
        if (side == 0) == item.paired:
            continue
        points = np.array(item.points, dtype=float)
        points[:, 2] *= side if item.paired else 1.0
        yield item, points, _place(frames[item.frame], points[:, :3])


def _extra_layers(plan, frames, side):
    """Layers for the spikes and sails on one side."""
    light = _FAR if side < 0 else 1.0
    layers = []
    for sail, _, points in _extras(plan.sails, frames, side):
        tone = plan.tone * sail.tone * light
        n, j = points.shape[:2]
        root = np.broadcast_to(points[:, :1], (n, j - 2, 3))
        corners = np.stack([root, points[:, 1:-1], points[:, 2:]], axis=2)
        layers.append(Layer(membranes=[Membrane(corners, tone)]))
        if sail.ribs:
            ribs = [
                Chain(points[:, [0, k]], np.array([1.0, 0.5]) * sail.ribs, 0.6 * tone)
                for k in range(1, j)
            ]
            layers.append(Layer(chains=ribs))
    for spike, local, points in _extras(plan.spikes, frames, side):
        chain = Chain(points, local[:, 3], plan.tone * spike.tone * light)
        layers.append(Layer(chains=[chain]))
    return layers


def _anatomy(plan, pose):
    """Layers in the body frame, in painting order."""
    n = len(pose["gait"])
    bob = 0.05 * pose["crouch"] if plan.ground is not None else np.zeros(n)
    lift = _stack(0.0 * bob, bob, 0.0 * bob)[:, None, :]

    neck, end, turn = _stalk(
        plan.neck,
        np.radians(26.0) * plan.neck.swing * pose["neck"],
        np.radians(34.0) * plan.neck.swing * pose["turn"],
    )
    neck = neck + lift
    pitch = np.radians(plan.head_pitch) + 0.5 * (end - np.radians(plan.neck.pitch[1]))
    head_frame = _frame(neck[:, -1], pitch, 1.2 * turn)
    tail, end, turn = _stalk(
        plan.tail,
        np.radians(38.0) * plan.tail.swing * pose["tail"],
        np.radians(40.0) * plan.tail.swing * pose["sway"],
    )
    tail = tail + lift
    frames = {
        "body": _frame(lift[:, 0], 0.0 * bob, 0.0 * bob),
        "head": head_frame,
        "tail": _frame(tail[:, -1], -end, -turn),
    }

    def tapered(joints, radii):
        return Chain(joints, np.linspace(*radii, joints.shape[1]), plan.tone)

    torso = np.array(plan.torso)
    spine = np.stack([torso[:, 0], torso[:, 1], np.zeros(len(torso))], axis=1)
    depth, number = plan.stripes
    trunk = Chain(*_rounded(spine + lift, torso[:, 2]), plan.tone, (depth, number))
    neck_chain = tapered(neck, plan.neck.radii)
    neck_chain.stripes = (depth, number * plan.neck.length)
    skull = np.array(plan.head)
    skull_points = np.stack([skull[:, 0], skull[:, 1], np.zeros(len(skull))], axis=1)
    head = Chain(_place(head_frame, skull_points), skull[:, 2], 1.06 * plan.tone)
    tail_chain = tapered(tail, plan.tail.radii)
    tail_chain.stripes = (depth, number * plan.tail.length)

    layers = []
    for side in (-1, 1):
        if side > 0:
            body = Layer([tail_chain, trunk, neck_chain, head], trunk=True)
            layers += [body, *_extra_layers(plan, frames, 0)]
            u, v, w, radius = plan.eye
            eye = _place(head_frame, np.array([(u, v, w), (u + 0.01, v, w)]))
            layers.append(Layer(chains=[Chain(eye, np.full(2, radius), 1.0)]))
        layers += _extra_layers(plan, frames, side)
        for leg in plan.legs:
            tone = plan.tone * (_FAR if side < 0 else 1.04)
            joints = _leg(leg, plan, pose, side)
            limb = _rounded(joints, np.array(leg.radii), 0.12)
            limb = Chain(*limb, tone, is_leg=True)
            layers.append(Layer(chains=[limb]))
        for wing in plan.wings[::-1]:
            layers += _wing_layer(wing, plan, pose, side)
    return layers


def _rotation(plan, pose):
    """The view (n, 3, 3): climb and bank of the body, then yaw, then elevation."""
    flying = plan.ground is None
    climb = np.radians((14.0 if flying else 4.0) * pose["climb"])
    bank = np.radians(34.0 + 8.0 * pose["bank"] if flying else 3.0 * pose["bank"])
    yaw = np.radians(pose["yaw"] + plan.yaw)
    elevation = np.radians(pose["elevation"])
    one, zero = np.ones_like(yaw), np.zeros_like(yaw)

    def matrix(rows):
        return np.stack([_stack(*row) for row in rows], axis=1)

    def about_x(angle):
        c, s = np.cos(angle), np.sin(angle)
        return matrix(((one, zero, zero), (zero, c, -s), (zero, s, c)))

    c, s = np.cos(climb), np.sin(climb)
    about_z = matrix(((c, -s, zero), (s, c, zero), (zero, zero, one)))
    c, s = np.cos(yaw), np.sin(yaw)
    about_y = matrix(((c, zero, -s), (zero, one, zero), (s, zero, c)))
    return about_x(elevation) @ about_y @ about_x(bank) @ about_z


@cache
def _fit(plan):
    """Centre and scale that fit the animal, at rest, into the frame."""
    pose = {name: np.full(8, 0.5 * (a + b)) for name, (a, b) in POSE_RANGES.items()}
    pose["gait"] = np.arange(8) / 8
    view = _rotation(plan, pose)
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for layer in _anatomy(plan, pose):
        shapes = [c.points for c in layer.chains]
        shapes += [m.corners.reshape(8, -1, 3) for m in layer.membranes]
        for points in shapes:
            seen = np.einsum("nij,nkj->nki", view, points)[..., :2].reshape(-1, 2)
            low, high = np.minimum(low, seen.min(0)), np.maximum(high, seen.max(0))
    width, height = high - low
    return 0.5 * (low + high), plan.size * 0.86 / max(width, 1.12 * height)


def animal_layers(plan, pose):
    """Shapes of n animals of one species in the frame, in painting order."""
    centre, unit = _fit(plan)
    view = _rotation(plan, pose)
    size = unit * pose["scale"]
    heading = pose["heading"]
    light = light_direction(pose)

    def project(points):
        """(n, ..., 3) in the body frame to (n, ..., 2) in the picture."""
        flat = points.reshape(len(points), -1, 3)
        seen = np.einsum("nij,nkj->nki", view, flat)[..., :2] - centre
        x = 0.5 + pose["x"][:, None] + (heading * size)[:, None] * seen[..., 0]
        y = 0.52 + pose["y"][:, None] - size[:, None] * seen[..., 1]
        return np.stack([x, y], axis=-1).reshape(*points.shape[:-1], 2)

    layers = _anatomy(plan, pose)
    for layer in layers:
        for chain in layer.chains:
            chain.points = project(chain.points)
            chain.radii = size[:, None] * chain.radii
        for skin in layer.membranes:
            a, b, c = np.moveaxis(skin.corners, 2, 0)
            normal = np.einsum("nij,ntj->nti", view, np.cross(b - a, c - a))
            normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-12
            normal[..., 0] *= heading[:, None]
            # Thin skin: lit from either side, and some light comes through.
            skin.light = np.abs(np.einsum("ntc,nc->nt", normal, light))
            skin.corners = project(skin.corners)
    return layers


def light_direction(pose):
    """Unit vectors (n, 3) towards the light: x right, y up, z to the viewer."""
    angle = np.radians(pose["light"])
    high = np.sin(angle), np.cos(angle)
    return _stack(0.8 * high[0], 0.8 * high[1], 0.6 + 0.0 * angle)
