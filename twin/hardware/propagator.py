"""Exact steps of a linear network of heat capacities with constant heat input."""

from typing import NamedTuple

import numpy as np

from twin.hardware.plane import Floats
from twin.spec.params.thermal import NODES, ThermalParams

__all__ = ["Network", "Propagator"]

TINY_WK = 1e-9
"""A network cut off from the surroundings has a singular matrix; this leak keeps it solvable."""


class Propagator(NamedTuple):
    """One step: T' = decay T + gain Q, with T relative to ambient, in K and W.

    Both are (nodes, nodes), or (bots, nodes, nodes) where the bots' networks differ.
    """

    decay: Floats
    gain: Floats


class Network:
    """The conductances of the params: C dT/dt = Q - (cool + exchange) T - sum k (T - Tj)."""

    def __init__(self, params: ThermalParams) -> None:
        nodes = [getattr(params, name) for name in NODES]
        self._capacity: Floats = np.array([node.heat_capacity_jk for node in nodes])
        self._cooling: Floats = np.array([node.cooling_wk for node in nodes])
        self._fixed: Floats = np.diag(np.full(len(NODES), params.exchange_wk + TINY_WK))
        for link in params.couplings:
            a, b, k = NODES.index(link.a), NODES.index(link.b), link.conductance_wk
            self._fixed[[a, b, a, b], [a, b, b, a]] += [k, k, -k, -k]

    def step(self, dt_s: float, cooling: Floats | None = None) -> Propagator:
        """Return the exact step of `dt_s`; `cooling` (bots, nodes) are fractions that work.

        With S = C^-1/2 G C^-1/2 = V diag(w) V^T symmetric and positive definite:
        decay = C^-1/2 V diag(exp(-w dt)) V^T C^1/2 and
        gain = C^-1/2 V diag((1 - exp(-w dt)) / w) V^T C^-1/2.
        """
        working = np.ones((1, len(NODES))) if cooling is None else cooling
        matrix: Floats = self._fixed + (working * self._cooling)[:, :, None] * np.eye(len(NODES))
        root = np.sqrt(self._capacity)
        scaled: Floats = matrix / root / root[:, None]
        solution = np.linalg.eigh(scaled)
        rates, modes = solution.eigenvalues.astype(float), solution.eigenvectors.astype(float)
        decay = _compose(modes, np.exp(-rates * dt_s)) * root / root[:, None]
        gain = _compose(modes, -np.expm1(-rates * dt_s) / rates) / root / root[:, None]
        return Propagator(decay[0], gain[0]) if cooling is None else Propagator(decay, gain)


def _compose(modes: Floats, diagonal: Floats) -> Floats:
    """Return V diag(d) V^T for each bot, summed in a fixed order."""
    total = np.zeros_like(modes)
    for m in range(modes.shape[-1]):
        column = modes[..., :, m]
        total += diagonal[..., m, None, None] * column[..., :, None] * column[..., None, :]
    return total
