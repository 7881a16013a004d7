"""The label tree: shared prefixes once, every label's own end, and sums of edges that are the labels' scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.models.choices import LabelTree, build_tree, shared_prefix

END = 0
Labels = st.lists(st.lists(st.integers(1, 4), max_size=6).map(lambda label: (*label, END)), min_size=1, max_size=12)


def path_to(tree: LabelTree, node: int) -> tuple[int, ...]:
    """The tokens from the prompt's end to a node."""
    found: list[int] = []
    while node:
        found.insert(0, int(tree.tokens[node - 1]))
        node = int(tree.parents[node - 1])
    return tuple(found)


def edges(tree: LabelTree) -> list[tuple[tuple[int, ...], int]]:
    """Every scored edge: what comes before it, and the token it is scored for."""
    return [
        (path_to(tree, int(parent)), int(token))
        for parent, token in zip(tree.edges_parent, tree.edges_token, strict=True)
    ]


@given(labels=Labels)
def test_every_prefix_is_fed_once_and_no_end_token_ever(labels: list[tuple[int, ...]]) -> None:
    tree = build_tree(labels)
    nodes = [path_to(tree, node + 1) for node in range(len(tree.tokens))]
    expected = {label[:n] for label in labels for n in range(1, len(label))}
    assert sorted(nodes) == sorted(expected)
    assert END not in tree.tokens
    assert [len(node) for node in nodes] == tree.depths.tolist()
    # A node is laid behind its parent.
    assert all(parent <= place for place, parent in enumerate(tree.parents))


@given(labels=Labels)
def test_a_node_sees_itself_and_what_lies_above_it(labels: list[tuple[int, ...]]) -> None:
    tree = build_tree(labels)
    nodes = [path_to(tree, node + 1) for node in range(len(tree.tokens))]
    for row, node in enumerate(nodes):
        seen = [other for column, other in enumerate(nodes) if tree.ancestors[row, column]]
        assert sorted(seen) == [node[:n] for n in range(1, len(node) + 1)]


@given(labels=Labels, seed=st.integers(0, 9))
def test_the_score_of_a_label_is_the_sum_over_its_own_tokens(labels: list[tuple[int, ...]], seed: int) -> None:
    """Against a made-up model: the log-probability of a token after a prefix is a number drawn for the pair."""
    tree = build_tree(labels)
    rng = np.random.default_rng(seed)
    logp: dict[tuple[tuple[int, ...], int], float] = {edge: float(rng.normal()) for edge in edges(tree)}
    assert len(logp) == len(tree.edges_token)
    found = np.array([logp[edge] for edge in edges(tree)]) @ tree.membership
    expected = [sum(logp[label[:n], label[n]] for n in range(len(label))) for label in labels]
    assert found == pytest.approx(expected)


def test_a_label_that_begins_another_ends_on_its_own() -> None:
    tree = build_tree([(7, END), (7, 8, END), (7, 8, 9, END)])
    assert tree.tokens.tolist() == [7, 8, 9]
    assert edges(tree) == [((), 7), ((7,), END), ((7,), 8), ((7, 8), END), ((7, 8), 9), ((7, 8, 9), END)]
    assert tree.membership.T.tolist() == [[1, 1, 0, 0, 0, 0], [1, 0, 1, 1, 0, 0], [1, 0, 1, 0, 1, 1]]


def test_equal_labels_share_all_and_an_empty_one_is_its_end() -> None:
    tree = build_tree([(7, END), (7, END), (END,)])
    assert (tree.tokens.tolist(), len(tree.edges_token)) == ([7], 3)
    assert tree.membership.T.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    alone = build_tree([(END,)])
    assert (alone.tokens.size, alone.ancestors.shape, edges(alone)) == (0, (0, 0), [((), END)])


@pytest.mark.parametrize(
    ("prompts", "shared"),
    [
        ([[1, 2, 3, 4], [1, 2, 9]], 2),
        ([[1, 2, 3], [1, 2, 3]], 2),
        ([[1, 2], [1, 2, 3], [1, 2, 4]], 1),
        ([[5], [5]], 0),
        ([[1, 2], [3, 2]], 0),
        ([[1, 2, 3]], 2),
    ],
)
def test_a_shared_prefix_leaves_every_prompt_its_last_token(prompts: list[list[int]], shared: int) -> None:
    assert shared_prefix(prompts) == shared


@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=8), min_size=1, max_size=6))
def test_a_shared_prefix_is_shared_by_all_and_the_longest_that_may_be(prompts: Sequence[list[int]]) -> None:
    n = shared_prefix(prompts)
    assert len({tuple(prompt[:n]) for prompt in prompts}) == 1
    assert n <= min(map(len, prompts)) - 1
    longer = n + 1
    assert longer > min(map(len, prompts)) - 1 or len({tuple(prompt[:longer]) for prompt in prompts}) > 1
