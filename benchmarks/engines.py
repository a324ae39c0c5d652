"""Engines that could run the trunk: images a second, a lone casting, readiness, faithfulness.

    python -m benchmarks.engines            # some five minutes; OpenVINO where it is installed

Each runs minibatches of 32 on all cores, a thread each, as the service does, and then one casting
on all cores. Ready: from the trained network to the first answer. Rank correlation is that of BALD
with eager fp32, on castings that the network has not seen.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from scipy.stats import spearmanr
from torch import Tensor

from benchmarks.machine import machine
from models import scores
from models.images import Preprocessing, normalise
from models.mc_dropout import pass_masks, posterior
from models.network import Network, NetworkSpec, use_threads
from models.synthetic import SyntheticSpec, draw_castings
from models.training import Recipe, fit
from service.lanes import SHARED

Engine = Callable[[Tensor], Tensor]
SIZE, LABELS, POOL, SECONDS = 128, 100, 400, 4.0


def eager_fp32(network: Network, _: int) -> Engine:
    """The yardstick of faithfulness."""
    return lambda images: network.trunk(images.contiguous(memory_format=torch.channels_last))


def eager(network: Network, _: int) -> Engine:
    """What training runs."""
    return network.features


def folded(network: Network, _: int) -> Engine:
    """What scoring runs."""
    return network.for_inference().features


def compiled(network: Network, _: int) -> Engine:
    """`torch.compile` on frozen bf16 weights."""
    import torch._inductor.config as inductor

    inductor.freezing = True
    trunk = network.for_inference().trunk
    run = torch.compile(trunk)
    layout = torch.channels_last
    return lambda images: run(images.bfloat16().contiguous(memory_format=layout)).float()


def openvino(network: Network, lanes: int) -> Engine:
    """OpenVINO in bf16, an inference request a thread."""
    import threading

    import openvino as ov

    model = ov.convert_model(network.trunk, example_input=torch.zeros(2, 1, SIZE, SIZE))
    model.reshape([-1, 1, SIZE, SIZE])
    hint = "THROUGHPUT" if lanes > 1 else "LATENCY"
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "PERFORMANCE_HINT": hint,
        "NUM_STREAMS": str(lanes),
        "INFERENCE_NUM_THREADS": str(torch.get_num_threads()),
    }
    ready, own = ov.Core().compile_model(model, "CPU", settings), threading.local()

    def run(images: Tensor) -> Tensor:
        if not hasattr(own, "request"):
            own.request = ready.create_infer_request()
        return torch.from_numpy(own.request.infer({0: images.contiguous().numpy()})[0].copy())

    return run


ENGINES = (eager, folded, compiled, openvino)


def trained() -> tuple[Network, Tensor]:
    """A network that knows synthetic castings, and others that it has not seen, normalised."""
    drawn = draw_castings(SyntheticSpec(parts=LABELS + POOL, shots=1, size=SIZE, seed=0))
    castings = list(drawn)
    pixels = torch.stack([torch.from_numpy(c.image).reshape(1, SIZE, SIZE) for c in castings])
    classes = torch.tensor([int(c.label != "ok") for c in castings])
    look = Preprocessing(SIZE)
    network, _ = fit(
        pixels[:LABELS],
        classes[:LABELS],
        NetworkSpec("resnet18", channels=1, classes=2),
        look,
        recipe=Recipe(),
        weights="scratch",
        seed=0,
    )
    return network, normalise(pixels[LABELS:], look)


def rows(network: Network, pool: Tensor) -> Iterator[str]:
    """A row of the table for each engine that is here."""
    cores = torch.get_num_threads()
    expected = bald(network, eager_fp32(network, 1), pool)
    rates: dict[str, float] = {}
    for make in ENGINES:
        name = make.__name__
        try:
            start = time.perf_counter()
            engine = make(network, cores)
            with torch.inference_mode():
                engine(pool[:SHARED])
            ready = time.perf_counter() - start
            rates[name] = throughput(engine, pool, cores)
            lone = latency_ms(make(network, 1), pool)
            found = bald(network, engine, pool)
        except (ImportError, RuntimeError) as error:  # no compiler, no OpenVINO
            yield f"| {name} | not measured: {error} | | | | |"
            continue
        rank = spearmanr(expected.numpy(), found.numpy()).statistic
        yield (
            f"| {name} | {rates[name]:.0f} | {rates[name] / rates['eager']:.2f} | {lone:.1f} | "
            f"{ready:.1f} | {rank:.4f} |"
        )


def bald(network: Network, engine: Engine, pool: Tensor) -> Tensor:
    """BALD of the pool by an engine's features."""
    with torch.inference_mode():
        features = torch.cat([engine(some).float() for some in pool.split(SHARED)])
    masks = pass_masks(50, network.feature_count, 0.5, 0)
    return scores.bald(posterior(features, *network.readout(), masks))


def throughput(engine: Engine, pool: Tensor, cores: int) -> float:
    """Images a second, minibatches side by side."""

    def run(_: int) -> int:
        done, end = 0, time.perf_counter() + SECONDS
        with torch.inference_mode():
            while time.perf_counter() < end:
                engine(pool[:SHARED])
                done += SHARED
        return done

    with ThreadPoolExecutor(cores, "", use_threads, (1,)) as threads:
        start = time.perf_counter()
        return sum(threads.map(run, range(cores))) / (time.perf_counter() - start)


def latency_ms(engine: Engine, pool: Tensor) -> float:
    """Of one casting, on all cores."""
    with torch.inference_mode():
        engine(pool[:1])
        start, times = time.perf_counter(), 100
        for index in range(times):
            engine(pool[index : index + 1])
    return 1000 * (time.perf_counter() - start) / times


def main() -> None:
    """Measure, and print the table."""
    network, pool = trained()
    network.requires_grad_(requires_grad=False)
    print(f"{machine()}; {SIZE} px, minibatches of {SHARED}\n")
    print("| engine | images/s | beside eager bf16 | one casting, ms | ready, s | BALD's rank |")
    print("|---|---|---|---|---|---|")
    for row in rows(network, pool):
        print(row, flush=True)


if __name__ == "__main__":
    main()
