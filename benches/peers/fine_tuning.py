#!/usr/bin/env python3
"""JPEG files to a fine-tuned network with its lower three quarters frozen: tl-run beside PyTorch.

    fine_tuning.py TL_RUN IMAGES LIBRARY [NETWORK] [ROUNDS]

IMAGES is a folder of class folders, of which the first 1,000 files are taken (800 train, 100 val,
100 test); LIBRARY the onnxruntime library that tl-run loads; NETWORK `mobilenet_v1` (width 0.25,
the default) or `resnet18`. Needs torch, torchvision and onnx. Weights are random, drawn once and
exported, so all three train the same network; only the time is of interest.

Each round runs, one after the other and each in a process of its own, ten epochs of batch 32 with
momentum, a look at val after each:
  recompute  PyTorch, channels last; two workers decode, the frozen part runs anew in each epoch
  cache      PyTorch, channels last; images decoded and the frozen part run once, features in memory
  tl-run     a pipeline of one `fine_tune` stage, results in a fresh folder
Told are the medians over rounds and their ratios. Times are of the wall.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EPOCHS, BATCH, TRAIN, VAL, RATE = 10, 32, 800, 100, 0.01


def images_of(folder, count=1000):
    files = (path for path in Path(folder).rglob("*") if path.suffix in {".jpeg", ".jpg", ".png"})
    # Every class in its share, and the same files each time.
    chosen = sorted(files, key=lambda path: (hash_of(path.name), path.name))
    return chosen[:count]


def hash_of(text):
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


def network(name):
    """The network as (frozen part, part that learns)."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    if name == "resnet18":
        import torchvision

        whole = torchvision.models.resnet18(weights=None)
        frozen = nn.Sequential(
            whole.conv1, whole.bn1, whole.relu, whole.maxpool, whole.layer1, whole.layer2, whole.layer3
        )
        return frozen, nn.Sequential(whole.layer4, whole.avgpool, nn.Flatten(), nn.Linear(512, 2))

    def unit(before, after, stride=1, groups=1, kernel=3):
        return [
            nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]

    def separable(before, after, stride):
        return nn.Sequential(
            *unit(before, before, stride, groups=before), *unit(before, after, kernel=1)
        )

    plan = [(8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2)]
    plan += [(128, 128, 1)] * 5 + [(128, 256, 2), (256, 256, 1)]
    blocks = [separable(*block) for block in plan]
    frozen = nn.Sequential(nn.Sequential(*unit(3, 8, 2)), *blocks[:10])
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 2)]
    return frozen, nn.Sequential(*blocks[10:], *head)


def decode(path):
    import numpy as np
    import torch
    from PIL import Image

    pixels = np.asarray(Image.open(path).convert("RGB").resize((224, 224)), dtype=np.float32)
    return torch.from_numpy((pixels / 127.5 - 1.0).transpose(2, 0, 1).copy())


class Images:
    def __init__(self, paths):
        self.paths = paths
        classes = sorted({path.parent.name for path in paths})
        self.labels = [classes.index(path.parent.name) for path in paths]

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return decode(self.paths[index]), self.labels[index]


def peer(name, folder, cached):
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    torch.set_num_threads(os.cpu_count())
    frozen, learning = network(name)
    frozen.eval().to(memory_format=torch.channels_last)
    learning.to(memory_format=torch.channels_last)
    paths = images_of(folder)
    parts = [Images(paths[:TRAIN]), Images(paths[TRAIN : TRAIN + VAL])]
    loader = lambda part, shuffle: DataLoader(part, BATCH, shuffle=shuffle, num_workers=2)

    def lift(batch):
        with torch.no_grad():
            return frozen(batch.to(memory_format=torch.channels_last))

    if cached:

        def features(part):
            pieces = [(lift(batch), labels) for batch, labels in loader(part, False)]
            return TensorDataset(*(torch.cat(column) for column in zip(*pieces)))

        parts = [features(part) for part in parts]
        train = DataLoader(parts[0], BATCH, shuffle=True)
        val = DataLoader(parts[1], BATCH)
    else:
        train, val = loader(parts[0], True), loader(parts[1], False)
    enter = (lambda batch: batch) if cached else lift
    optimiser = torch.optim.SGD(learning.parameters(), RATE, momentum=0.9)
    loss = torch.nn.functional.cross_entropy
    for _ in range(EPOCHS):
        learning.train()
        for batch, labels in train:
            optimiser.zero_grad(set_to_none=True)
            loss(learning(enter(batch)), labels).backward()
            optimiser.step()
        learning.eval()
        with torch.no_grad():
            sum(loss(learning(enter(batch)), labels) for batch, labels in val)


