"""Formulas of nodes as mathtext: what they compute, and what comes back to them."""

import re

from gplvm.graphs._node import is_dimension
from gplvm.graphs._operation import MATMUL, TRANSPOSE

GREEK = {
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa"),
    *("lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi"),
    "omega",
}
TRANSPOSED = r"^{\mathrm{T}}"


def symbol(node):
    """A node's symbol: of its name, or else its formula."""
    if node.given_symbol is not None:
        return node.given_symbol
    if node.given_name is None and node.is_long:
        return rf"{_symbol_of_name(node.operation.name)}(\ldots)"
    if node.given_name is None:
        return formula(node)
    return _symbol_of_name(node.given_name)


def _symbol_of_name(name):
    stem, digits = re.fullmatch(r"(.*?)_?(\d*)", name, flags=re.DOTALL).groups()
    if not stem:
        return name
    if stem in GREEK:
        stem = f"\\{stem}"
    elif len(stem) > 1:
        escaped = re.sub(r"([_#%$&{}^\\])", lambda found: f"\\{found[0]}", stem)
        stem = f"\\mathrm{{{escaped}}}".replace(" ", r"\ ")
    return f"{stem}_{{{digits}}}" if digits else stem


def formula(node):
    """What a node computes of its parents' symbols; None for what is given."""
    if node.operation is None or is_dimension(node):
        return None
    return coefficient(node.factor) + _filled(node.operation.formula, node.parents)


def _argument(parent, position, template):
    """A parent's symbol, in brackets where the template would tear it."""
    text, level = symbol(parent), _level(parent)
    tight = f"{{{position}}}^" in template
    if level == "atom":
        return f"({text})" if tight and "^" in text else text
    if _bracketed(template) or (level == "product" and not tight):
        return text
    return f"({text})"


def _bracketed(template):
    """Whether the arguments stand in brackets already."""
    return bool(re.search(r"[(|]\{|\\Vert \{", template))


def _level(node):
    if node.given_name is not None or node.operation is None or node.is_long:
        return "atom"
    if node.factor != 1 and node.operation.level == "atom":
        return "product"
    return node.operation.level


def transposed(node):
    """The symbol of a node's transpose."""
    if node.given_name is None and node.operation is TRANSPOSE and node.factor == 1:
        return symbol(node.parents[0])
    text = symbol(node)
    if _is_gram(node):
        return text
    if _level(node) != "atom":
        return f"({text}){TRANSPOSED}"
    return _transposed_text(text)


def _is_gram(node):
    """Whether it is a matrix times its own transpose: symmetric."""
    if node.given_name is not None or node.operation is not MATMUL:
        return False
    first, second = node.parents
    return second.operation is TRANSPOSE and second.parents == (first,)


def _transposed_text(text):
    if text.endswith(TRANSPOSED):
        return text.removesuffix(TRANSPOSED)
    if text.endswith("^{-1}"):
        return text.removesuffix("^{-1}") + r"^{-\mathrm{T}}"
    if "^" in re.sub(r"\{.*\}", "", text):
        return f"({text}){TRANSPOSED}"
    return f"{text}{TRANSPOSED}"


def barred(node):
    """The symbol of the loss's gradient with respect to a node."""
    text = symbol(node)
    simple = re.fullmatch(r"(\\?[A-Za-z]+)(_\{?\w+\}?)?", text)
    if simple and (len(simple[1]) == 1 or simple[1][1:] in GREEK):
        return rf"\bar{{{simple[1]}}}{simple[2] or ''}"
    return rf"\overline{{{text}}}"


def coefficient(number):
    """A number in front of a product: nothing for 1, a fraction for a half."""
    if number in (1, -1):
        return "" if number == 1 else "-"
    if abs(number) in (0.5, 0.25):
        return ("-" if number < 0 else "") + rf"\frac{{1}}{{{1 / abs(number):g}}}\,"
    text = f"{number:.3g}"
    if "e" in text:
        digits, power = text.split("e")
        text = rf"{digits} \cdot 10^{{{int(power)}}}"
    return rf"{text}\,"


def backward_formula(node, uses):
    """What comes back to a node: one term for each of its uses.

    Parameters
    ----------
    node : Node
        The node.

    uses : dict of Node to list of (Node, int)
        For each node its children, and as which argument of theirs.

    Returns
    -------
    formula : str
        Mathtext; ``"1"`` for the graph's output.
    """
    terms = [_term(child, position, uses) for child, position in uses[node]]
    if not terms:
        return "1"
    joined = terms[0]
    for term in terms[1:]:
        joined += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
    return joined


def _term(child, position, uses):
    operation = child.operation
    if len(operation.backward) <= position or not operation.backward[position][1]:
        described = re.sub(r"([_#%$&{}^\\])", r"\\\1", operation.name)
        return rf"\mathrm{{{described}}}_{{{position + 1}}}^\ast({barred(child)})"
    number, template = operation.backward[position]
    number = number * child.factor
    if child.shape == ():  # an elementwise product of scalars is a product
        template = template.replace(r" \odot ", r"\,")
    one = backward_formula(child, uses) == "1"
    if one:  # a factor that says nothing
        for factor in (r"{g}\,", r"{Tg}\,", r"\,{g}", r"{g} \odot "):
            template = template.replace(factor, "")
        template = template.replace(" {g}", " ")
    bar = "1" if one else barred(child)
    back = "1" if one else _transposed_text(bar)
    text = _filled(template, child.parents, g=bar, Tg=back)
    if text == "1" and number not in (1, -1):
        return coefficient(number).removesuffix(r"\,")
    return coefficient(number) + text


def _filled(template, parents, **gradients):
    """A template with the parents' symbols, and those of a gradient."""
    arguments = [_argument(p, i, template) for i, p in enumerate(parents)]
    transposes = {f"T{i}": transposed(p) for i, p in enumerate(parents)}
    return template.format(*arguments, **transposes, **gradients)
