"""Writes made-up clicks in the layout of Yoochoose, for measuring: python docs/dev/yoochoose_clicks.py N FOLDER

Nine tenths of the N clicks go into yoochoose-clicks.dat, the rest into yoochoose-test.dat. Session lengths are
geometric (mean 4), items follow Zipf's law over 50,000, starts spread evenly over 180 days; a tenth of the clicks
repeat the item before them. The same N gives the same bytes.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

ITEMS = 50_000
DAYS = 180
CHUNK = 1_000_000  # clicks that are in memory at a time


def chunk(clicks: int, first_session: int, random: np.random.Generator) -> pl.DataFrame:
    """So many clicks of whole sessions, the last one cut."""
    lengths = random.geometric(0.25, clicks)
    lengths = lengths[: np.searchsorted(np.cumsum(lengths), clicks) + 1]
    session = np.repeat(np.arange(len(lengths)), lengths)[:clicks]
    starts = random.integers(0, DAYS * 86_400_000, len(lengths))
    pauses = random.exponential(90_000, clicks).astype(np.int64) + 1000
    ends = np.cumsum(pauses)
    first = np.concatenate([[True], session[1:] != session[:-1]])
    time = starts[session] + ends - ends[first][session]
    item = np.minimum(np.exp(random.random(clicks) * np.log(ITEMS)).astype(np.int64), ITEMS - 1)
    item[1:] = np.where((random.random(clicks - 1) < 0.1) & ~first[1:], item[:-1], item[1:])
    moment = (pl.lit(1_396_310_400_000) + pl.col("time")).cast(pl.Datetime("ms"))
    return pl.DataFrame({"session": first_session + session, "time": time, "item": 214_500_000 + item}).select(
        "session", moment.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").alias("time"), "item", pl.lit("0").alias("category")
    )


def main(clicks: int, folder: Path) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.Generator(np.random.PCG64(0))
    session = 1
    for name, wanted in (("yoochoose-clicks.dat", clicks - clicks // 10), ("yoochoose-test.dat", clicks // 10)):
        with (folder / name).open("wb") as file:
            for begin in range(0, wanted, CHUNK):
                part = chunk(min(CHUNK, wanted - begin), session, random)
                part.write_csv(file, include_header=False)
                session = int(part["session"][-1]) + 1


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
