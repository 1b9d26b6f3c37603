#!/usr/bin/env python3
"""A probe fitted for all values of a grid: tl-run beside scikit-learn.

    python benches/peers/probes.py [TASK ...]

Needs scikit-learn; builds the Rust side itself with cargo. Tasks are logistic, linear_svm and
rbf_svm; all of them without names. --rounds N, --threads N, --sizes N_ITEMSxFEATURES,..., --cold
(scikit-learn's logistic regressions start from zero each, as `LogisticRegression` does if it is not
told otherwise), --tolerance T (of logistic regression).

Both sides fit the same made, seeded features, of the same grid, at the same tolerance, with the same
number of threads, each in a process of its own, and predict a thousand other items for each value:

    logistic    45 values from 1e-6 to 1e5, as DINOv2's; both go up the grid from warm starts
    linear_svm  one against the rest, squared hinge, penalised bias, the 16 values 2^-19 to 2^-4
    rbf_svm     one against one, C of .1 to 1000, the usual gamma

Told are, for each size of features:

    wall, cpu   seconds of both sides, medians over the rounds, and scikit-learn's divided by tl-run's:
                above 1, tl-run is faster
    memory      what each process needs beyond the features, at its peak
    above       the largest share by which an objective of tl-run's lies above scikit-learn's; at
                most 0 but for rounding. (Of rbf_svm none: scikit-learn does not tell its own.)
    below       the largest share by which one lies below: what scikit-learn's tolerance left
    alike       share of predictions that are the same

On a machine that others use, processor time is the fairer figure.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SIZES = ["5000x512", "2000x1280", "20000x256"]
CLASSES = 10
TEST = 1000
GRIDS = {
    "logistic": [10 ** (-6 + 11 * k / 44) for k in range(45)],
    "linear_svm": [2.0**k for k in range(-19, -3)],
    "rbf_svm": [0.1, 1.0, 10.0, 100.0, 1000.0],
}
TOLERANCES = {"logistic": 1e-4, "linear_svm": 1e-4, "rbf_svm": 1e-3}


def make(items, width, path):
    """Classes that overlap, seen through a random layer with a rectifier, standardised."""
    import numpy as np

    random = np.random.default_rng(items + width)
    latent, count = 48, items + TEST
    labels = random.integers(0, CLASSES, count)
    means = 0.5 * random.standard_normal((CLASSES, latent))
    seen = means[labels] + 1.6 * random.standard_normal((count, latent))
    layer = random.standard_normal((latent, width)) / np.sqrt(latent)
    features = np.maximum(seen @ layer + 0.3 * random.standard_normal(width), 0)
    features += 0.15 * random.standard_normal((count, width))
    features = (features - features[:items].mean(0)) / features[:items].std(0)
    with open(path, "wb") as file:
        file.write(np.array([items, TEST, width, CLASSES], dtype="<u8").tobytes())
        file.write(features.astype("<f8").tobytes())
        file.write(labels.astype("<u8").tobytes())


def read(path):
    import numpy as np

    content = Path(path).read_bytes()
    items, test, width, _ = (int(value) for value in np.frombuffer(content[:32], "<u8"))
    count = (items + test) * width
    features = np.frombuffer(content, "<f8", count, 32).reshape(items + test, width)
    labels = np.frombuffer(content, "<u8", items + test, 32 + 8 * count).astype(np.int64)
    return features[:items].copy(), labels[:items], features[items:].copy()


def logistic(train, labels, test, tolerance, cold):
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(tol=tolerance, max_iter=1000, warm_start=not cold)

    def objective(cost, fitted):
        scores = fitted.decision_function(train)
        most = scores.max(1, keepdims=True)
        sums = np.log(np.exp(scores - most).sum(1)) + most[:, 0]
        losses = sums - scores[np.arange(len(labels)), labels]
        return cost * losses.sum() + 0.5 * (fitted.coef_**2).sum()

    return model, objective


def linear_svm(train, labels, test, tolerance, cold):
    import numpy as np
    from sklearn.svm import LinearSVC

    def objective(cost, fitted):
        scores = fitted.decision_function(train)
        signs = np.where(labels[:, None] == np.arange(CLASSES), 1, -1)
        losses = np.maximum(0, 1 - signs * scores) ** 2
        return cost * losses.sum() + 0.5 * ((fitted.coef_**2).sum() + (fitted.intercept_**2).sum())

    return LinearSVC(tol=tolerance), objective


def rbf_svm(train, labels, test, tolerance, cold):
    from sklearn.svm import SVC

    return SVC(tol=tolerance, gamma="scale", cache_size=1000), None


def peer(task, path, tolerance, grid, cold):
    """scikit-learn's side, in a process of its own."""
    warnings.filterwarnings("ignore")
    train, labels, test = read(path)
    model, objective = {"logistic": logistic, "linear_svm": linear_svm, "rbf_svm": rbf_svm}[task](
        train, labels, test, tolerance, cold
    )
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    before, wall, cpu, rows = peak(), 0.0, 0.0, []
    for cost in grid:
        from_wall, from_cpu = time.perf_counter(), time.process_time()
        model.set_params(C=cost)
        model.fit(train, labels)
        classes = model.predict(test)
        wall += time.perf_counter() - from_wall
        cpu += time.process_time() - from_cpu
        value = objective(cost, model) if objective else None
        rows.append({"objective": value, "classes": classes.tolist()})
    print(json.dumps({"seconds": wall, "cpu": cpu, "memory": peak() - before, "rows": rows}))


