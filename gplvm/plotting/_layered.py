"""Layered layout of a graph: columns, their order, heights, and routes of edges.

Vertices are numbered; an edge leads from a vertex on the left to one further right.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

_SWEEPS = 24
_STARTS = 8
_STUB = 9.0  # an edge is horizontal for so long beside a column


class Layout(NamedTuple):
    """Where everything is, in the units of the sizes given.

    `x`, `y` of shape (n,) are centres; `width`, `height` are of the whole; `routes`
    has for each edge the ends of its horizontal pieces, of shape (2 k, 2): from its
    tail's right side to the end of that column, through each column that it passes,
    and from the start of its head's column to the head's left side; `crossings`
    counts the pairs of edges that cross.
    """

    x: np.ndarray
    y: np.ndarray
    width: float
    height: float
    routes: list
    crossings: int


def layered_layout(sizes, edges, *, gap=(44.0, 14.0), port=9.0):
    """Lay out a directed graph without cycles from left to right.

    Parameters
    ----------
    sizes : array-like of shape (n, 2)
        Width and height of each vertex.

    edges : list of (int, int)
        Tail and head of each edge; two edges may share both.

    gap : tuple of two float, default=(36.0, 14.0)
        Least distance between columns, and between boxes of a column.

    port : float, default=9.0
        Distance between the ends of two edges at one side of a vertex.

    Returns
    -------
    layout : Layout
        The places.
    """
    sizes = np.asarray(sizes, dtype=float)
    layers = _layers(len(sizes), edges)
    chains, pieces, layer_of = _with_dummies(layers, edges)
    order = _fewest_crossings(layer_of, pieces)
    heights = np.full(len(layer_of), 2.0)
    heights[: len(sizes)] = sizes[:, 1]
    ports = _ports(order, pieces, len(sizes), sizes[:, 1], port)
    y = _heights(order, pieces, ports, heights, gap[1], len(sizes))

    columns = [
        max((sizes[v, 0] for v in column if v < len(sizes)), default=0.0)
        for column in order
    ]
    left = np.cumsum([0.0, *(width + gap[0] for width in columns)])
    right = left[:-1] + columns
    x = (left[:-1] + right)[layer_of] / 2
    low = (y - heights / 2).min()
    y = y - low
    routes = []
    for chain in chains:
        tail, head = pieces[chain[0]][0], pieces[chain[-1]][1]
        start, end = y[tail] + ports[chain[0]][0], y[head] + ports[chain[-1]][1]
        starts, stops = left[:-1] - _STUB, right + _STUB
        passed = [pieces[piece][1] for piece in chain[:-1]]
        levels = [(x[tail] + sizes[tail, 0] / 2, stops[layer_of[tail]], start)]
        levels += [(starts[layer_of[v]], stops[layer_of[v]], y[v]) for v in passed]
        levels.append((starts[layer_of[head]], x[head] - sizes[head, 0] / 2, end))
        routes.append(
            np.array([(at, level) for a, b, level in levels for at in (a, b)])
        )
    n = len(sizes)
    height = float((y + heights / 2).max())
    width = float(left[-1] - gap[0])
    return Layout(x[:n], y[:n], width, height, routes, _crossings(order, pieces))


def _layers(n, edges):
    """Column of each vertex: as far to the right as its heads allow."""
    from_right = np.zeros(n, dtype=int)
    for _ in range(n):
        before = from_right.copy()
        for tail, head in edges:
            from_right[tail] = max(from_right[tail], from_right[head] + 1)
        if np.array_equal(before, from_right):
            return from_right.max() - from_right
    raise ValueError("the graph has a cycle")


def _with_dummies(layers, edges):
    """Cut long edges into pieces from column to column, by vertices of no size."""
    layer_of, pieces, chains = list(layers), [], []
    for tail, head in edges:
        chain, last = [], tail
        for column in range(layers[tail] + 1, layers[head]):
            layer_of.append(column)
            chain.append(len(pieces))
            pieces.append((last, len(layer_of) - 1))
            last = len(layer_of) - 1
        chain.append(len(pieces))
        pieces.append((last, head))
        chains.append(chain)
    return chains, pieces, np.array(layer_of)


def _fewest_crossings(layer_of, pieces):
    """Order within each column: barycentres, swept both ways from several starts."""
    neighbours = [([], []) for _ in layer_of]
    for tail, head in pieces:
        neighbours[tail][1].append(head)
        neighbours[head][0].append(tail)
    rng = np.random.default_rng(0)
    best, fewest = None, np.inf
    for start in range(_STARTS):
        order = [
            list(np.flatnonzero(layer_of == column))
            for column in range(max(layer_of) + 1)
        ]
        if start:
            for column in order:
                rng.shuffle(column)
        for sweep in range(_SWEEPS):
            _sweep(order, neighbours, forwards=sweep % 2 == 0)
            _swap(order, pieces)
            crossings = _crossings(order, pieces)
            if crossings < fewest:
                best, fewest = [list(column) for column in order], crossings
            if fewest == 0:
                return best
    return best


def _sweep(order, neighbours, *, forwards):
    """Sort each column by the mean place of its neighbours in the one before."""
    side = 0 if forwards else 1
    columns = range(1, len(order)) if forwards else range(len(order) - 2, -1, -1)
    for column in columns:
        other = order[column - 1 if forwards else column + 1]
        place = {vertex: i / max(len(other) - 1, 1) for i, vertex in enumerate(other)}
        here = order[column]
        stay = {vertex: i / max(len(here) - 1, 1) for i, vertex in enumerate(here)}
        key = {
            vertex: np.mean([place[u] for u in neighbours[vertex][side]])
            if neighbours[vertex][side]
            else stay[vertex]
            for vertex in here
        }
        here.sort(key=key.get)


def _swap(order, pieces):
    """Exchange neighbours of a column while that removes crossings."""
    improved = _crossings(order, pieces) > 0
    while improved:
        improved = False
        for column in order:
            for i in range(len(column) - 1):
                before = _crossings(order, pieces)
                column[i], column[i + 1] = column[i + 1], column[i]
                if before and _crossings(order, pieces) < before:
                    improved = True
                else:
                    column[i], column[i + 1] = column[i + 1], column[i]


def _crossings(order, pieces):
    place = {vertex: i for column in order for i, vertex in enumerate(column)}
    layer = {vertex: c for c, column in enumerate(order) for vertex in column}
    count = 0
    for column in range(len(order) - 1):
        ends = np.array(
            [(place[a], place[b]) for a, b in pieces if layer[a] == column]
        ).reshape(-1, 2)
        tails = ends[:, None, 0] - ends[None, :, 0]
        heads = ends[:, None, 1] - ends[None, :, 1]
        count += int(np.sum(tails * heads < 0)) // 2
    return count


def _ports(order, pieces, n_vertices, heights, distance):
    """Where each piece leaves its tail and meets its head, from their centres."""
    place = {vertex: i for column in order for i, vertex in enumerate(column)}
    ports = [[0.0, 0.0] for _ in pieces]
    for end in (0, 1):
        at = {}
        for index, piece in enumerate(pieces):
            at.setdefault(piece[end], []).append(index)
        for vertex, indices in at.items():
            if vertex >= n_vertices or len(indices) == 1:
                continue
            indices.sort(key=lambda i: place[pieces[i][1 - end]])
            room = min(distance, 0.7 * heights[vertex] / (len(indices) - 1))
            for k, index in enumerate(indices):
                ports[index][end] = (k - (len(indices) - 1) / 2) * room
    return ports


def _heights(order, pieces, ports, heights, gap, n_vertices):
    """y of every vertex, such that the edges are as straight as the boxes allow.

    A linear programme: min sum_e w_e |y_head - y_tail| subject to the order and the
    gaps within columns. It makes edges straight rather than all of them a little
    bent; long ones weigh most.
    """
    n, m = len(heights), len(pieces)
    rows, bounds = [], []
    cost = np.concatenate([np.zeros(n), np.ones(m)])
    for e, ((tail, head), (out, into)) in enumerate(zip(pieces, ports, strict=True)):
        cost[n + e] = 1.0 + 3.0 * ((tail >= n_vertices) + (head >= n_vertices))
        shift = into - out
        rows += [{head: 1, tail: -1, n + e: -1}, {head: -1, tail: 1, n + e: -1}]
        bounds += [-shift, shift]
    for column in order:
        for upper, lower in pairwise(column):
            room = (heights[upper] + heights[lower]) / 2 + gap
            rows.append({upper: 1, lower: -1})
            bounds.append(-room)
    matrix = sparse.lil_matrix((len(rows), n + m))
    for i, row in enumerate(rows):
        for j, value in row.items():
            matrix[i, j] = value
    if not rows:
        return np.zeros(n)
    limits = [(None, None)] * n + [(0, None)] * m
    limits[0] = (0, 0)
    solution = linprog(cost, A_ub=matrix.tocsr(), b_ub=bounds, bounds=limits)
    return solution.x[:n]
