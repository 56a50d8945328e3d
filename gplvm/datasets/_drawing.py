"""Painting shapes and backgrounds into pictures, many pictures at once.

Every shape is a signed distance: negative inside, positive outside. A pixel is
covered by clip(1/2 - distance / pixel width, 0, 1), which is smooth, so edges
are free of stairs at any size. Units are those of the frame, [0, 1] x [0, 1]
with y down.
"""

import numpy as np

from gplvm.datasets._skeleton import animal_layers, light_direction

__all__ = ["paint"]

_CHUNK = 32  # pictures painted together: few enough to stay in the cache
_MELT = 0.012  # over which neighbouring parts of a layer melt into one another
_RIM = 0.02  # width of the dark rim that sets a part off from what lies behind


def paint(plan, pose, image_size):
    """Pictures (n, s, s), float32, of one species in the given poses."""
    n = len(pose["gait"])
    images = np.empty((n, image_size, image_size), dtype=np.float32)
    for start in range(0, n, _CHUNK):
        part = slice(start, start + _CHUNK)
        some = {name: values[part] for name, values in pose.items()}
        canvas = _background(some, image_size)
        trunk = np.zeros_like(canvas)
        light = light_direction(some).astype(np.float32)
        layers = animal_layers(plan, some)
        _cast_shadow(canvas, layers)
        for layer in layers:
            if layer.membranes:
                _paint_membranes(canvas, layer.membranes, some)
            if layer.chains:
                _paint_chains(canvas, layer, light, some, trunk)
        images[part] = canvas
    images *= _cut(pose["exposure"])
    return np.clip(images, 0.0, 1.0, out=images)


class _Window:
    """The smallest equal windows, one per picture, that hold some shapes.

    Shapes are small next to the picture; working in windows is what makes the
    painter fast. Windows have one size so that they stack into one array.
    """

    def __init__(self, canvas, low, high):
        n, size = canvas.shape[:2]
        first = np.clip(np.floor(low * size - 1.0), 0, size).astype(int)
        last = np.clip(np.ceil(high * size + 1.0), 0, size).astype(int)
        width, height = np.maximum((last - first).max(axis=0), 1)
        first = np.minimum(first, [size - width, size - height])
        columns = first[:, 0, None] + np.arange(width)
        rows = first[:, 1, None] + np.arange(height)
        self.index = (np.arange(n)[:, None, None], rows[:, :, None], columns[:, None])
        self.x = ((columns + 0.5) / size).astype(np.float32)[:, None, :]
        self.y = ((rows + 0.5) / size).astype(np.float32)[:, :, None]
        self.canvas = canvas

    def blend(self, cover, shade):
        """Paint ``shade`` over the canvas where ``cover`` says so."""
        under = self.canvas[self.index]
        under += cover * (shade - under)
        self.canvas[self.index] = under


def _cut(values):
    """Arrays (n,) as float32 (n, 1, 1), to meet windows."""
    return np.asarray(values, dtype=np.float32)[:, None, None]


def _paint_chains(canvas, layer, light, pose, trunk):
    """Paint chains of tapered capsules as round bodies that melt together.

    Along a chain the nearest capsule rules. Chain k of a layer contributes with
    weight exp(-distance_k / melt), so that the union's distance, -melt log(sum of
    weights), is a soft minimum: a neck grows out of its shoulders.
    ``trunk`` remembers where the trunk lies: near limbs melt into it.
    """
    chains = layer.chains
    low = np.min([(c.points - c.radii[..., None]).min(axis=1) for c in chains], axis=0)
    high = np.max([(c.points + c.radii[..., None]).max(axis=1) for c in chains], axis=0)
    window = _Window(canvas, low - 2 * _MELT, high + 2 * _MELT)
    fields = [_chain_field(chain, window, light) for chain in chains]
    if len(fields) == 1:
        ((distance, shade, start),) = fields
    else:
        weights = [np.exp(np.clip(f[0], -0.6, 0.6) * (-1.0 / _MELT)) for f in fields]
        total = sum(weights)
        distance = -_MELT * np.log(total)
        shade = sum(w * f[1] for w, f in zip(weights, fields, strict=True)) / total
    shade *= 0.62 + 0.38 * np.clip(distance * (-1.0 / _RIM), 0.0, 1.0)
    cover = np.clip(0.5 - distance * canvas.shape[1], 0.0, 1.0)
    if layer.trunk:
        trunk[window.index] = cover
    if chains[0].is_leg:
        cover *= 1.0 - trunk[window.index] * (1.0 - start)
    window.blend(cover, _toned(shade, pose))


