"""Dense convolutions of training beside ONNX Runtime's operators and PyTorch, in one run.

For each layer the processor time of one thread in milliseconds, the least of some runs, for the
result, the gradient of the input and that of the weights: our kernels, ONNX Runtime (Conv,
ConvTranspose, and for the weights a slice and a MatMul for each tap, as the graph is written
without kernels), and PyTorch with channels last. Processor time, because the clock on the wall
counts whatever else the machine does.

    cargo bench --no-run --bench convolution
    python benches/peers/convolution.py target/release/deps/convolution-… [part of a layer's name]
"""

import math
import subprocess
import sys
import time

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper

# Name, items, inputs, outputs, side, kernel, stride, pad.
LAYERS = [
    ("ResNet-18 stem 7×7/2", 16, 3, 64, 224, 7, 2, 3),
    ("ResNet-18 3×3 64 at 56", 16, 64, 64, 56, 3, 1, 1),
    ("ResNet-18 3×3/2 64→128", 16, 64, 128, 56, 3, 2, 1),
    ("ResNet-18 1×1/2 64→128", 16, 64, 128, 56, 1, 2, 0),
    ("ResNet-18 3×3 128 at 28", 16, 128, 128, 28, 3, 1, 1),
    ("ResNet-18 3×3/2 128→256", 16, 128, 256, 28, 3, 2, 1),
    ("ResNet-18 3×3 256 at 14", 16, 256, 256, 14, 3, 1, 1),
    ("ResNet-18 3×3/2 256→512", 16, 256, 512, 14, 3, 2, 1),
    ("ResNet-18 1×1/2 256→512", 16, 256, 512, 14, 1, 2, 0),
    ("ResNet-18 3×3 512 at 7", 16, 512, 512, 7, 3, 1, 1),
    ("SqueezeNet stem 3×3/2", 16, 3, 64, 224, 3, 2, 0),
    ("SqueezeNet 1×1 64→16 at 55", 16, 64, 16, 55, 1, 1, 0),
    ("SqueezeNet 1×1 16→64 at 55", 16, 16, 64, 55, 1, 1, 0),
    ("SqueezeNet 3×3 16→64 at 55", 16, 16, 64, 55, 3, 1, 1),
    ("SqueezeNet 3×3 32→128 at 27", 16, 32, 128, 27, 3, 1, 1),
    ("SqueezeNet 3×3 64→256 at 13", 16, 64, 256, 13, 3, 1, 1),
    ("SqueezeNet 1×1 512→64 at 13", 16, 512, 64, 13, 1, 1, 0),
    ("SqueezeNet 1×1 512→1000 at 13", 16, 512, 1000, 13, 1, 1, 0),
    ("MobileNetV2 stem 3×3/2", 16, 3, 32, 224, 3, 2, 1),
    ("MobileNetV2 1×1 32→16 at 112", 16, 32, 16, 112, 1, 1, 0),
    ("MobileNetV2 1×1 16→96 at 112", 16, 16, 96, 112, 1, 1, 0),
    ("MobileNetV2 1×1 96→24 at 56", 16, 96, 24, 56, 1, 1, 0),
    ("MobileNetV2 1×1 24→144 at 56", 16, 24, 144, 56, 1, 1, 0),
    ("MobileNetV2 1×1 144→32 at 28", 16, 144, 32, 28, 1, 1, 0),
    ("MobileNetV2 1×1 64→384 at 14", 16, 64, 384, 14, 1, 1, 0),
    ("MobileNetV2 1×1 960→160 at 7", 16, 960, 160, 7, 1, 1, 0),
    ("MobileNetV2 1×1 320→1280 at 7", 16, 320, 1280, 7, 1, 1, 0),
    ("MobileNetV1-0.25 1×1 8→16 at 112", 16, 8, 16, 112, 1, 1, 0),
    ("MobileNetV1-0.25 1×1 32→64 at 28", 16, 32, 64, 28, 1, 1, 0),
    ("MobileNetV1-0.25 1×1 128→128 at 14", 16, 128, 128, 14, 1, 1, 0),
    ("MobileNetV1-0.25 1×1 256→256 at 7", 16, 256, 256, 7, 1, 1, 0),
    ("ResNet-20 3×3 3→16 at 32", 32, 3, 16, 32, 3, 1, 1),
    ("ResNet-20 3×3 16 at 32", 32, 16, 16, 32, 3, 1, 1),
    ("ResNet-20 3×3/2 16→32", 32, 16, 32, 32, 3, 2, 1),
    ("ResNet-20 3×3 32 at 16", 32, 32, 32, 16, 3, 1, 1),
    ("ResNet-20 3×3 64 at 8", 32, 64, 64, 8, 3, 1, 1),
    ("ViT patches 16×16/16", 16, 3, 192, 224, 16, 16, 0),
]
ROUNDS = 3
RUNS = 3


def least(run):
    """The least processor time of some runs, in milliseconds."""
    times = []
    for _ in range(RUNS):
        start = time.thread_time()
        run()
        times.append((time.thread_time() - start) * 1e3)
    return min(times)


