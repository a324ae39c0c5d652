"""What is asked of the scoring service, and what comes back in chunks."""

import torch

from jobs.campaign.ports import Request, stack


def test_a_request_says_what_it_wants_as_form_fields():
    asked = Request(version="7", run_id="r", passes=50, seed=3)
    assert asked.fields() == {"model_version": "7", "passes": "50", "seed": "3"}


def test_tensors_are_included_only_where_asked_for():
    asked = Request("7", "r", passes=5, seed=0, include=("posterior", "embedding"))
    assert asked.fields()["include"] == "posterior,embedding"


def test_tensors_of_chunks_are_one_in_their_order_and_none_where_no_chunk_has_it():
    chunks = [{"embedding": torch.ones(2, 3)}, {}, {"embedding": torch.zeros(1, 3)}]
    assert stack(chunks, "embedding").tolist() == [[1.0] * 3, [1.0] * 3, [0.0] * 3]
    assert stack(chunks, "posterior") is None
    assert stack([], "embedding") is None
