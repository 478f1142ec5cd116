"""The benchmark as one command: every part beside the naive way or the peer, and how it grows.

    python bench/all.py                                          # everything, an hour of two idle cores
    python bench/all.py --quick --parts features,draw            # the smallest form of some parts
    python bench/all.py --device cuda --reference DIR --out FOLDER

Each way of each case runs in a process of its own with a fixed number of threads: a pass that warms up, then passes
whose median counts. Rows are kept in OUT/rows.jsonl as they come and never measured twice on the same kind of machine:
the same command goes on after a stop. OUT/table.md and OUT/bench-*.png are made of them, by `tools/result_bench.py` the
documentation's. On a busy machine compare CPU seconds, and ways with each other rather than days.

DIR is a checkout of NVlabs/stylegan2-ada-pytorch, which some parts then run too.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded here or in a child

import torch
from catalogue import PARTS
from growth import figures_of
from measure import How, show
from running import NAMES, ROWS, run
from tables import table

from gannotate.files import write_bytes, write_text
from gannotate.jsonlines import read_rows, write_rows


def main() -> None:
    """Measures what is missing, and writes table and plots."""
    flags = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or the process that measures would be left behind
    if flags.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no CUDA device here; leave --device out")
    names = flags.parts.split(",") if flags.parts else list(PARTS)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        sys.exit(f"no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    how = How(
        device=flags.device,
        threads=flags.threads,
        repeats=1 if flags.quick else flags.repeats,
        most_s=flags.most_s,
        reference=flags.reference,
    )
    path, broken = flags.out / ROWS, 0
    if flags.again:
        write_rows(path, [row for row in read_rows(path, NAMES) if "failed" not in row])
    for row in run({name: PARTS[name] for name in names}, how, flags.out, flags.quick, flags.limit_s):
        show({name: value for name, value in row.items() if name != "machine"})
        broken += "error" in row
    rows = read_rows(path, NAMES)
    write_text(flags.out / "table.md", "\n".join(table(PARTS, rows)) + "\n")
    for name, png in figures_of(PARTS, rows).items():
        write_bytes(flags.out / f"bench-{name}.png", png)
    if broken:
        sys.exit(f"{broken} ended with an error, see above; the same command tries them again")


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="", help=f"some of {','.join(PARTS)}; all when not given")
    parser.add_argument("--quick", action="store_true", help="the smallest form: one pass, the two smallest sizes")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--out", type=Path, default=Path("bench-results"), help="folder of rows, table and plots")
    parser.add_argument("--threads", type=int, default=1, help="threads a process")
    parser.add_argument("--repeats", type=int, default=5, help="timed passes")
    parser.add_argument("--most-s", type=float, default=10.0, help="CPU seconds after which no further pass begins")
    parser.add_argument("--limit-s", type=float, default=180.0, help="wall seconds after which a process is ended")
    parser.add_argument("--again", action="store_true", help="try again what took too long or too much memory")
    parser.add_argument("--reference", type=Path, metavar="DIR", help="checkout of NVlabs/stylegan2-ada-pytorch")
    return parser.parse_args()


if __name__ == "__main__":
    main()
