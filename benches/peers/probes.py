#!/usr/bin/env python3
"""A probe fitted for all values of a grid: tl-run beside scikit-learn.

    python benches/peers/probes.py [TASK ...]

Needs scikit-learn; builds the Rust side itself with cargo. Tasks are logistic, linear_svm,
rbf_svm and knn; all of them without names. --rounds N, --threads N, --sizes N_ITEMSxFEATURES,..., --cold
(scikit-learn's logistic regressions start from zero each, as `LogisticRegression` does if it is not
told otherwise), --tolerance T (of logistic regression).

Both sides fit the same made, seeded features, of the same grid, at the same tolerance, with the same
number of threads, each in a process of its own, and predict a thousand other items for each value:

    logistic    45 values from 1e-6 to 1e5, as DINOv2's; both go up the grid from warm starts
    linear_svm  one against the rest, squared hinge, penalised bias, the 16 values 2^-19 to 2^-4
    rbf_svm     one against one, C of .1 to 1000, the usual gamma
    knn         the 1, 5 and 20 nearest by length, brute force; ties are broken differently

Told are, for each size of features:

    wall, cpu   seconds of both sides, medians over the rounds, and scikit-learn's divided by tl-run's:
                above 1, tl-run is faster
    memory      what each process needs beyond the features, at its peak
    above       the largest share by which an objective of tl-run's lies above scikit-learn's; at
                most 0 but for rounding. (Of rbf_svm none: scikit-learn does not tell its own; knn has none.)
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
    "knn": [1, 5, 20],
}
TOLERANCES = {"logistic": 1e-4, "linear_svm": 1e-4, "rbf_svm": 1e-3, "knn": 0.0}


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


def given(archive, path):
    """Features and labels of a NumPy archive: train, train_labels, test, test_labels."""
    import numpy as np

    with np.load(archive) as arrays:
        train, test = arrays["train"], arrays["test"]
        labels = np.concatenate([arrays["train_labels"], arrays["test_labels"]])
    scale = train.std(0)
    scale[scale == 0] = 1
    features = (np.concatenate([train, test]) - train.mean(0)) / scale
    with open(path, "wb") as file:
        shape = [len(train), len(test), train.shape[1], int(labels.max()) + 1]
        file.write(np.array(shape, dtype="<u8").tobytes())
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
        if scores.ndim == 1:
            # One sigmoid of w·x is a softmax of ±½ w·x, whose penalty is ¼ ‖w‖².
            losses = np.logaddexp(0, np.where(labels == 1, -scores, scores))
            return cost * losses.sum() + 0.25 * (fitted.coef_**2).sum()
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
        if scores.ndim == 1:
            # The machine of the other class is its mirror.
            losses = np.maximum(0, 1 - np.where(labels == 1, scores, -scores)) ** 2
            return 2 * cost * losses.sum() + (fitted.coef_**2).sum() + (fitted.intercept_**2).sum()
        signs = np.where(labels[:, None] == np.arange(CLASSES), 1, -1)
        losses = np.maximum(0, 1 - signs * scores) ** 2
        return cost * losses.sum() + 0.5 * ((fitted.coef_**2).sum() + (fitted.intercept_**2).sum())

    return LinearSVC(tol=tolerance), objective


def rbf_svm(train, labels, test, tolerance, cold):
    from sklearn.svm import SVC

    return SVC(tol=tolerance, gamma="scale", cache_size=1000), None


def knn(train, labels, test, tolerance, cold):
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(algorithm="brute"), None


def peer(task, path, tolerance, grid, cold):
    """scikit-learn's side, in a process of its own."""
    warnings.filterwarnings("ignore")
    train, labels, test = read(path)
    tasks = {"logistic": logistic, "linear_svm": linear_svm, "rbf_svm": rbf_svm, "knn": knn}
    model, objective = tasks[task](train, labels, test, tolerance, cold)
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    before, wall, cpu, rows = peak(), 0.0, 0.0, []
    for cost in grid:
        from_wall, from_cpu = time.perf_counter(), time.process_time()
        # Of two classes scikit-learn has one sigmoid, tl-run a softmax of both.
        halved = task == "logistic" and labels.max() == 1
        setting = {"C": 2 * cost if halved else cost}
        model.set_params(**({"n_neighbors": int(cost)} if task == "knn" else setting))
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
    tolerance = TOLERANCES[task]
    if task == "logistic" and options.tolerance:
        tolerance = options.tolerance
    grid = ",".join(repr(cost) for cost in GRIDS[task])
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "features")
        if options.features:
            given(size, path)
        else:
            make(*(int(part) for part in size.split("x")), path)
        theirs, ours = [], []
        for _ in range(options.rounds):
            own = [executable, "--peer", task, path, repr(tolerance), str(options.threads), grid]
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
    parser.add_argument("--features", action="append", metavar="NPZ", help="instead of made ones")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--executable", help="the built bench, if cargo is not to be asked")
    options = parser.parse_args()
    unknown = set(options.tasks) - set(GRIDS)
    if unknown:
        parser.error(f"no such task: {', '.join(sorted(unknown))}")
    executable = options.executable or build()
    for task in options.tasks or GRIDS:
        for size in options.features or options.sizes.split(","):
            is_large = not options.features and int(size.split("x")[0]) > 10_000
            if task == "rbf_svm" and is_large:
                continue
            compare(task, size, executable, options)


if __name__ == "__main__":
    main()
