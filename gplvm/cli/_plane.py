"""A latent plane to move over, as a piece of a web page that needs nothing else.

Points and images are in the page: the images as one mosaic, of which the script shows
the part that belongs to the nearest point. Without a script the picture stays, without
the images.
"""

import base64
import io
import json
from html import escape

import numpy as np

_WIDTH, _HEIGHT, _MARGIN = 720, 540, 14  # of the drawing, in its own units
_COLUMNS = 32  # images in a row of the mosaic

STYLE = """
.plane { display: grid; grid-template-columns: minmax(0, 1fr) 11.5rem; gap: 1rem;
  margin: 1.2rem 0 0; align-items: start; }
@media (max-width: 44rem) { .plane { grid-template-columns: minmax(0, 1fr); } }
.plane svg { display: block; width: 100%; height: auto; background: #fff;
  border: 1px solid var(--line); border-radius: .5rem; touch-action: pan-y;
  cursor: crosshair; }
.plane svg:focus-visible { outline: 3px solid var(--accent); }
.plane .dim { opacity: .1; }
.plane .ring { fill: none; stroke: #1d2530; stroke-width: 2.2; }
.plane aside { position: sticky; top: 1rem; }
.plane .shown { width: 11.5rem; aspect-ratio: 1; background-color: var(--card);
  border: 1px solid var(--line); border-radius: .5rem; image-rendering: pixelated; }
.plane .name { margin: .5rem 0 .8rem; min-height: 3.2em; line-height: 1.35; }
.plane button { display: flex; align-items: center; gap: .5rem; width: 100%;
  font: inherit; font-size: .92rem; text-align: left; padding: .12rem .3rem;
  color: inherit; background: none; border: 1px solid transparent;
  border-radius: .3rem; cursor: pointer; }
.plane button:hover { border-color: var(--line); }
.plane button[aria-pressed=true] { background: var(--best); }
.plane button i { flex: none; width: .8rem; height: .8rem; border-radius: 50%; }
"""

_SCRIPT = """
(() => {
  const box = document.currentScript.parentElement, svg = box.querySelector("svg");
  const data = JSON.parse(box.querySelector("[type='application/json']").textContent);
  const shown = box.querySelector(".shown"), name = box.querySelector(".name");
  const ring = box.querySelector(".ring");
  const dots = [...svg.querySelectorAll("circle:not(.ring)")];
  const buttons = [...box.querySelectorAll("button")];
  const rows = Math.ceil(dots.length / data.columns);
  const share = (index, count) => count > 1 ? 100 * index / (count - 1) + "%" : "0%";
  let only = null, current = -1;
  shown.style.backgroundImage = "url(" + data.mosaic + ")";
  function show(index) {
    if (index < 0 || index >= dots.length) return;
    current = index;
    const [x, y, kind] = data.points[index];
    ring.setAttribute("cx", x); ring.setAttribute("cy", y);
    ring.setAttribute("visibility", "visible");
    shown.style.backgroundSize = 100 * data.columns + "% " + 100 * rows + "%";
    shown.style.backgroundPosition = share(index % data.columns, data.columns) + " "
      + share(Math.floor(index / data.columns), rows);
    shown.setAttribute("aria-label", "image of a " + data.names[kind]);
    name.textContent = data.names[kind] + ", image " + (index + 1);
  }
  function nearest(event) {
    const at = new DOMPoint(event.clientX, event.clientY)
      .matrixTransform(svg.getScreenCTM().inverse());
    let best = -1, least = Infinity;
    data.points.forEach(([x, y, kind], index) => {
      const d = (x - at.x) ** 2 + (y - at.y) ** 2;
      if ((only === null || kind === only) && d < least) { best = index; least = d; }
    });
    show(best);
  }
  svg.addEventListener("pointermove", nearest);
  svg.addEventListener("pointerdown", nearest);
  svg.addEventListener("keydown", event => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    let index = current;
    do { index = (index + step + dots.length) % dots.length; }
    while (only !== null && data.points[index][2] !== only && index !== current);
    show(index);
  });
  buttons.forEach((button, kind) => button.addEventListener("click", () => {
    only = only === kind ? null : kind;
    buttons.forEach((b, k) => b.setAttribute("aria-pressed", k === only));
    dots.forEach((dot, index) =>
      dot.classList.toggle("dim", only !== null && data.points[index][2] !== only));
  }));
  const asked = /^#image-(\\d+)$/.exec(location.hash);
  show(asked ? Math.min(Number(asked[1]), dots.length) - 1 : 0);
})();
"""


def interactive_plane(latent, images, target, names, colors):
    """HTML of the plane.

    Parameters
    ----------
    latent : ndarray of shape (n_samples, 2)
        Positions.

    images : ndarray of shape (n_samples, height, width)
        Pixels in [0, 1].

    target : ndarray of shape (n_samples,)
        Class of each image, an index into `names`.

    names, colors : sequence of str
        Name and colour of each class.

    Returns
    -------
    html : str
        An element; its style is `STYLE`.
    """
    places = _on_paper(latent)
    points = [
        [round(float(x), 1), round(float(y), 1), int(kind)]
        for (x, y), kind in zip(places, target, strict=True)
    ]
    dots = "".join(
        f'<circle cx="{x}" cy="{y}" r="4.6" fill="{colors[kind]}" stroke="#fff" '
        'stroke-width=".7"/>'
        for x, y, kind in points
    )
    buttons = "".join(
        f'<button type="button" aria-pressed="false"><i style="background:{color}"></i>'
        f"{escape(str(name))}</button>"
        for name, color in zip(names, colors, strict=True)
    )
    data = {
        "points": points,
        "names": [str(name) for name in names],
        "columns": min(_COLUMNS, len(images)),
        "mosaic": _mosaic(images),
    }
    # In a script element, only "</" could end it early.
    text = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    return (
        f'<div class="plane"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" tabindex="0" '
        'role="img" aria-label="Latent plane; arrow keys go from image to image">'
        f'{dots}<circle class="ring" r="8.5" visibility="hidden"/></svg>'
        '<aside><div class="shown" role="img"></div>'
        f'<p class="name" aria-live="polite"></p>{buttons}</aside>'
        f'<script type="application/json">{text}</script><script>{_SCRIPT}</script>'
        "</div>"
    )


def _on_paper(latent):
    """Positions in the drawing's units, with equal aspect, upwards upwards."""
    low, high = latent.min(axis=0), latent.max(axis=0)
    room = np.array([_WIDTH, _HEIGHT]) - 2 * _MARGIN
    extent = np.where(high > low, high - low, 1.0)
    scale = np.min(room / extent)
    middle = np.array([_WIDTH, _HEIGHT]) / 2
    return middle + scale * (latent - (low + high) / 2) * [1, -1]


def _mosaic(images):
    """All images in one PNG, as a data URL."""
    from PIL import Image

    n_samples, height, width = images.shape
    columns = min(_COLUMNS, n_samples)
    rows = -(-n_samples // columns)
    cells = np.ones((rows * columns, height, width))
    cells[:n_samples] = images
    whole = cells.reshape(rows, columns, height, width).swapaxes(1, 2)
    pixels = np.round(255 * np.clip(whole, 0, 1)).astype(np.uint8)
    stream = io.BytesIO()
    picture = Image.fromarray(pixels.reshape(rows * height, columns * width))
    picture.save(stream, "PNG", optimize=True)
    encoded = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"data:image/png;base64,{encoded}"
