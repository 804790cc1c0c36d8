"""Run every benchmark and print one table: ``python -m tests.benchmarks [part of a name …]``.

Every function ``benchmark_*`` of a module ``bench_*`` here returns rows with name, ours, peer, ratio (ours to peer, the
median of interleaved rounds) and goal. They measure and judge nothing.
"""

import sys
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table


def main(wanted: list[str]) -> None:
    """Run the benchmarks of the modules whose name holds one of ``wanted``, or all."""
    table = Table("benchmark", "ours", "peer", "ratio", "goal")
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        if wanted and not any(part in path.stem for part in wanted):
            continue
        module = import_module(f"tests.benchmarks.{path.stem}")
        for name in (name for name in vars(module) if name.startswith("benchmark_")):
            for row in getattr(module, name)():
                table.add_row(row["name"], row["ours"], row["peer"], f"1/{1 / row['ratio']:.1f}", row["goal"])
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
