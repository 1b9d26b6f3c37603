#!/usr/bin/env python3
"""JPEG files to features on disk: tl-run beside a plain script, and beside what neither can beat.

    features.py TL_RUN IMAGES MODEL LIBRARY [ROUNDS]

IMAGES is a folder of class folders, MODEL a network with the input of ImageNet's MobileNet (224x224,
x / 127.5 - 1) and an inner tensor `features`, LIBRARY the onnxruntime library that tl-run loads; the
script uses the one of its own package, which should be the same version.

Each round runs, one after the other and each in a process of its own:
  plain   Pillow, NumPy and onnxruntime in batches of 32, as most people write it
  tl-run  a pipeline of one `extract` stage, results in a fresh folder
  bound   onnxruntime alone on tensors in memory, plus decoding alone divided by the cores
Told are the medians over rounds and their ratios. Times are of the wall.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from PIL import Image

BATCH = 32


def files(images):
    return sorted(path for path in Path(images).rglob("*") if path.suffix in {".jpeg", ".jpg", ".png"})


def decode(path):
    pixels = np.asarray(Image.open(path).convert("RGB").resize((224, 224)), dtype=np.float32)
    return (pixels / 127.5 - 1.0).transpose(2, 0, 1)


def session(model):
    graph = onnx.load(model)
    if all(output.name != "features" for output in graph.graph.output):
        graph.graph.output.append(onnx.ValueInfoProto(name="features"))
    return onnxruntime.InferenceSession(graph.SerializeToString())


def plain(images, model, target):
    run = session(model)
    name = run.get_inputs()[0].name
    paths = files(images)
    rows = []
    for first in range(0, len(paths), BATCH):
        batch = np.stack([decode(path) for path in paths[first : first + BATCH]])
        rows.append(run.run(["features"], {name: batch})[0])
    np.save(target, np.concatenate(rows))


PIPELINE = """
name: features
seeds: 1
datasets:
  images:
    image_folder: {{ path: "{images}" }}
    split: {{ train: 0.6, val: 0.2, test: 0.2 }}
models:
  base:
    onnx: "{model}"
    input: {{ size: 224, channels: 3, scale: 127.5, mean: 1 }}
stages:
  codes:
    extract: {{ model: base, dataset: images, layers: [features] }}
"""


def timed(command):
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    told = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(told.decode())
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def bound(images, model):
    """Seconds of decoding all images, shared by all cores, and of the network alone."""
    paths = files(images)
    began = time.perf_counter()
    for path in paths:
        Image.open(path).convert("RGB")
    decoding = time.perf_counter() - began
    run = session(model)
    name = run.get_inputs()[0].name
    batch = np.stack([decode(path) for path in paths[:BATCH]])
    run.run(["features"], {name: batch})
    began = time.perf_counter()
    for _ in range(0, len(paths), BATCH):
        run.run(["features"], {name: batch})
    print(time.perf_counter() - began + decoding / os.cpu_count())


def main():
    if sys.argv[1] == "--plain":
        return plain(*sys.argv[2:5])
    if sys.argv[1] == "--bound":
        return bound(*sys.argv[2:4])
    program, images, model, library = [str(Path(path).resolve()) for path in sys.argv[1:5]]
    rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 5
    ours, theirs, limits = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            target = str(Path(folder, "features.npy"))
            theirs.append(timed([sys.executable, __file__, "--plain", images, model, target]))
            pipeline = Path(folder, "features.yaml")
            pipeline.write_text(PIPELINE.format(images=images, model=model))
            results = str(Path(folder, "results"))
            command = [program, str(pipeline), "--results", results, "--runtime", library]
            ours.append(timed(command))
        limit = [sys.executable, __file__, "--bound", images, model]
        limits.append(float(subprocess.run(limit, check=True, capture_output=True).stdout))
    median = lambda runs, column: statistics.median(run[column] for run in runs)
    for name, runs in [("plain", theirs), ("tl-run", ours)]:
        wall, cpu, memory = (median(runs, column) for column in range(3))
        print(f"{name:7} {wall:7.2f} s wall  {cpu:7.2f} s cpu  {memory:5.0f} MB at most")
    limit = statistics.median(limits)
    print(f"bound   {limit:7.2f} s")
    ratios = lambda pairs: statistics.median(a / b for a, b in pairs)
    print(f"plain / tl-run: {ratios([(a[0], b[0]) for a, b in zip(theirs, ours)]):.2f}")
    print(f"tl-run / bound: {ratios([(a[0], b) for a, b in zip(ours, limits)]):.2f}")


if __name__ == "__main__":
    main()
