"""What a comparison with a reference costs: against sorting both sides, scipy's loop, and four libraries.

All in processor time, medians of interleaved rounds. Half of the 20 features drift, by different amounts.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
from scipy.stats import ks_2samp

from labkit.observe.drift import Reference
from tests.benchmarks.drift_peers import PACKAGES, Peer

__all__ = ["benchmark_chunks", "benchmark_memory", "benchmark_tables", "benchmark_windows"]

ROUNDS = 5
FEATURES = 20
GOALS = {
    100_000: {"sorting both sides": "at most 2.5", "scipy": "1/10", "evidently": "1/80", "nannyml": "1/2"},
    1_000_000: {"sorting both sides": "at most 2.5", "scipy": "1/10"},
    500: {"scipy": "1/100", "alibi-detect": "1/100", "evidently": "1/2000", "nannyml": "1/6"},
}

Row = dict[str, object]


def rows(n: int, seed: int, *, drift: bool) -> np.ndarray:
    shifts = np.where(np.arange(FEATURES) % 2, np.linspace(0.05, 1, FEATURES), 0.0) if drift else 0.0
    return np.random.default_rng(seed).normal(size=(n, FEATURES)) + shifts


def benchmark_tables() -> list[Row]:
    """Compare 100,000 and 1,000,000 rows with as many: KS, p and PSI, the reference not yet sorted."""
    small = rows(100_000, 0, drift=False), rows(100_000, 1, drift=True)
    calm = small[0], rows(100_000, 1, drift=False)
    large = rows(1_000_000, 0, drift=False), rows(1_000_000, 1, drift=True)
    return [
        *measured("100,000 x 20", small, {"sorting both sides": sort, "scipy": scipy_loop}, list(PACKAGES)),
        *measured("100,000 x 20, no drift", calm, {"scipy": scipy_loop}, [], goals={"scipy": "1/4"}),
        *measured("1,000,000 x 20", large, {"sorting both sides": sort, "scipy": scipy_loop}, [], rounds=3),
    ]


def benchmark_windows() -> list[Row]:
    """Compare windows of 500 rows with a reference of 100,000 that each library was given before."""
    reference, current = rows(100_000, 0, drift=False), rows(500, 1, drift=True)
    prepared = Reference(reference)
    return measured(
        "window of 500 x 20",
        (reference, current),
        {"scipy": scipy_loop},
        list(PACKAGES),
        ours=lambda _, b: prepared.scores(b),
    )


def one_shot(reference: np.ndarray, current: np.ndarray) -> object:
    return Reference(reference).scores(current)


def sort(reference: np.ndarray, current: np.ndarray) -> None:
    np.sort(np.ascontiguousarray(reference.T))
    np.sort(np.ascontiguousarray(current.T))


def scipy_loop(reference: np.ndarray, current: np.ndarray) -> None:
    for first, second in zip(reference.T, current.T, strict=True):
        ks_2samp(first, second)


def measured(
    name: str,
    sides: tuple[np.ndarray, np.ndarray],
    local: dict[str, Callable],
    peers: list[str],
    *,
    ours: Callable = one_shot,
    goals: dict[str, str] | None = None,
    rounds: int = ROUNDS,
) -> Iterator[Row]:
    goals = GOALS.get(len(sides[1]), {}) if goals is None else goals
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{side}.npy") for side in ("reference", "current")]
        for file, side in zip(files, sides, strict=True):
            np.save(file, side)
        asked = {key: (lambda call=call: processor_seconds(call, sides)) for key, call in local.items()}
        running, missing = start(peers, files)
        asked |= {key: peer.seconds for key, peer in running.items()}
        try:
            found = {key: [] for key in asked}
            for _ in range(rounds):
                for key, ask in asked.items():
                    found[key].append((processor_seconds(ours, sides), ask()))
        finally:
            for peer in running.values():
                peer.close()
    for key, pairs in found.items():
        yield row(f"{name} against {key}", pairs, goals.get(key, "none, for information"))
    for key in missing:
        yield {
            "name": f"{name} against {key}: missing, not installed",
            "ours": "",
            "peer": "",
            "ratio": 1.0,
            "goal": "",
        }


def start(peers: list[str], files: list[Path]) -> tuple[dict[str, Peer], list[str]]:
    """Start each peer and warm it up; returns those that run and the names of those that do not."""
    running, missing = {}, []
    for name in peers:
        try:
            running[name] = Peer(name, *files)
            running[name].seconds()
        except (subprocess.CalledProcessError, OSError, RuntimeError):
            if name in running:
                running.pop(name).close()
            missing.append(name)
    return running, missing


def processor_seconds(call: Callable, sides: tuple[np.ndarray, np.ndarray]) -> float:
    """Return the seconds of a call, the mean of as many as take 50 ms together."""
    calls, started = 0, time.process_time()
    while not calls or time.process_time() - started < 0.05:
        call(*sides)
        calls += 1
    return (time.process_time() - started) / calls


# ru_maxrss would do, were it not that of the process that started this one where that is larger.
MEASURE = """
import re
from pathlib import Path
from tests.benchmarks import bench_drift as bench
bench.{call}
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def peak_mib(call: str) -> float:
    """Return the peak memory of a process that makes a call of this module."""
    done = subprocess.run([sys.executable, "-c", MEASURE.format(call=call)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def benchmark_memory() -> list[Row]:
    """Compare the peak memory of one comparison of 1,000,000 rows, rows included, with scipy's loop."""
    sides = "(bench.rows(1_000_000, 0, drift=False), bench.rows(1_000_000, 1, drift=True))"
    ours, peer = peak_mib(f"one_shot(*{sides})"), peak_mib(f"scipy_loop(*{sides})")
    return [memory_row("peak memory, 1,000,000 x 20 against scipy", ours, peer, "at most 1.5")]


def benchmark_chunks() -> list[Row]:
    """Compare 20,000,000 rows, in chunks of 100,000, within 1 GiB."""
    return [
        memory_row("peak memory, 20,000,000 x 20 in chunks against 1 GiB", peak_mib("in_chunks()"), 1024, "at most 1")
    ]


def in_chunks() -> None:
    reference = Reference(rows(100_000, 0, drift=False))
    summary = reference.summary()
    for seed in range(200):
        summary.update(rows(100_000, seed, drift=True))
    if reference.compare(summary)["n_current"].tolist() != [20_000_000] * FEATURES:
        raise AssertionError("rows were lost")


def memory_row(name: str, ours: float, peer: float, goal: str) -> Row:
    return {"name": name, "ours": f"{ours:,.0f} MiB", "peer": f"{peer:,.0f} MiB", "ratio": ours / peer, "goal": goal}


def row(name: str, pairs: list[tuple[float, float]], goal: str) -> Row:
    ours, peer = (median(column) for column in zip(*pairs, strict=True))
    ratio = median(mine / other for mine, other in pairs)
    return {
        "name": name,
        "ours": f"{ours * 1e3:,.4g} ms",
        "peer": f"{peer * 1e3:,.4g} ms",
        "ratio": ratio,
        "goal": goal,
    }
