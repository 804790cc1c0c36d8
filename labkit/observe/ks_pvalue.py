"""P-values of Kolmogorov and Smirnov's distance as scipy gives them, at a cost that does not grow with the rows.

``scipy.stats.kstwo.sf`` adds up n terms as soon as ``n * D**2 >= 2.2``, which is just when there is drift. From 700 on
that sum is an integral here, taken with 80 points. All features of a comparison are one array.
"""

import math
from functools import lru_cache

import numpy as np
from scipy.special import gammaln
from scipy.stats import kstwo

__all__ = ["asymptotic_p_values"]

_FEW = 140  # up to here scipy takes exact methods
_MANY = 700  # from here on the integral differs from the sum by less than 1e-11
_POINTS = np.linspace(-1, 1, 80)


def asymptotic_p_values(distances: np.ndarray, n_first: np.ndarray | int, n_second: np.ndarray | int) -> np.ndarray:
    """Return what ``ks_2samp(method="asymp")`` gives for two-sided ``distances`` (n_features,), within 1e-9 relative.

    Which formula serves where is from Simard and L'Ecuyer (2011), "Computing the two-sided Kolmogorov-Smirnov
    distribution", and the limits between them are scipy's.
    """
    x = np.asarray(distances, dtype=np.float64)
    product, total = np.multiply(n_first, n_second, dtype=np.float64), np.add(n_first, n_second, dtype=np.float64)
    n = np.broadcast_to(np.round(product / total), x.shape)
    z_squared = n * x * x
    p = np.where(n * x > 1, 0.0, 1.0)  # beyond z_squared = 370, and where the distance is next to nothing
    usual = (n > _FEW) & (n * x > 1) & (x < 0.5)
    tail = usual & (z_squared >= 2.2) & (z_squared < 370)
    # The series errs by less than 1e-9 of p where scipy takes it, and below z = 0.25 with many rows.
    body = usual & (z_squared < 2.2) & ((n * x**1.5 > 1.4) | ((z_squared < 0.06) & (n > 5000)))
    rare = ~tail & ~body & ~((n > _FEW) & ((n * x <= 1) | (z_squared >= 370) & (x < 0.5)))
    p[tail] = 2 * _one_sided(n[tail], x[tail])
    p[body] = 1 - _pelz_good(n[body], x[body])
    few = rare & (n > _FEW) & (x < 0.5)
    p[few] = [1 - _exact(int(rows), distance) for rows, distance in zip(n[few], x[few], strict=True)]
    rare &= ~few
    p[rare] = kstwo.sf(x[rare], n[rare]) if rare.any() else 0.0
    return np.clip(p, 0.0, 1.0)