def _chain_field(chain, window, light):
    """Distance to a chain, its shade, and how far along its start it is (0 to 1)."""
    lx, ly, lz = (_cut(component) for component in light.T)
    depth, number = chain.stripes
    n_links = chain.points.shape[1] - 1
    nearest = shade = start = None
    for k in range(n_links):
        ax, ay = (_cut(c) for c in chain.points[:, k].T)
        bx, by = (_cut(c) for c in chain.points[:, k + 1].T)
        ra, rb = _cut(chain.radii[:, k]), _cut(chain.radii[:, k + 1])
        ex, ey = bx - ax, by - ay
        dx, dy = window.x - ax, window.y - ay
        along = (dx * ex + dy * ey) / (ex * ex + ey * ey + 1e-9)
        np.clip(along, 0.0, 1.0, out=along)
        radius = ra + along * (rb - ra)
        dx = dx - along * ex
        dy = dy - along * ey
        squared = dx * dx + dy * dy
        distance = np.sqrt(squared)
        distance -= radius
        # The normal of a round body, and Lambert's law.
        np.divide(1.0, radius, out=radius)
        squared *= radius * radius
        np.subtract(1.0, squared, out=squared)
        np.maximum(squared, 0.0, out=squared)
        lit = dx * lx
        lit -= dy * ly
        lit *= radius
        lit += lz * np.sqrt(squared)
        np.clip(lit, 0.0, 1.0, out=lit)
        lit *= 0.95
        lit += 0.36
        if depth:
            lit *= 1.0 - depth * np.sin(2 * np.pi * number * (k + along) / n_links)
        along += k
        if nearest is None:
            nearest, shade, start = distance, lit, along
        else:
            closer = distance < nearest
            np.copyto(nearest, distance, where=closer)
            np.copyto(shade, lit, where=closer)
            np.copyto(start, along, where=closer)
    return nearest, chain.tone * shade, np.clip(2.2 * start, 0.0, 1.0)


def _toned(shade, pose):
    """Skin as this animal has it, in this light."""
    return shade * _cut(pose["tone"])


def _paint_membranes(canvas, membranes, pose):
    """Paint triangles that share edges: their covers add up to one there."""
    low = np.min([m.corners.min(axis=(1, 2)) for m in membranes], axis=0)
    high = np.max([m.corners.max(axis=(1, 2)) for m in membranes], axis=0)
    window = _Window(canvas, low, high)
    size = canvas.shape[1]
    cover, shades = 0.0, 0.0
    for skin in membranes:
        for k in range(skin.corners.shape[1]):
            distance = _triangle_distance(window, skin.corners[:, k])
            part = np.clip(0.5 - distance * size, 0.0, 1.0)
            cover = cover + part
            shades = shades + part * _cut(skin.tone * (0.55 + 0.6 * skin.light[:, k]))
    shade = shades / np.maximum(cover, 1e-6)
    window.blend(0.96 * np.minimum(cover, 1.0), _toned(shade, pose))


def _triangle_distance(window, corners):
    """Signed distance to triangles (n, 3, 2); exact, also where one is a sliver."""
    u, v = np.moveaxis(corners[:, 1:] - corners[:, :1], 1, 0)
    turn = np.where(u[:, 0] * v[:, 1] < u[:, 1] * v[:, 0], -1.0, 1.0)
    squared = outside = None
    for k in range(3):
        px, py = (_cut(c) for c in corners[:, k].T)
        edge = corners[:, (k + 1) % 3] - corners[:, k]
        ex, ey = (_cut(c) for c in edge.T)
        dx, dy = window.x - px, window.y - py
        side = _cut(turn) * (dx * ey - dy * ex)
        along = (dx * ex + dy * ey) / (ex * ex + ey * ey + 1e-9)
        np.clip(along, 0.0, 1.0, out=along)
        dx = dx - along * ex
        dy = dy - along * ey
        gap = dx * dx + dy * dy
        squared = gap if squared is None else np.minimum(squared, gap, out=squared)
        outside = side if outside is None else np.maximum(outside, side, out=outside)
    return np.copysign(np.sqrt(squared), outside)


def _ellipses(window, centres, radii, soft):
    """Cover of a union of ellipses; centres and radii (n, k, 2).

    With f = |(x / rx, y / ry)|, the distance is (f - 1) / |grad f| to first order,
    and |grad f| = |(x / rx^2, y / ry^2)| / f. The small terms serve the centre.
    """
    nearest = None
    for k in range(centres.shape[1]):
        x, y = (_cut(c) for c in centres[:, k].T)
        rx, ry = (_cut(r) for r in radii[:, k].T)
        dx, dy = (window.x - x) / rx, (window.y - y) / ry
        level = np.hypot(dx, dy) + 1e-4
        slope = np.hypot(dx / rx, dy / ry) + 1e-4 / np.minimum(rx, ry)
        distance = (level - 1.0) * level / slope
        nearest = distance if nearest is None else np.minimum(nearest, distance)
    return np.clip(0.5 - nearest / soft, 0.0, 1.0)


