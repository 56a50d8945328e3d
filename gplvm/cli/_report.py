"""The demo's report: one HTML file that needs nothing else."""

import base64
from html import escape

from gplvm.cli import _plane
from gplvm.cli._pictures import PICTURES

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2530; --soft: #5a6675; --page: #fbfbfa;
  --line: #dcdfe4; --card: #ffffff; --accent: #1b6ca8; --best: #e4f0f8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #a3adb9;
  --page: #15181c; --line: #363c44; --card: #1d2127; --accent: #7fbce8;
  --best: #1d3a50; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1.1rem 4rem;
  background: var(--page); color: var(--ink);
  font: 1rem/1.6 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 1rem 0 .4rem; }
h2 { font-size: 1.3rem; margin: 2.8rem 0 .5rem; line-height: 1.3; }
p, li { max-width: 44rem; }
.lead, figcaption, .small { color: var(--soft); }
figure { margin: 1.2rem 0 0; }
figure img { display: block; width: 100%; height: auto;
  background: #fff; border: 1px solid var(--line); border-radius: .5rem; }
figure.narrow img { max-width: 38rem; }
figcaption { margin-top: .5rem; font-size: .94rem; max-width: 44rem; }
.scroll { overflow-x: auto; margin: 1rem 0; border: 1px solid var(--line);
  border-radius: .5rem; background: var(--card); }
table { border-collapse: collapse; width: 100%; font-size: .94rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .6rem; text-align: right; white-space: nowrap;
  border-top: 1px solid var(--line); }
thead th { border-top: 0; vertical-align: bottom; white-space: normal;
  font-weight: 600; line-height: 1.25; min-width: 4rem; color: var(--soft); }
th:first-child { text-align: left; font-weight: 500; position: sticky; left: 0;
  background: var(--card); white-space: normal; min-width: min(13rem, 36vw); }
td.best { background: var(--best); font-weight: 600; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .9em;
  overflow-wrap: anywhere; }
ul { padding-left: 1.2rem; }
"""

# Heading, key in the numbers, format, and whether more or less is better.
_CLASSIFIER_COLUMNS = [
    ("Parameters", "parameters", "{:,}", None),
    ("Hidden units", "hidden", "{}", None),
    ("Held-out accuracy", "accuracy", "{:.3f}", max),
    ("Iterations", "iterations", "{}", None),
    ("Seconds to fit", "seconds", "{:.1f}", None),
]
_EMBEDDING_COLUMNS = [
    ("1-NN error", "nn_error", "{:.3f}", min),
    ("Trust\u00adworthi\u00adness", "trustworthiness", "{:.3f}", max),
    ("Recon\u00adstruction error", "reconstruction_rmse", "{:.4f}", min),
    ("Log-likelihood (nats)", "log_likelihood", "{:,.0f}", max),
    ("Iterations", "iterations", "{}", None),
    ("Seconds to fit", "seconds", "{:.1f}", None),
    ("Seconds to place", "seconds_to_place", "{:.1f}", None),
]


def write_report(path, results, folder, plane):
    """Write the report.

    Parameters
    ----------
    path : Path
        The file to write.

    results : dict
        The numbers of the run, as in results.json.

    folder : Path
        Where the pictures are.

    plane : str
        The interactive latent plane, from `interactive_plane`.
    """
    pictures = {
        name: base64.b64encode((folder / file).read_bytes()).decode("ascii")
        for name, file in PICTURES.items()
    }
    path.write_text(_page(results, pictures, plane), encoding="utf-8")


def _page(results, pictures, plane):
    body = "\n".join(
        [
            *_opening(results),
            *_images(results, pictures),
            *_classifiers(results, pictures),
            *_embeddings(results, pictures, plane),
            *_weaknesses(results),
            *_run(results),
        ]
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>gplvm demo: creatures, classified and embedded</title>
<style>{_STYLE}{_plane.STYLE}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _opening(results):
    images = results["images"]
    classifiers = {fit["name"]: fit["accuracy"] for fit in results["classifiers"]}
    swish, *others = (f"{name} {value:.1%}" for name, value in classifiers.items())
    errors = {fit["name"]: fit["nn_error"] for fit in results["embeddings"]}
    lead = (
        f"{images['count']:,} drawn images of {len(images['species'])} species, "
        "written to files, read back, classified by a small network and embedded in "
        f"two dimensions. Held-out images named correctly: {swish}, "
        f"{', '.join(others)}. Held-out images whose nearest neighbour in the plane is "
        f"of another species: RBF GP-LVM {errors['RBF GP-LVM']:.1%}, linear GP-LVM "
        f"{errors['Linear GP-LVM']:.1%}, PCA {errors['PCA']:.1%}."
    )
    return [
        "<header>",
        "<h1>Creatures, classified and embedded</h1>",
        f'<p class="lead">{escape(lead)}</p>',
        "</header>",
    ]


def _images(results, pictures):
    images = results["images"]
    size = " \u00d7 ".join(str(side) for side in images["size"])
    return [
        "<h2>The images</h2>",
        _paragraph(
            f"Each image has {size} pixels and lies as a file in creatures/, in the "
            f"folder of its species. {images['train']:,} images train the classifiers; "
            f"{images['held_out']:,} are held out, and no fit sees them. Every species "
            "has its share of both."
        ),
        _figure(
            pictures["samples"],
            "Rows of images, one row for each species",
            "Ten training images of each species, as loaded from the files. Pose, "
            "heading, scale, light and background vary within a species.",
        ),
    ]


def _classifiers(results, pictures):
    return [
        "<h2>Naming the species</h2>",
        _paragraph(
            "The swish network has one hidden layer, as wide as its budget of 70,000 "
            "parameters allows. MLPClassifier has the same shape with relu units, and "
            "LogisticRegression has no hidden layer. All three see the same pixels and "
            "have their default settings, but for the number of iterations; the notes "
            "at the end name those that did not converge."
        ),
        _table("Classifier", _CLASSIFIER_COLUMNS, results["classifiers"]),
        _figure(
            pictures["confusion"],
            "Confusion matrix of the swish network",
            "The swish network on the held-out images: rows are the true species, "
            "columns what it says. Counts off the diagonal are mistakes; look for "
            "pairs that are confused in both directions.",
            narrow=True,
        ),
    ]


def _embeddings(results, pictures, plane):
    images = results["images"]
    return [
        "<h2>Two dimensions</h2>",
        _paragraph(
            f"PCA, the linear autoencoder and both GP-LVMs are fitted to the same "
            f"{images['embedded']:,} training images without their species: an "
            "iteration of the exact RBF model takes time cubic in their number, and "
            "equal data make the numbers comparable. Then each places the "
            f"{images['held_out']:,} held-out images in its plane, and every measure "
            "below but the log-likelihood is taken on those."
        ),
        _figure(
            pictures["embeddings"],
            "Four embeddings side by side",
            "The held-out images in four planes. The linear autoencoder and the linear "
            "GP-LVM find the same principal plane, so their pictures should agree up "
            "to scale and reflection. The hidden layer belongs to a network that was "
            "trained on the species, and is drawn by its two leading principal axes; "
            "how much of its knowledge lies beyond them, the table's last two lines "
            "say. The other three never saw a species.",
        ),
        _table("Embedding", _EMBEDDING_COLUMNS, results["embeddings"]),
        _paragraph(
            "1-NN error (leave-one-out): the share of held-out images whose nearest "
            "other one in the embedding is of a different species. Trustworthiness: "
            "how far the five neighbours in the embedding are neighbours among the "
            "pixels too; 1 is perfect. Reconstruction error: root mean square over "
            "held-out pixels, which lie between 0 and 1. The log-likelihood is that of "
            "the fitted images; only the two GP-LVMs define it alike. Seconds to place "
            "are those that all held-out images take. The best plane of a column has a "
            "tint; the whole hidden layer is no plane, and no rival.",
            small=True,
        ),
        _figure(
            pictures["plane"],
            "The latent plane of the RBF GP-LVM with images",
            f"The RBF GP-LVM's plane of the {images['embedded']:,} fitted images. The "
            "grey behind the points is the standard deviation of the pixels that the "
            "model predicts there: where it is dark, no image is near and the model "
            "knows little. Follow the small images: neighbours should look alike.",
        ),
        _paragraph(
            "The same plane to move over: the image that belongs to the nearest point "
            "is shown beside it. A species' name shows that species alone; on the "
            "keyboard, the arrow keys go from image to image."
        ),
        plane,
        _figure(
            pictures["reconstructions"],
            "Held-out images and their reconstructions",
            "Held-out images and what two numbers retain of each. The linear models "
            "keep the light and the rough mass of the body, and their rows should look "
            "the same. The RBF GP-LVM bends its plane: look how much of legs, necks "
            "and heading it keeps, and where it draws another animal.",
        ),
        _figure(
            pictures["losses"],
            "Loss curves of the iterative fits",
            "How each fit went: the loss after every iteration (L-BFGS) or epoch "
            "(Adam), above its lowest value and as a fraction of where it started, so "
            "that fits of different losses share the axes. Each curve drops out of "
            "the picture where it reaches its lowest value."
            + _without_iterations(results["embeddings"]),
        ),
    ]


def _without_iterations(fits):
    names = [fit["name"] for fit in fits if fit["iterations"] == 0]
    if not names:
        return ""
    return f" Without a curve, for its start is its optimum: {', '.join(names)}."


def _weaknesses(results):
    points = [
        "The images are drawn by a program. Photographs are harder, and nothing here "
        "says how much.",
        "One seed, one split. With "
        f"{results['images']['held_out']:,} held-out images an accuracy has a standard "
        f"error of about {_standard_error(results):.3f}; differences of that size mean "
        "little.",
        "A plane fitted without labels has no reason to keep species together; it "
        "keeps what moves most pixels. Two dimensions are for looking: use more for "
        "anything but a picture.",
        "The RBF GP-LVM is exact here. For larger data, beyond 1,500 rows, it takes "
        "inducing points unless told otherwise, which is an approximation.",
        "The RBF GP-LVM's likelihood has many optima: another start can end elsewhere. "
        "The demo stops the fit early, to be short.",
        "Trustworthiness compares with distances between pixels, which are themselves "
        "a poor measure of likeness.",
        "Seconds are those of one run on one machine, whatever else ran on it.",
    ]
    items = "".join(f"<li>{escape(point)}</li>" for point in points)
    return ["<h2>What this does not show</h2>", f"<ul>{items}</ul>"]


def _standard_error(results):
    accuracy = results["classifiers"][0]["accuracy"]
    return (accuracy * (1 - accuracy) / results["images"]["held_out"]) ** 0.5


def _run(results):
    versions = {"gplvm": results["gplvm"], **results["versions"]}
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    notes = [
        f'<p class="note"><strong>Note.</strong> {escape(note)}</p>'
        for note in results["notes"]
    ]
    return [
        "<h2>The run</h2>",
        *notes,
        f"<p><code>{escape(results['command'])}</code></p>",
        _paragraph(
            f"Seed {results['seed']}; {results['seconds']:.0f} seconds in all; "
            f"{listed}. results.json holds the same numbers.",
            small=True,
        ),
    ]


def _paragraph(text, *, small=False):
    return f"<p{' class=small' if small else ''}>{escape(text)}</p>"


def _figure(picture, alt, caption, *, narrow=False):
    return (
        f"<figure{' class=narrow' if narrow else ''}>"
        f'<img alt="{escape(alt)}" src="data:image/png;base64,{picture}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _table(first, columns, fits):
    head = "".join(f"<th scope=col>{escape(heading)}</th>" for heading, *_ in columns)
    lines = [f"<tr><th scope=col>{escape(first)}</th>{head}</tr></thead><tbody>"]
    for fit in fits:
        cells = "".join(_cell(fit, fits, *column[1:]) for column in columns)
        lines.append(f"<tr><th scope=row>{escape(fit['name'])}</th>{cells}</tr>")
    return f'<div class="scroll"><table><thead>{"".join(lines)}</tbody></table></div>'


def _cell(fit, fits, key, form, better):
    value = fit[key]
    if value is None:
        return "<td>\u2013</td>"
    text = form.format(value)
    # More dimensions than a plane has are no fair rival.
    rivals = [other for other in fits if other.get("dimensions", 2) == 2]
    values = [other[key] for other in rivals if other[key] is not None]
    best = better is not None and fit in rivals
    best = best and text == form.format(better(values))
    return f"<td{' class=best' if best else ''}>{escape(text)}</td>"