PIPELINE = """
name: fine_tuning
seeds: 1
datasets:
  images:
    image_folder: {{ path: "{images}" }}
    split: {{ train: 0.8, val: 0.1, test: 0.1 }}
models:
  base:
    onnx: "{model}"
    input: {{ size: 224, channels: 3, scale: 127.5, mean: 1 }}
    layers: {{ cut: "{cut}" }}
stages:
  tuned:
    fine_tune:
      model: base
      dataset: images
      freeze: cut
      epochs: {epochs}
      batch: {batch}
      lr: [{rate}]
      optimizer: {{ sgd: {{}} }}
      schedule: constant
      patience: 0
"""


def export(name, folder):
    """The network as ONNX, and the tensor below which it is frozen."""
    import onnx
    import torch

    frozen, learning = network(name)
    whole = torch.nn.Sequential(frozen, learning).eval()
    target = str(Path(folder, "network.onnx"))
    torch.onnx.export(
        whole,
        (torch.zeros(1, 3, 224, 224),),
        target,
        dynamo=False,
        opset_version=17,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        input_names=["x"],
        output_names=["scores"],
        dynamic_axes={"x": {0: "n"}, "scores": {0: "n"}},
    )
    nodes = onnx.load(target).graph.node
    # The last node of the frozen part: names carry the path of the module.
    last = [node for node in nodes if node.name.startswith("/0/")][-1]
    return target, last.output[0]


def timed(command):
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    told = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(told.decode())
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    if sys.argv[1] in {"--recompute", "--cache"}:
        return peer(sys.argv[2], sys.argv[3], sys.argv[1] == "--cache")
    program, images, library = [str(Path(path).resolve()) for path in sys.argv[1:4]]
    name = sys.argv[4] if len(sys.argv) > 4 else "mobilenet_v1"
    rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 3
    runs = {"recompute": [], "cache": [], "tl-run": []}
    with tempfile.TemporaryDirectory() as folder:
        model, cut = export(name, folder)
        chosen = Path(folder, "images")
        for path in images_of(images):
            target = chosen / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target) if os.stat(path).st_dev == os.stat(folder).st_dev else target.write_bytes(
                path.read_bytes()
            )
        fields = dict(images=chosen, model=model, cut=cut, epochs=EPOCHS, batch=BATCH, rate=RATE)
        pipeline = Path(folder, "fine_tuning.yaml")
        pipeline.write_text(PIPELINE.format(**fields))
        for index in range(rounds):
            for kind in ["recompute", "cache"]:
                command = [sys.executable, __file__, f"--{kind}", name, str(chosen)]
                runs[kind].append(timed(command))
            results = str(Path(folder, f"results{index}"))
            command = [program, str(pipeline), "--results", results, "--runtime", library]
            runs["tl-run"].append(timed(command))
    median = lambda kind, column: statistics.median(run[column] for run in runs[kind])
    for kind in runs:
        wall, cpu, memory = (median(kind, column) for column in range(3))
        print(f"{kind:9} {wall:7.2f} s wall  {cpu:7.2f} s cpu  {memory:5.0f} MB at most")
    for kind in ["recompute", "cache"]:
        ratio = statistics.median(a[0] / b[0] for a, b in zip(runs[kind], runs["tl-run"]))
        print(f"{kind} / tl-run: {ratio:.2f}")


if __name__ == "__main__":
    main()
