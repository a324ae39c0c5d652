"""Engines that could run the backbone: images per second, a lone casting, readiness, faithfulness.

    python -m benchmarks --only engines CASTING    # some five minutes

OpenVINO takes part where it is installed. Each engine runs minibatches of 32 on all cores, a
thread each, as the service does, in turn with eager bf16 (the median ratio counts), and then one
casting on all cores. Ready: from the trained network to the first answer. Accuracy, and the rank
correlation of BALD with that of eager fp32, are those on the published test castings.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from benchmarks.castings import at_the_start, with_head
from benchmarks.table import Row, show
from benchmarks.training import CLASSES, pixels, side
from models import uncertainty
from models.errors import first_line
from models.images import normalise
from models.network.backbone import Backbone, pool
from models.network.device import use_threads
from models.network.mc_dropout import posterior
from models.network.network import Network
from service.scoring.batch_scheduler import MAX_MINIBATCH

Engine = Callable[[Tensor], Tensor]
LOOK = at_the_start(tuple(CLASSES), "ok_front", 128).preprocessing
LABELS, TURNS, SECONDS = 250, 5, 2.0
WORK = f"backbone at {LOOK.size} px, minibatches of {MAX_MINIBATCH}"


def eager_fp32(network: Network, _: int) -> Engine:
    """The yardstick of faithfulness."""
    plain = Pooled(network.backbone)
    return lambda images: plain(images.contiguous(memory_format=torch.channels_last))


def eager(network: Network, _: int) -> Engine:
    """What training runs."""
    return network.pooled


def folded(network: Network, _: int) -> Engine:
    """Batch norms folded, bf16: what scoring runs."""
    return _in_bf16(network).pooled


def compiled(network: Network, _: int) -> Engine:
    """`torch.compile` on frozen bf16 weights."""
    import torch._inductor.config as inductor

    inductor.freezing = True
    plain = Pooled(_in_bf16(network).backbone).to(memory_format=torch.contiguous_format)
    run = torch.compile(plain)  # which lays tensors out itself
    return lambda images: run(images.bfloat16()).float()


def openvino(network: Network, streams: int) -> Engine:
    """OpenVINO in bf16, an inference request per thread."""
    import threading

    import openvino as ov

    example = torch.zeros(2, 1, LOOK.size, LOOK.size)
    model = ov.convert_model(Pooled(network.backbone), example_input=example)
    model.reshape([-1, 1, LOOK.size, LOOK.size])
    hint = "THROUGHPUT" if streams > 1 else "LATENCY"
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "PERFORMANCE_HINT": hint,
        "NUM_STREAMS": str(streams),
        "INFERENCE_NUM_THREADS": str(torch.get_num_threads()),
    }
    ready, thread = ov.Core().compile_model(model, "CPU", settings), threading.local()

    def run(images: Tensor) -> Tensor:
        if not hasattr(thread, "request"):
            thread.request = ready.create_infer_request()
        return torch.from_numpy(thread.request.infer({0: images.contiguous().numpy()})[0].copy())

    return run


ENGINES = (eager, folded, compiled, openvino)


def _in_bf16(network: Network) -> Network:
    return network.for_inference()


class Pooled(nn.Module):
    """A backbone without what chooses engine and precision."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.stages, self._statistics = backbone.stages, backbone.statistics

    def forward(self, images: Tensor) -> Tensor:
        """Pooled stages of normalised images."""
        return pool(self.stages(images), self._statistics)


def trained(folder: Path) -> tuple[Network, Tensor, Tensor]:
    """A head that knows some train castings, and all test castings, with their classes."""
    generator = torch.Generator().manual_seed(0)
    (train, known), (test, truth) = side(folder, "train"), side(folder, "test")
    drawn = torch.randperm(len(train), generator=generator)[:LABELS].tolist()
    begun = at_the_start(tuple(CLASSES), "ok_front", LOOK.size)
    seen, targets = pixels([train[i] for i in drawn], LOOK), [known[i] for i in drawn]
    parts = [str(i) for i in drawn]
    network = with_head(begun, seen, torch.tensor(targets), parts).network
    return network, normalise(pixels(test, LOOK), LOOK), torch.tensor(truth)


def rows(network: Network, pool: Tensor, truth_N: Tensor) -> Iterator[Row]:
    """A row of the table for each engine that is here."""
    cores = torch.get_num_threads()
    expected, exact = judged(network, eager_fp32(network, 1), pool, truth_N)
    yield Row(WORK, "eager fp32", f"accuracy {exact:.2%}")
    for make in ENGINES:
        name = make.__name__
        try:
            start = time.perf_counter()
            engine = make(network, cores)
            with torch.inference_mode():
                engine(pool[:MAX_MINIBATCH])
            ready = time.perf_counter() - start
            turns = [
                (throughput(engine, pool, cores), throughput(network.pooled, pool, cores))
                for _ in range(TURNS)
            ]
            lone = latency_ms(make(network, 1), pool)
            bald_N, accuracy = judged(network, engine, pool, truth_N)
        except (ImportError, RuntimeError, AssertionError) as error:  # no compiler, no OpenVINO
            yield Row(WORK, name, f"not measured: {first_line(error)}")
            continue
        rank = spearmanr(expected.numpy(), bald_N.numpy()).statistic
        rate = statistics.median(ours for ours, _ in turns)
        times = statistics.median(ours / beside for ours, beside in turns)
        measured = (
            f"{rate:.0f} images/s, {times:.2f} x eager bf16; one casting {lone:.1f} ms; ready in "
            f"{ready:.1f} s; BALD's rank {rank:.4f}; accuracy {accuracy:.2%}"
        )
        yield Row(WORK, name, measured, "", times)


def judged(
    network: Network, engine: Engine, pool: Tensor, truth_N: Tensor
) -> tuple[Tensor, float]:
    """BALD of the pool by an engine's features, and the share whose class they tell."""
    with torch.inference_mode():
        pooled = torch.cat([engine(chunk).float() for chunk in pool.split(MAX_MINIBATCH)])
    features = network.features(pooled)
    class_N = posterior(features, *network.plain_heads())[:, 0].argmax(dim=1)
    accuracy = float((class_N == truth_N).float().mean())
    return uncertainty.bald(posterior(features, *network.pass_heads(50, 0))), accuracy


def throughput(engine: Engine, pool: Tensor, cores: int) -> float:
    """Images per second, minibatches side by side."""

    def run(seconds: float) -> int:
        done, end = 0, time.perf_counter() + seconds
        with torch.inference_mode():
            while done == 0 or time.perf_counter() < end:
                engine(pool[:MAX_MINIBATCH])
                done += MAX_MINIBATCH
        return done

    with ThreadPoolExecutor(cores, "", use_threads, (1,)) as threads:
        list(threads.map(run, [0.0] * cores))  # warms every thread
        start = time.perf_counter()
        return sum(threads.map(run, [SECONDS] * cores)) / (time.perf_counter() - start)


def latency_ms(engine: Engine, pool: Tensor) -> float:
    """Of one casting, on all cores."""
    with torch.inference_mode():
        engine(pool[:1])
        start, times = time.perf_counter(), 100
        for index in range(times):
            engine(pool[index : index + 1])
    return 1000 * (time.perf_counter() - start) / times


def measure(folder: Path) -> Iterator[Row]:
    """Train once, then measure every engine."""
    network, pool, truth_N = trained(folder)
    network.requires_grad_(requires_grad=False)
    return rows(network, pool, truth_N)


if __name__ == "__main__":
    show(measure(Path(sys.argv[1])))