def session(nodes, inputs, outputs, constants=()):
    port = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        nodes,
        "layer",
        [port(name, array.shape) for name, array in inputs.items()],
        [port(name, None) for name in outputs],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    made = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: made.run(None, inputs)


def weights_by_taps(x, dy, side, kernel, stride, pad):
    """The gradient of the weights by a slice and a product for each tap."""
    items, inputs = x.shape[:2]
    outputs, high = dy.shape[1], dy.shape[2]
    constants, nodes, products = [], [], []

    def integers(name, values):
        constants.append(onnx.numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    node = lambda *a, **k: nodes.append(helper.make_node(*a, **k))
    node("Pad", ["x", integers("pads", [0, 0, pad, pad] * 2)], ["padded"])
    node("Transpose", ["padded"], ["last"], perm=[0, 2, 3, 1])
    node("Transpose", ["dy"], ["first"], perm=[1, 0, 2, 3])
    node("Reshape", ["first", integers("left", [outputs, -1])], ["rows"])
    for tap in ((r, s) for r in range(kernel) for s in range(kernel)):
        name = f"tap{tap[0]}_{tap[1]}"
        ends = [t + (high - 1) * stride + 1 for t in tap]
        node(
            "Slice",
            [
                "last",
                integers(f"{name}_from", tap),
                integers(f"{name}_to", ends),
                integers(f"{name}_axes", [1, 2]),
                integers(f"{name}_steps", [stride] * 2),
            ],
            [f"{name}_piece"],
        )
        shape = integers(f"{name}_shape", [-1, inputs])
        node("Reshape", [f"{name}_piece", shape], [f"{name}_columns"])
        node("MatMul", ["rows", f"{name}_columns"], [name])
        products.append(name)
    node("Concat", products, ["dw"], axis=1)
    return session(nodes, {"x": x, "dy": dy}, ["dw"], constants)


def runtime_runs(x, w, dy, side, kernel, stride, pad):
    settings = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
    left = side + 2 * pad - (dy.shape[2] - 1) * stride - kernel
    conv = helper.make_node("Conv", ["x", "w"], ["y"], **settings)
    turned = helper.make_node(
        "ConvTranspose", ["dy", "w"], ["dx"], output_padding=[left] * 2, **settings
    )
    return [
        session([conv], {"x": x, "w": w}, ["y"]),
        session([turned], {"dy": dy, "w": w}, ["dx"]),
        weights_by_taps(x, dy, side, kernel, stride, pad),
    ]


def torch_runs(x, w, dy, stride, pad):
    last = lambda a: torch.from_numpy(a).to(memory_format=torch.channels_last)
    x, w, dy = last(x), last(w), last(dy)

    def gradient(wanted):
        return lambda: torch.ops.aten.convolution_backward(
            dy, x, w, None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1, wanted
        )

    return [
        lambda: torch.nn.functional.conv2d(x, w, None, stride, pad),
        gradient([True, False, False]),
        gradient([False, True, False]),
    ]


def measure(ours, layer):
    """Times of ours, the runtime's and PyTorch's, for result, input and weights."""
    name, items, inputs, outputs, side, kernel, stride, pad = layer
    draw = np.random.default_rng(0).standard_normal
    x = draw((items, inputs, side, side), np.float32)
    w = draw((outputs, inputs, kernel, kernel), np.float32)
    high = (side + 2 * pad - kernel) // stride + 1
    dy = draw((items, outputs, high, high), np.float32)
    runtime = runtime_runs(x, w, dy, side, kernel, stride, pad)
    peer = torch_runs(x, w, dy, stride, pad)
    best = np.full((3, 3), math.inf)
    for _ in range(ROUNDS):
        print(*layer[1:], file=ours.stdin, flush=True)
        own = [float(word) for word in ours.stdout.readline().split()]
        times = [own, [least(run) for run in runtime], [least(run) for run in peer]]
        best = np.minimum(best, times)
    return best


def main():
    torch.set_num_threads(1)
    pipe = subprocess.PIPE
    ours = subprocess.Popen([sys.argv[1]], stdin=pipe, stdout=pipe, text=True)
    print("| layer | result | of input | of weights | PyTorch's / ours |")
    print("|---|---|---|---|---|")
    ratios = []
    for layer in LAYERS:
        if len(sys.argv) > 2 and sys.argv[2] not in layer[0]:
            continue
        best = measure(ours, layer)
        cells = [" / ".join(f"{t:.2f}" for t in column) for column in best.T]
        ratio = best[2] / best[0]
        ratios.append(ratio)
        told = " · ".join(f"{r:.2f}" for r in ratio)
        print(f"| {layer[0]} | {' | '.join(cells)} | {told} |", flush=True)
    mean = np.exp(np.mean(np.log(ratios), axis=0))
    print(f"\nGeometric means of PyTorch's / ours: {' · '.join(f'{r:.2f}' for r in mean)}")


main()
