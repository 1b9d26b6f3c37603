#!/usr/bin/env python3
"""LogME of 5,000 items of 512 features: tl-run beside NumPy.

    python benches/peers/transferability.py [--rounds N] [--threads N] [--program PATH]

Needs numpy; builds the Rust side itself with cargo unless it is named. NumPy computes as the authors'
code does by default: the singular values of the features by those of their Gram matrix, then the
fixed point for each class, with the same matrix library that NumPy was installed with. Both sides
read the same file, stay loaded and take turns, so that whatever else the machine does meets both
alike. Told are medians:

    wall     milliseconds by the wall
    cpu      milliseconds of processor time of all threads
    ratio    NumPy's divided by tl-run's: above 1, tl-run is faster
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

ITEMS, FEATURES, CLASSES = 5000, 512, 10


def built():
    command = ["cargo", "bench", "--bench", "transferability", "--no-run", "--message-format=json"]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    parts = [json.loads(line) for line in told.splitlines()]
    own = [part for part in parts if part.get("target", {}).get("name") == "transferability"]
    return [part["executable"] for part in own if part.get("executable")][-1]


def log_me(np, features, labels):
    """Mean evidence of the classes; ends where the relative change of alpha / beta is 1e-3."""
    count, size = features.shape
    _, squares, axes = np.linalg.svd(features.T @ features)
    values = np.sqrt(squares)
    along = features @ axes.T
    rank = int((values > 1e-10).sum())
    values, left = values[:rank], along[:, :rank] / values[:rank]
    squares = values**2
    evidences = []
    for label in np.unique(labels):
        target = (labels == label).astype(np.float64)
        parts = (left.T @ target) ** 2
        rest = (target**2).sum() - parts.sum()
        alpha = beta = 1.0
        for _ in range(11):
            ratio = alpha / beta
            gamma = (squares / (squares + ratio)).sum()
            weights = (squares * parts / (ratio + squares) ** 2).sum()
            residual = (parts / (1 + squares / ratio) ** 2).sum() + rest
            alpha = gamma / (weights + 1e-5)
            beta = (count - gamma) / (residual + 1e-5)
            evidence = size / 2 * np.log(alpha) + count / 2 * np.log(beta)
            evidence -= 0.5 * np.log(alpha + beta * squares).sum()
            evidence -= beta / 2 * residual + alpha / 2 * weights + count / 2 * np.log(2 * np.pi)
            if abs(alpha / beta - ratio) / ratio <= 1e-3:
                break
        evidences.append(evidence / count)
    return float(np.mean(evidences))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--program", help="the built bench")
    told = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(told.threads)
    import numpy as np

    random = np.random.default_rng(0)
    labels = np.arange(ITEMS) % CLASSES
    means = 0.3 * random.standard_normal((CLASSES, FEATURES))
    features = means[labels] + random.standard_normal((ITEMS, FEATURES))
    with tempfile.NamedTemporaryFile() as file:
        features.tofile(file.name)
        sizes = [str(value) for value in (ITEMS, FEATURES, CLASSES, told.threads)]
        command = [told.program or built(), "--peer", file.name, *sizes]
        rust = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        ours, theirs = [], []
        for _ in range(told.rounds + 1):
            rust.stdin.write("go\n")
            wall, cpu, value = (float(part) for part in rust.stdout.readline().split(";"))
            ours.append((wall, cpu))
            began, before = time.perf_counter(), time.process_time()
            other = log_me(np, features, labels)
            theirs.append((time.perf_counter() - began, time.process_time() - before))
            if abs(value - other) > 1e-6:
                sys.exit(f"tl-run says {value}, NumPy {other}")
        rust.stdin.close()
        rust.wait()
    print(f"LogME {value:.8f}, {told.threads} threads, {told.rounds} rounds, NumPy {np.__version__}")
    for at, name in enumerate(("wall", "cpu")):
        # The first of each warms up.
        mine = statistics.median(round[at] for round in ours[1:]) * 1e3
        other = statistics.median(round[at] for round in theirs[1:]) * 1e3
        print(f"{name:<5} tl-run {mine:7.1f} ms   NumPy {other:7.1f} ms   ratio {other / mine:.2f}")


if __name__ == "__main__":
    main()