def _one_sided(n: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the chance that one side of the distance is x or more: Smirnov's sum over j = 0 ... n (1 - x).

    Its terms are binomial(n, j) (j / n + x)^(j - 1) (1 - x - j / n)^(n - j) x.
    """
    many = n >= _MANY
    p = np.empty_like(x)
    if many.any():
        p[many] = _integral(n[many, None], x[many, None])
    for rows in np.unique(n[~many]):
        p[n == rows] = _sum(int(rows), x[n == rows, None])
    return p


def _sum(n: int, x: np.ndarray) -> np.ndarray:
    shares, log_binomials = _terms(n)
    left = 1 - x - shares[:-1]
    logs = np.arange(-1, n - 1) * np.log(shares[:-1] + x)
    logs += np.arange(n, 0, -1) * np.log(left, out=np.full_like(left, -np.inf), where=left > 0)
    return x[:, 0] * np.sum(np.exp(logs + log_binomials[:-1]), axis=1)


@lru_cache(maxsize=64)
def _terms(n: int) -> tuple[np.ndarray, np.ndarray]:
    j = np.arange(n + 1)
    return j / n, gammaln(n + 1) - gammaln(j + 1) - gammaln(n - j + 1)


def _integral(n: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Integrate the terms over u, with j = n t and t = (1 - x) / (1 + exp(-u)).

    They vanish like exp(-n x^2 cosh(u)) at both ends, so that the trapezoidal rule is exact but for rounding.
    ``logs`` is written with differences of nearly equal numbers taken first, and Stirling's formula with its error.
    """
    reach = np.arccosh(1 + 45 / (n * x * x)) + 1  # beyond it the terms are below exp(-45) of the largest
    u = reach * _POINTS
    share = 1 / (1 + np.exp(-u))
    t = (1 - x) * share
    j, rest = n * t, n * (x + (1 - x) * (1 - share))
    logs = (j * np.log1p(x / t) - n * x) + (rest * np.log1p(-n * x / rest) + n * x)
    logs += _stirling_error(n) - _stirling_error(j) - _stirling_error(rest)
    weights = np.sqrt(n / (2 * np.pi * j * rest)) * x / (x + t) * j * (1 - share)
    return np.sum(np.exp(logs) * weights, axis=1) * reach[:, 0] * (_POINTS[1] - _POINTS[0])


def _stirling_error(n: np.ndarray) -> np.ndarray:
    """Return log(n!) less Stirling's formula for it (Loader, 2000)."""
    inverse = 1 / (n * n)
    error = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / n
    small = n < 30
    m = n[small]
    error[small] = gammaln(m + 1) - (m + 0.5) * np.log(m) + m - 0.5 * math.log(2 * math.pi)
    return error


def _exact(n: int, x: float) -> float:
    """Return the chance of a distance below x as an entry of a power of Durbin's matrix.

    It is that of Marsaglia, Tsang and Wang (2003), "Evaluating Kolmogorov's distribution". Their factor n! / n^n is
    taken into the matrix, so that neither overflows.
    """
    k = math.ceil(n * x)
    h, size = k - n * x, 2 * k - 1
    powers = h ** np.arange(1, size + 1)
    rises = np.subtract.outer(np.arange(size), np.arange(size)) + 1
    matrix = (rises >= 0).astype(np.float64)
    matrix[:, 0] -= powers
    matrix[-1] -= powers[::-1]
    matrix[-1, 0] += max(2 * h - 1, 0) ** size
    matrix *= np.exp((gammaln(n + 1) - n * math.log(n)) / n - gammaln(np.maximum(rises, 0) + 1))
    return float(np.linalg.matrix_power(matrix, n)[k - 1, k - 1])


def _pelz_good(n: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the chance of a distance below x by the series of Pelz and Good (1976), to the power n^(-3/2)."""
    z = np.sqrt(n) * x
    # One row for each power of k, summed over k: enough terms for z up to 1.5.
    odd, even = (np.pi * (np.arange(8) + 0.5)) ** 2, (np.pi * np.arange(1, 9)) ** 2
    at_odd, at_even = (np.exp(-squares / (2 * z[:, None] ** 2)) for squares in (odd, even))
    sums = [at_odd @ odd**power for power in range(4)]
    z2, z4, z6 = z**2, z**4, z**6
    first = sums[0] / z
    second = (sums[1] - z2 * sums[0]) / (6 * z4)
    third = (6 * z6 + 2 * z4) * sums[0] + (2 * z4 - 5 * z2) * sums[1] + (1 - 2 * z2) * sums[2]
    third = third / (72 * z**7) - at_even @ even / (36 * z**3)
    fourth = (5 - 30 * z2) * sums[3] + (212 * z4 - 60 * z2) * sums[2]
    fourth += (135 * z4 - 96 * z6) * sums[1] - (30 * z6 + 90 * z4 * z4) * sums[0]
    fourth = fourth / (6480 * z**10) + (3 * z2 * (at_even @ even) - at_even @ even**2) / (216 * z6)
    return math.sqrt(2 * math.pi) * (first + second / np.sqrt(n) + third / n + fourth / n**1.5)
