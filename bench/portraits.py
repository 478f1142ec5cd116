"""Portraits rendered a second. Usage: python bench/portraits.py [--size 64] [--workers 2] [-n 1000]; prints json."""

from __future__ import annotations

import argparse
import json
import os
import time

from gannotate.data.portraits import render_many


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("-n", type=int, default=1000)
    chosen = parser.parse_args()
    begin = time.perf_counter()
    count = sum(1 for _ in render_many(range(chosen.n), chosen.size, "natural", False, workers=chosen.workers))
    seconds = time.perf_counter() - begin
    figures = {"pictures": count, "seconds": round(seconds, 2), "pictures_per_s": round(count / seconds, 1)}
    print(
        json.dumps({**figures, "size_px": chosen.size, "workers": chosen.workers, "load_average": os.getloadavg()[0]})
    )


if __name__ == "__main__":
    main()
