import threading

import numpy as np
import pytest
from PIL import Image

from models.errors import UnreadableImage
from models.images import MAX_PIXELS
from models.images.reading import FORMATS, reading
from tests.models.photographs import encoded, noise


@pytest.mark.parametrize("kind", FORMATS)
def test_a_header_is_read_without_the_pixels(kind):
    with reading(encoded(Image.fromarray(noise(30, 3)), kind), MAX_PIXELS) as image:
        assert image.size == (30, 30)


def test_whatever_fails_inside_is_one_error():
    data = encoded(Image.fromarray(noise()))
    with (
        pytest.raises(UnreadableImage, match="damaged or truncated: broken"),
        reading(data, MAX_PIXELS),
    ):
        raise OSError("broken")


def test_two_large_photographs_are_read_at_a_time():
    data = encoded(Image.fromarray(np.zeros((2001, 2000), dtype=np.uint8)))
    inside, most, lock, full = 0, 0, threading.Lock(), threading.Barrier(2, timeout=60)

    def read():
        nonlocal inside, most
        with reading(data, MAX_PIXELS):
            with lock:
                inside += 1
                most = max(most, inside)
            full.wait()  # for the other one that is let in
            with lock:
                inside -= 1

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2
