"""Simulated measurements of oil, water and gas in a pipe: 12 features, three regimes.

The geometry of the "oil flow" data [1]_: six narrow beams of gamma rays of two energies
cross the pipe, three upright and three level. The attenuations give the lengths of oil
and of water on each beam; photons are counted, so the lengths are noisy. The phases lie
in layers, in rings, or mixed; their fractions are uniform, two degrees of freedom.

References
----------
.. [1] C. M. Bishop and G. D. James, "Analysis of Multiphase Flows Using Dual-Energy
   Gamma Densitometry and Neural Networks", Nuclear Instruments and Methods in Physics
   Research A 327, 1993.
"""

import numpy as np

REGIMES = ("stratified", "annular", "homogeneous")

_OFFSETS = np.array([-0.6, 0.0, 0.6])  # of the beams from the axis, in radii
# Attenuation per radius (rows: the two energies) of oil and of water; gas has none.
_ATTENUATION = np.array([[0.9, 1.3], [0.5, 0.55]])
_PHOTONS = 1e5


def make_flow(n_samples=1000, random_state=0):
    """Noisy path lengths (n_samples, 12) and the regime of each row."""
    rng = np.random.default_rng(random_state)
    target = rng.integers(len(REGIMES), size=n_samples)
    fractions = rng.dirichlet(np.ones(3), size=n_samples)  # gas, oil, water
    makers = (_stratified, _annular, _homogeneous)
    lengths = np.array(
        [makers[t](*f) for t, f in zip(target, fractions, strict=True)]
    )  # (n, 6 beams, oil and water)
    counts = rng.poisson(_PHOTONS * np.exp(-lengths @ _ATTENUATION.T))
    measured = np.log(_PHOTONS / np.maximum(counts, 1)) @ np.linalg.inv(_ATTENUATION).T
    return measured.reshape(n_samples, 12), target


def _homogeneous(gas, oil, water):
    chords = np.tile(2.0 * np.sqrt(1.0 - _OFFSETS**2), 2)
    return chords[:, None] * np.array([oil, water])


def _annular(gas, oil, water):
    # Gas in the core, oil around it, water at the wall.
    inner, outer = np.sqrt(gas), np.sqrt(gas + oil)
    chord = [
        2.0 * np.sqrt(np.maximum(r**2 - _OFFSETS**2, 0.0)) for r in (inner, outer, 1)
    ]
    return np.tile(np.diff(chord, axis=0).T, (2, 1))


def _stratified(gas, oil, water):
    # Water below, gas above; the level at which the area below is a given share.
    heights = np.linspace(-1.0, 1.0, 2001)
    share = (np.arcsin(heights) + heights * np.sqrt(1.0 - heights**2)) / np.pi + 0.5
    low, high = np.interp([water, water + oil], share, heights)
    half = np.sqrt(1.0 - _OFFSETS**2)
    level = [np.clip(h, -half, half) for h in (-1.0, low, high)]
    upright = np.diff(level, axis=0)[::-1].T
    is_oil = (low <= _OFFSETS) & (high > _OFFSETS)
    is_water = low > _OFFSETS
    return np.vstack(
        [upright, 2.0 * half[:, None] * np.column_stack([is_oil, is_water])]
    )
