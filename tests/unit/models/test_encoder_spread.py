"""An encoder on several processes: the same vectors in the same order, and a clear error when one of them dies."""

from __future__ import annotations

import os
import signal
from functools import partial

import numpy as np
import pytest

from rung.core.answer import create_encoder
from rung.core.errors import BackendError
from rung.models.encoder_spread import SpreadEncoder

TEXTS = ["When is the rent due?", "A leak", "The lift is out of order.", "", "Who pays the council tax?"]


def test_texts_are_spread_over_processes_that_may_die() -> None:
    one = create_encoder("minilm")
    with SpreadEncoder(partial(create_encoder, "minilm"), 2) as spread:
        assert (spread.id, spread.places) == (one.id, 2)
        found = spread.encode(TEXTS)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, one.encode(TEXTS), atol=1e-5)
        assert spread.encode([]).shape == (0, 384)
        for pid in list(spread._pool._processes):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(BackendError) as refused:
            spread.encode(TEXTS * 200)
    assert refused.value.code == "E3209"