def build():
    command = ["cargo", "bench", "--bench", "probes", "--no-run", "--message-format=json"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    for line in done.stdout.splitlines():
        told = json.loads(line)
        if told.get("executable") and told["target"]["name"] == "probes":
            return told["executable"]
    sys.exit("cargo built no bench")


def run(command, threads):
    limits = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]
    environment = dict(os.environ, **{name: str(threads) for name in limits})
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout)


def compare(task, size, executable, options):
    items, width = (int(part) for part in size.split("x"))
    tolerance = TOLERANCES[task]
    if task == "logistic" and options.tolerance:
        tolerance = options.tolerance
    grid = ",".join(repr(cost) for cost in GRIDS[task])
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "features")
        make(items, width, path)
        theirs, ours = [], []
        for _ in range(options.rounds):
            own = [executable, task, path, repr(tolerance), str(options.threads), grid]
            ours.append(run(own, options.threads))
            other = [sys.executable, __file__, "--peer", task, path, repr(tolerance), grid]
            theirs.append(run(other + ["--cold"] * options.cold, options.threads))
    report(task, size, theirs, ours)


def report(task, size, theirs, ours):
    print(f"{task} {size}")
    for name, key in [("wall", "seconds"), ("cpu", "cpu")]:
        other, own = (statistics.median(run[key] for run in side) for side in (theirs, ours))
        print(f"  {name:7} scikit-learn {other:9.2f} s  tl-run {own:9.2f} s  ratio {other / own:6.2f}")
    other, own = (max(run["memory"] for run in side) / 2**20 for side in (theirs, ours))
    print(f"  memory  scikit-learn {other:9.0f} MiB tl-run {own:9.0f} MiB")
    pairs = list(zip(theirs[0]["rows"], ours[0]["rows"]))
    gaps = [
        own["objective"] / other["objective"] - 1
        for other, own in pairs
        if other["objective"] is not None
    ]
    if gaps:
        print(f"  above   {max(gaps):.1e}   below {-min(gaps):.1e}")
    same = [a == b for other, own in pairs for a, b in zip(other["classes"], own["classes"])]
    print(f"  alike   {sum(same) / len(same):.4f}   capped {sum(own['capped'] for _, own in pairs)}")
    sys.stdout.flush()


def main():
    if "--peer" in sys.argv:
        task, path, tolerance, grid = sys.argv[2:6]
        costs = [float(cost) for cost in grid.split(",")]
        return peer(task, path, float(tolerance), costs, "--cold" in sys.argv)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--tolerance", type=float)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--executable", help="the built bench, if cargo is not to be asked")
    options = parser.parse_args()
    unknown = set(options.tasks) - set(GRIDS)
    if unknown:
        parser.error(f"no such task: {', '.join(sorted(unknown))}")
    executable = options.executable or build()
    for task in options.tasks or GRIDS:
        for size in options.sizes.split(","):
            items = int(size.split("x")[0])
            if task == "rbf_svm" and items > 10_000:
                continue
            compare(task, size, executable, options)


if __name__ == "__main__":
    main()
