"""A graph in graphviz's language."""

from gplvm.graphs._operation import show


def dot_text(order, names):
    """The source of a graph.

    Parameters
    ----------
    order : list of Node
        The nodes, parents first.

    names : dict of Node to str
        Their names.

    Returns
    -------
    dot : str
        A digraph.
    """
    lines = ["digraph {", "  rankdir=LR;", "  node [shape=ellipse];"]
    for node in order:
        name = names[node]
        said = name if node.code in (None, name) else f"{name} = {node.code}"
        look = ""
        if node.operation is None:
            look = ", shape=box" + (", style=dashed" if node.constant else "")
        label = _quoted(f"{said}\n{show(node.shape)}")
        lines.append(f"  {_quoted(name)} [label={label}{look}];")
    for child in order:
        for parent in child.parents:
            lines.append(f"  {_quoted(names[parent])} -> {_quoted(names[child])};")
    return "\n".join([*lines, "}", ""])


def _quoted(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
