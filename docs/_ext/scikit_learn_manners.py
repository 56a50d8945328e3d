"""What our pages leave to scikit-learn's: its objects, and its inherited methods.

Its reference has one page for each public object, named after it, so the address
follows from the name and no inventory has to be fetched. The methods that every
estimator inherits (`get_params`, `set_output`, ...) are described there.
"""

from docutils import nodes

PAGES = "https://scikit-learn.org/stable/modules/generated/"


def link(app, env, node, contnode):
    """Resolve a reference such as ``sklearn.decomposition.PCA`` or ``….PCA.fit``."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not target.startswith("sklearn."):
        return None
    parts = target.split(".")
    # A method lives on the page of its class.
    classes = [i for i, part in enumerate(parts) if part[:1].isupper()]
    page = ".".join(parts[: classes[0] + 1]) if classes else target
    anchor = f"#{target}" if page != target else ""
    return nodes.reference(
        "",
        "",
        contnode,
        internal=False,
        refuri=f"{PAGES}{page}.html{anchor}",
        reftitle=f"{target} (scikit-learn)",
    )


def skip_inherited(app, what, name, obj, skip, options):
    """Leave out of a class's page what scikit-learn defines."""
    inherited = str(getattr(obj, "__module__", "")).startswith("sklearn.")
    return True if inherited else None


def setup(app):
    """Register with Sphinx."""
    app.connect("autodoc-skip-member", skip_inherited)
    app.connect("missing-reference", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
