"""Load a server for minutes at a steady rate, reload its model three times meanwhile, and print memory and errors.

python docs/dev/soak.py FOLDER RATE MINUTES

FOLDER holds a fitted model whose item ids are numbers from 0 on, such as the bench makes. The server may keep 5,000
sessions and 2,500 states, so that both limits are reached within minutes.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np

from gru4rec_cli.bench.clicks import make_clicks
from gru4rec_cli.bench.load import arrival_times, send
from gru4rec_cli.bench.serving import click_requests, resident_memory

N_ITEMS = 43_000


def main() -> None:
    folder, rate, minutes = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    clicks = make_clicks(2 * N_ITEMS, N_ITEMS, 50_000)
    times = arrival_times(rate, 60 * minutes, np.random.default_rng(1))
    options = ["--port", "0", "--max-sessions", "5000", "--max-states", "2500"]
    server = subprocess.Popen(
        [sys.executable, "-m", "gru4rec_cli", "serve", str(folder), *options], stderr=subprocess.PIPE, text=True
    )
    assert server.stderr is not None
    started = next(found for line in server.stderr if (found := re.search(r"127\.0\.0\.1:(\d+)", line)))
    port = int(started[1])
    over = threading.Event()

    def watch() -> None:
        begin, reloads = time.monotonic(), 0
        while not over.wait(20):
            passed = time.monotonic() - begin
            print(f"{passed:.0f} s: {resident_memory(server.pid) / 1e6:.0f} MB, {reloads} reloads", flush=True)
            if reloads < 3 and passed > 60 * minutes * (reloads + 1) / 4:
                os.kill(server.pid, signal.SIGHUP)
                reloads += 1

    watcher = threading.Thread(target=watch)
    watcher.start()
    answered = send(port, click_requests(clicks), times)
    over.set()
    watcher.join()
    p50, p90, p99 = np.percentile(answered.latencies, (50, 90, 99)) * 1000
    print(f"{len(times):,} requests, {answered.errors} errors; p50 {p50:.1f}, p90 {p90:.1f}, p99 {p99:.1f} ms")
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    wanted = ("gru4rec_sessions", "gru4rec_warm", "gru4rec_reloads_total", "gru4rec_requests_total")
    print("\n".join(line for line in metrics.splitlines() if line.startswith(wanted)))
    server.send_signal(signal.SIGTERM)
    print("exit code", server.wait(30))


if __name__ == "__main__":
    main()
