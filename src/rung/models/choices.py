"""Constrained choice: the log-probability of every label of a set, in one forward pass over a token tree.

The labels' tokens form a trie. Its nodes are laid behind the prompt as one sequence in which a node sees the prompt and its own
ancestors only, at position prompt length + depth (tree attention: Miao et al. 2023, SpecInfer, arXiv 2305.09781, section 4).
So a prefix that labels share is computed once, and the prompt once for all labels; a prefix that all prompts of a batch share
is computed once for the batch. The vocabulary is projected only where a child's log-probability is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rung.models.soft_prompt import worn

if TYPE_CHECKING:
    import torch

MIN_SHARED = 16
"""A shared prefix shorter than this costs more in the extra pass than it saves."""
LOGIT_ROWS = 512
"""Rows of the vocabulary projection held at once: 512 x 49,152 floats are 100 MB."""


@dataclass(frozen=True)
class LabelTree:
    """The trie of the labels' tokens. Node 0 is the prompt's end; nodes 1.. are tokens, parents before children."""

    tokens: NDArray[np.int64]
    """[m] token of node i + 1."""
    parents: NDArray[np.int64]
    """[m] parent of node i + 1, in node numbers."""
    depths: NDArray[np.int64]
    """[m] distance from the prompt's end, from 1."""
    ancestors: NDArray[np.bool_]
    """[m, m] true where column's node is row's node or lies above it."""
    edges_parent: NDArray[np.int64]
    """[e] node at which an edge is scored ..."""
    edges_token: NDArray[np.int64]
    """[e] ... and the token it is scored for (end tokens included)."""
    membership: NDArray[np.float64]
    """[e, labels] 1 where a label's path uses an edge."""


def build_tree(labels: Sequence[Sequence[int]]) -> LabelTree:
    """The tree of token sequences, each with its end token last. End tokens are scored and never fed."""
    children: list[dict[int, int]] = [{}]
    tokens: list[int] = []
    parents: list[int] = []
    depths: list[int] = [0]
    edges: dict[tuple[int, int], int] = {}
    paths: list[list[int]] = []
    for label in labels:
        node, path = 0, []
        for token in label[:-1]:
            path.append(edges.setdefault((node, token), len(edges)))
            if token not in children[node]:
                children[node][token] = len(children)
                children.append({})
                tokens.append(token)
                parents.append(node)
                depths.append(depths[node] + 1)
            node = children[node][token]
        path.append(edges.setdefault((node, label[-1]), len(edges)))
        paths.append(path)
    m = len(tokens)
    ancestors = np.zeros((m, m), dtype=bool)
    for i, parent in enumerate(parents):
        if parent:
            ancestors[i] = ancestors[parent - 1]
        ancestors[i, i] = True
    membership = np.zeros((len(edges), len(labels)))
    for column, path in enumerate(paths):
        membership[path, column] = 1.0
    return LabelTree(
        tokens=np.array(tokens, dtype=np.int64),
        parents=np.array(parents, dtype=np.int64),
        depths=np.array(depths[1:], dtype=np.int64),
        ancestors=ancestors,
        edges_parent=np.array([parent for parent, _ in edges], dtype=np.int64),
        edges_token=np.array([token for _, token in edges], dtype=np.int64),
        membership=membership,
    )


