#!/usr/bin/env python3
"""One training step, all layers trained: tl-run beside PyTorch at its best.

    ORT_DYLIB_PATH=/path/to/libonnxruntime.so python benches/peers/training_step.py [NETWORK ...]

Needs torch and torchvision (and onnxscript or onnx, which the export asks for); builds the Rust
side itself with cargo. Without names all networks are measured; --rounds N and --threads N.

Both sides train the same network from the same ONNX export: cross-entropy, batch statistics, SGD
with momentum 0.9. PyTorch runs eager, with channels last and compiled, each in a process of its own,
and the fastest of the three counts. All processes stay loaded and take turns of a few steps, so that
whatever else the machine does meets each of them alike. Told are medians over all steps:

    wall     milliseconds a step by the wall
    cpu      milliseconds of processor time a step (the fairer figure on a machine that others use)
    ratio    PyTorch's best divided by tl-run's: above 1, tl-run is faster
    own      share of a step that is not the runtime's: batches, labels, bookkeeping
    memory   peak of each process; the ratio is tl-run's divided by that of PyTorch's fastest mode

PyTorch's threads wait as they do by default, spinning, which its processor time counts. Set
TL_RUN_KERNELS=off to see the step without kernels of our own.
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

MODES = ["eager", "channels_last", "compile"]
ROOT = Path(__file__).resolve().parents[2]


def mobilenet_v1(width=0.25, classes=1000):
    from torch import nn

    def wide(channels):
        return int(channels * width)

    def block(before, after, stride):
        return [
            nn.Conv2d(before, before, 3, stride, 1, groups=before, bias=False),
            nn.BatchNorm2d(before),
            nn.ReLU6(),
            nn.Conv2d(before, after, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU6(),
        ]

    first = wide(32)
    layers = [nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU6()]
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
    plan += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
    for channels, stride in plan:
        layers += block(first, wide(channels), stride)
        first = wide(channels)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(first, classes))


def resnet20(classes=10):
    from torch import nn

    class Block(nn.Module):
        def __init__(self, before, after, stride):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(before, after, 3, stride, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
                nn.Conv2d(after, after, 3, 1, 1, bias=False),
                nn.BatchNorm2d(after),
            )
            self.skip = nn.Sequential()
            if before != after:
                self.skip = nn.Sequential(
                    nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
                )
            self.relu = nn.ReLU()

        def forward(self, x):
            return self.relu(self.body(x) + self.skip(x))

    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    before = 16
    for after in [16, 32, 64]:
        for index in range(3):
            layers.append(Block(before, after, 2 if index == 0 and after > 16 else 1))
            before = after
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))


def small_vit(classes=10, side=64, patch=8, width=128, depth=4, heads=4):
    import torch
    from torch import nn

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
            self.out = nn.Linear(width, width)

        def forward(self, x):
            tokens = (side // patch) ** 2

            def split(y):
                return y.reshape(-1, tokens, heads, width // heads).transpose(1, 2)

            q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
            weights = torch.softmax(q @ k.transpose(-2, -1) * (width // heads) ** -0.5, dim=-1)
            return self.out((weights @ v).transpose(1, 2).reshape(-1, tokens, width))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attention = Attention()
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
            )

        def forward(self, x):
            x = x + self.attention(self.first(x))
            return x + self.mlp(self.second(x))

    class Vit(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, width, patch, patch)
            self.place = nn.Parameter(0.02 * torch.randn(1, (side // patch) ** 2, width))
            self.blocks = nn.Sequential(*[Block() for _ in range(depth)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

        def forward(self, x):
            x = self.patches(x).flatten(2).transpose(1, 2) + self.place
            return self.head(self.norm(self.blocks(x)).mean(1))

    return Vit()


def networks():
    """Name: (constructor, batch, side, classes, steps in a turn)."""
    import torchvision

    def vision(name):
        return lambda: getattr(torchvision.models, name)(weights=None)

    return {
        "resnet18": (vision("resnet18"), 16, 224, 1000, 2),
        "mobilenet_v2": (vision("mobilenet_v2"), 16, 224, 1000, 2),
        "squeezenet1_1": (vision("squeezenet1_1"), 16, 224, 1000, 3),
        "mobilenet_v1_0.25": (mobilenet_v1, 16, 224, 1000, 6),
        "cifar_resnet20": (resnet20, 32, 32, 10, 10),
        "small_vit": (small_vit, 32, 64, 10, 8),
    }


def make(name):
    import torch

    torch.manual_seed(0)
    model = networks()[name][0]()
    # tl-run leaves Dropout out while it trains.
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    # The export makes one of tensors that are equal, as those of fresh normalisations are.
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            if tensor.is_floating_point():
                tensor.add_(1e-3 * torch.rand_like(tensor))
    return model


def export(name, path):
    import torch

    # The older of the two exporters is asked for: it leaves operators as they are written.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    _, _, side, _, _ = networks()[name]
    torch.onnx.export(
        make(name).eval(),
        (torch.randn(2, 3, side, side),),
        path,
        dynamo=False,
        # Neither folds BatchNorm into convolutions nor trains while it traces.
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        opset_version=17,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
    )


def work(name, mode, threads):
    """A process of PyTorch: trains as many steps as each line says."""
    import torch

    torch.set_num_threads(threads)
    _, batch, side, classes, _ = networks()[name]
    model = make(name).train()
    x = torch.randn(batch, 3, side, side)
    if mode == "channels_last":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    labels = torch.arange(batch) % classes
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    forward = torch.compile(model) if mode == "compile" else model

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(forward(x), labels)
        loss.backward()
        optimiser.step()
        return loss.item()

    step()
    print("ready", flush=True)
    for line in sys.stdin:
        walls, before = [], time.process_time()
        for _ in range(int(line)):
            start = time.perf_counter()
            step()
            walls.append(1e3 * (time.perf_counter() - start))
        cpu = 1e3 * (time.process_time() - before)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(" ".join(f"{w:.3f}" for w in walls) + f";{cpu:.3f};{memory}", flush=True)


def rust_bench():
    command = ["cargo", "bench", "--bench", "training_step", "--no-run", "--message-format=json"]
    made = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    for line in made.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "training_step":
            return message["executable"]
    sys.exit("cargo built no bench `training_step`")


class Runner:
    """A process that trains when it is told to."""

    def __init__(self, command):
        environment = os.environ | {"RUST_BACKTRACE": "0"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=environment, **pipes)
        self.walls, self.cpus, self.own, self.memory = [], [], 0.0, 0
        self.alive = self.answer() == "ready"

    def answer(self):
        return self.process.stdout.readline().strip()

    def turn(self, steps, count):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        walls, cpu, memory = self.answer().split(";")
        if count:
            self.walls += [float(wall) for wall in walls.split()]
            self.cpus.append(float(cpu) / steps)
            self.memory = int(memory)

    def end(self):
        self.process.stdin.close()
        # tl-run tells the loop's own share at the end.
        self.own = float(self.answer() or 0.0)
        self.process.wait()


def measure(name, binary, folder, given):
    _, batch, _, classes, usual = networks()[name]
    steps, rounds, threads = given.steps or usual, given.rounds, given.threads
    model = os.path.join(folder, name + ".onnx")
    export(name, model)
    worker = [sys.executable, __file__, "--worker", name, str(threads)]
    runners = {"tl-run": Runner([binary, "--peer", model, str(classes), str(batch), str(threads)])}
    runners |= {mode: Runner([*worker, mode]) for mode in given.modes.split(",")}
    runners = {who: runner for who, runner in runners.items() if runner.alive}
    for turn in range(-1, rounds):
        for runner in runners.values():
            runner.turn(steps, turn >= 0)
    for runner in runners.values():
        runner.end()
    return runners


def tell(name, runners):
    wall = {who: statistics.median(runner.walls) for who, runner in runners.items()}
    cpu = {who: statistics.median(runner.cpus) for who, runner in runners.items()}
    for who in runners:
        memory = runners[who].memory / 1024
        print(f"  {name:18} {who:14} wall {wall[who]:9.1f}  cpu {cpu[who]:9.1f}  {memory:7.0f} MB")
    if "tl-run" not in runners:
        print(f"  {name:18} cannot be trained")
        return None
    theirs = [who for who in runners if who != "tl-run"]
    best = min(theirs, key=wall.get)
    least = min(theirs, key=cpu.get)
    ratios = wall[best] / wall["tl-run"], cpu[least] / cpu["tl-run"]
    memory = runners["tl-run"].memory / runners[best].memory
    own = runners["tl-run"].own
    print(
        f"  {name:18} ratio: wall {ratios[0]:.2f} ({best}), cpu {ratios[1]:.2f} ({least}); "
        f"memory {memory:.2f}; own {100 * own:.1f} %",
        flush=True,
    )
    return ratios


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, help="steps in a turn, if not as many as suit a network")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--binary", help="the bench, if it is built already")
    given = parser.parse_args()
    binary = given.binary or rust_bench()
    names = given.networks or list(networks())
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            found.append(tell(name, measure(name, binary, folder, given)))
    found = [ratios for ratios in found if ratios]
    for index, what in enumerate(["wall", "cpu"]):
        logs = [math.log(ratios[index]) for ratios in found]
        if logs:
            mean = math.exp(statistics.fmean(logs))
            print(f"geometric mean of {len(logs)} ratios, {what}: {mean:.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(sys.argv[2], sys.argv[4], int(sys.argv[3]))
    else:
        main()
