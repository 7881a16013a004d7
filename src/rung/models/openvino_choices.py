"""Scores of choices by OpenVINO: the label tree of choices.py in one pass, through a graph whose mask is handed in.

The graph that is read from a GGUF makes a causal mask by itself and projects every token on the vocabulary. Here each attention
takes the tree's mask instead, and only the nodes that are scored go through the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.models.choices import LOGIT_ROWS, MIN_SHARED, LabelTree, lay_out, shared_prefix
from rung.models.openvino_import import openvino

_TOKENS = 8192
"""Prompt and label tokens, padding included, that go through the model at once."""


class ChoiceGraph:
    """One compiled graph; `score` is not to be called from two threads at once.

    `properties`: OpenVINO's, for the processor. Raises RuntimeError where OpenVINO cannot read or change the graph.
    """

    def __init__(self, path: Path, properties: dict[str, str]) -> None:
        core = openvino().Core()
        # The usual 8 bits would round what a shared prefix leaves behind, and are no faster here.
        kept = {**properties, "KV_CACHE_PRECISION": "f16"}
        self._request = core.compile_model(_with_open_mask(core.read_model(path)), "CPU", kept).create_infer_request()

    def score(self, prompts: Sequence[Sequence[int]], tree: LabelTree) -> NDArray[np.float64]:
        """float [prompts, labels]: summed log-probability of each label with its end token, in nats."""
        out = np.zeros((len(prompts), tree.membership.shape[1]))
        nodes = len(np.unique(tree.edges_parent))
        batch: list[int] = []
        for place in sorted(range(len(prompts)), key=lambda place: len(prompts[place]), reverse=True):
            rows, longest = len(batch) + 1, len(prompts[batch[0] if batch else place])
            if batch and (rows * nodes > LOGIT_ROWS or rows * (longest + len(tree.tokens)) > _TOKENS):
                out[batch] = self._score([prompts[i] for i in batch], tree)
                batch = []
            batch.append(place)
        if batch:
            out[batch] = self._score([prompts[i] for i in batch], tree)
        return out

    def _score(self, prompts: Sequence[Sequence[int]], tree: LabelTree) -> NDArray[np.float64]:
        self._request.reset_state()
        shared = shared_prefix(prompts) if len(prompts) > 1 else 0
        if shared >= MIN_SHARED:
            self._infer(
                np.array([prompts[0][:shared]], dtype=np.int64),
                np.arange(shared, dtype=np.int64)[None],
                np.tril(np.ones((shared, shared), dtype=bool))[None, None],
                rows=1,
            )
        else:
            shared = 0
        layout = lay_out([prompt[shared:] for prompt in prompts], tree, shared)
        picks = np.stack([layout.node_of_edge, tree.edges_token], axis=1).astype(np.int64)
        logp = self._infer(
            layout.ids, layout.positions, layout.mask, rows=len(prompts), scored=layout.scored, picks=picks
        )
        return np.asarray(logp.astype(np.float64) @ tree.membership)

    def _infer(
        self,
        ids: NDArray[np.int64],
        positions: NDArray[np.int64],
        seen: NDArray[np.bool_],
        *,
        rows: int,
        scored: NDArray[np.int64] | None = None,
        picks: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float32]:
        """float [rows, edges]: log-probabilities of `picks` ([edges, 2]: column of `scored`, token); [rows, 1] without them."""
        nothing = np.zeros((1, 2), dtype=np.int64)
        found = self._request.infer(
            {
                "input_ids": ids,
                "position_ids": positions,
                "seen": np.where(seen, np.float32(0), np.float32(-np.inf)),
                # Every row goes on from the state of row 0: the shared prefix, or nothing.
                "beam_idx": np.zeros(rows, dtype=np.int32),
                "scored": np.zeros((rows, 1), dtype=np.int64) if scored is None else scored,
                "picks": np.broadcast_to(
                    nothing if picks is None else picks, (rows, *(nothing if picks is None else picks).shape)
                ),
            }
        )
        return np.array(found[0])


def _with_open_mask(model: Any) -> Any:
    ops, shape_of = openvino().opset13, openvino().PartialShape

    def parameter(name: str, shape: list[int], kind: Any) -> Any:
        made = ops.parameter(shape_of(shape), kind, name=name)
        made.output(0).set_names({name})
        return made

    seen = parameter("seen", [-1, 1, -1, -1], np.float32)
    scored = parameter("scored", [-1, -1], np.int64)
    picks = parameter("picks", [-1, -1, 2], np.int64)
    attentions = [op for op in model.get_ordered_ops() if op.get_type_name() == "ScaledDotProductAttention"]
    if not attentions:
        raise RuntimeError("the graph has no attention whose mask could be replaced")
    for attention in attentions:
        attention.input(3).replace_source_output(seen.output(0))
    result = model.get_results()[0]
    head = result.input(0).get_source_output().get_node()
    while head.get_type_name() != "MatMul":
        head = head.input(0).get_source_output().get_node()
    hidden = head.input(0).get_source_output()
    head.input(0).replace_source_output(ops.gather(hidden, scored, ops.constant(np.int64(1)), batch_dims=1).output(0))
    logp = ops.log_softmax(result.input(0).get_source_output(), -1)
    model.add_parameters([seen, scored, picks])
    model.remove_result(result)
    model.add_results([ops.result(ops.gather_nd(logp, picks, batch_dims=1))])
    # Only the mask that was replaced had read it.
    model.remove_parameter(model.input("attention_mask").get_node())
    model.validate_nodes_and_infer_types()
    return model