def _cast_shadow(canvas, layers):
    """A soft shadow on the ground under an animal with legs."""
    chains = [chain for layer in layers for chain in layer.chains]
    balls = [chain.points[:, -2] for chain in chains if chain.is_leg]
    if not balls:
        return
    balls = np.stack(balls, axis=1)
    low, high = balls[..., 0].min(axis=1), balls[..., 0].max(axis=1)
    ground = balls[..., 1].max(axis=1)
    centre = np.stack([0.5 * (low + high), ground + 0.01], axis=1)[:, None]
    radii = np.stack([0.62 * (high - low), 0.0 * low + 0.035], axis=1)[:, None]
    window = _Window(canvas, *_bounds(centre, 2.0 * radii))
    cover = _ellipses(window, centre, radii, soft=0.06)
    window.blend(0.45 * cover, 0.12)


# Ellipses of a bush and of a floating rock: x, y and radii, in units of its size.
_BUSH = np.array(
    [
        (0.0, 0.0, 0.75, 0.55),
        (-0.65, 0.15, 0.45, 0.4),
        (0.65, 0.12, 0.5, 0.42),
        (-0.3, -0.38, 0.42, 0.38),
        (0.35, -0.42, 0.45, 0.4),
        (0.0, -0.7, 0.32, 0.3),
    ]
)
_ROCK = np.array(
    [
        (0.0, 0.0, 1.0, 0.26),
        (-0.12, 0.28, 0.72, 0.4),
        (0.06, 0.62, 0.44, 0.45),
        (0.02, 1.0, 0.2, 0.42),
        (0.55, 0.14, 0.42, 0.3),
        (-0.62, 0.1, 0.36, 0.28),
    ]
)
_ROCK_TOP = np.array(
    [(0.0, -0.12, 0.95, 0.14), (-0.45, -0.18, 0.3, 0.14), (0.2, -0.2, 0.4, 0.16)]
)


def _background(pose, size):
    """Sky, a floating rock, two ridges, a meadow and bushes: (n, s, s) float32."""
    n = len(pose["gait"])
    canvas = np.empty((n, size, size), dtype=np.float32)
    whole = _Window(canvas, np.zeros((n, 2)), np.ones((n, 2)))
    x, y = whole.x, whole.y
    haze, horizon = _cut(pose["haze"]), _cut(pose["horizon"])
    glow = _cut(np.sin(np.radians(pose["light"])))

    def hazy(tone, share):
        """Things far away fade into the sky."""
        return tone + share * haze * (0.86 - tone)

    canvas[...] = 0.95 - 0.16 * y + 0.1 * glow * (x - 0.5)

    def clump(ellipses, x, y, scale, tone, slope):
        """A union of ellipses, lighter on top."""
        at = np.stack([x, y], axis=1)[:, None]
        centres = at + scale[:, None, None] * ellipses[:, :2]
        radii = scale[:, None, None] * ellipses[:, 2:]
        window = _Window(canvas, *_bounds(centres, radii))
        height = (_cut(y) - window.y) / _cut(scale)
        cover = _ellipses(window, centres, radii, 1.2 / size)
        window.blend(cover, tone + slope * height + 0.0 * window.x)

    rock = pose["rock_x"], pose["rock_y"], pose["rock_size"]
    clump(_ROCK, *rock, hazy(0.74, 0.7), 0.09)
    clump(_ROCK_TOP, *rock, hazy(0.6, 0.7), 0.0)

    for share, wave, tone in ((1.0, 1.0, 0.78), (0.45, 1.7, 0.68)):
        phase = 2 * np.pi * wave * _cut(pose["hill_phase"])
        ridge = np.sin(2 * np.pi * 0.9 * wave * x + phase)
        ridge += 0.45 * np.sin(2 * np.pi * 2.1 * wave * x - 1.3 * phase)
        top = horizon - share * _cut(pose["hill_height"]) * (0.7 + 0.5 * ridge)
        cover = np.clip(0.5 + (y - top) * size, 0.0, 1.0)
        canvas += cover * (hazy(tone, 0.7) - canvas)

    cover = np.clip(0.5 + (y - horizon) * size, 0.0, 1.0)
    meadow = 0.74 - 0.4 * (y - horizon) - 0.12 * glow * (x - 0.5)
    canvas += cover * (meadow - canvas)

    for k in (1, 2, 3):
        foot = pose["horizon"] + 0.025 * k
        scale = pose[f"bush_{k}_size"]
        clump(_BUSH, pose[f"bush_{k}_x"], foot, scale, hazy(0.52, 0.35), 0.1)
    return canvas


def _bounds(centres, radii):
    """Corners (n, 2) of the boxes around ellipses."""
    return (centres - radii).min(axis=1), (centres + radii).max(axis=1)