def shared_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Length of the longest prefix of all prompts that leaves every prompt at least its last token."""
    first, last = min(prompts), max(prompts)
    limit = min(len(prompt) for prompt in prompts) - 1
    n = 0
    while n < limit and first[n] == last[n]:
        n += 1
    return n


def score_choices(module: Any, prompts: Sequence[Sequence[int]], tree: LabelTree) -> NDArray[np.float64]:
    """float [prompts, labels]: summed log-probability of each label with its end token, in nats.

    `module` is a transformers causal language model with `.model` (the decoder) and `.lm_head`; the prompts begin with the ids of the
    soft prompt that it wears.
    """
    import torch

    device = next(module.parameters()).device
    with torch.inference_mode():
        soft = worn(module)
        shared = shared_prefix(prompts) if len(prompts) > 1 else 0
        if shared - soft.cached >= MIN_SHARED:
            head = torch.tensor([list(prompts[0][soft.cached : shared])], device=device)
            cache = module.model(input_ids=head, past_key_values=soft.cache(1), use_cache=True).past_key_values
            cache.batch_repeat_interleave(len(prompts))
        else:
            shared, cache = soft.cached, soft.cache(len(prompts))
        layout = lay_out([prompt[shared:] for prompt in prompts], tree, shared)
        hidden = module.model(
            input_ids=torch.tensor(layout.ids, device=device),
            position_ids=torch.tensor(layout.positions, device=device),
            attention_mask=torch.tensor(layout.mask, device=device),
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state
        places = torch.tensor(layout.scored, device=device)
        rows = hidden.gather(1, places[..., None].expand(-1, -1, hidden.shape[-1])).flatten(0, 1)
        logp = _edge_log_probs(module.lm_head, rows, layout.node_of_edge, tree, len(prompts))
    return np.asarray(logp @ tree.membership, dtype=np.float64)


@dataclass(frozen=True)
class Layout:
    """Prompts and the tree behind them, as one forward pass takes them."""

    ids: NDArray[np.int64]
    """[b, width + m] tokens: the prompts' tails, shorter ones with filling behind them, then the tree's nodes."""
    positions: NDArray[np.int64]
    """[b, width + m]"""
    mask: NDArray[np.bool_]
    """[b, 1, width + m, shared + width + m] true where a row sees a column."""
    scored: NDArray[np.int64]
    """[b, nodes] place, among the tokens, of every node behind which an edge is scored: the prompt's own last token for node 0."""
    node_of_edge: NDArray[np.int64]
    """[edges] the column of `scored` of each edge."""


def lay_out(tails: Sequence[Sequence[int]], tree: LabelTree, shared: int) -> Layout:
    """`tails`: the prompts without the first `shared` tokens, which are in a cache."""
    width, m, b = max(len(tail) for tail in tails), len(tree.tokens), len(tails)
    ids = np.zeros((b, width + m), dtype=np.int64)
    positions = np.zeros((b, width + m), dtype=np.int64)
    mask = np.zeros((b, 1, width + m, shared + width + m), dtype=bool)
    mask[..., :shared] = True
    causal = np.tril(np.ones((width, width), dtype=bool))
    for i, tail in enumerate(tails):
        n = len(tail)
        ids[i, :n], ids[i, width:] = tail, tree.tokens
        positions[i, :width] = shared + np.arange(width)
        positions[i, width:] = shared + n - 1 + tree.depths
        mask[i, 0, :width, shared : shared + width] = causal
        mask[i, 0, width:, shared : shared + n] = True
        mask[i, 0, width:, shared + width :] = tree.ancestors
    nodes, node_of_edge = np.unique(tree.edges_parent, return_inverse=True)
    scored = np.tile(nodes + width - 1, (b, 1))
    if nodes[0] == 0:
        scored[:, 0] = [len(tail) - 1 for tail in tails]
    return Layout(ids, positions, mask, scored, node_of_edge)


def _edge_log_probs(
    head: Any, rows: torch.Tensor, inverse: NDArray[np.int64], tree: LabelTree, n: int
) -> NDArray[np.float64]:
    """float64 [n, edges]. `rows` [n * nodes, hidden]; `inverse` [edges]: the node, of those scored, of each edge."""
    import torch

    nodes, edges = rows.shape[0] // n, len(tree.edges_token)
    row_of = (np.arange(n)[:, None] * nodes + inverse).ravel()
    order = np.argsort(row_of, kind="stable")
    sorted_rows = row_of[order]
    out = np.empty(n * edges)
    for start in range(0, rows.shape[0], LOGIT_ROWS):
        logits = head(rows[start : start + LOGIT_ROWS])
        total = torch.logsumexp(logits.float(), dim=-1)
        low, high = np.searchsorted(sorted_rows, [start, start + logits.shape[0]])
        picked = order[low:high]
        take = torch.tensor(row_of[picked] - start, device=rows.device)
        token = torch.tensor(tree.edges_token[picked % edges], device=rows.device)
        out[picked] = (logits[take, token].float() - total[take]).double().cpu().numpy()
    return out.reshape(n, edges)
