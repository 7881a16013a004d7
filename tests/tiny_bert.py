"""A tiny random sentence encoder in a folder, and texts that no shared word connects."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rung.training.pairs import Negative, Pair

FILLER = tuple(f"w{n}" for n in range(20))
TOPICS = 8
ASKED = tuple(f"ask{n}" for n in range(TOPICS))
SAID = tuple(f"say{n}" for n in range(TOPICS))
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def write_bert(folder: Path, *, words: tuple[str, ...] = (*FILLER, *ASKED, *SAID), dropout: float = 0.1) -> Path:
    """One layer of width 32 over whole words, mean pooling."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {word: n for n, word in enumerate((*SPECIAL, *words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        initializer_range=0.05,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def padded_with(word: str, rng: np.random.Generator) -> str:
    """A word among three that mean nothing."""
    text = [word, *rng.choice(FILLER, 3)]
    return " ".join(text[i] for i in rng.permutation(4))


def toy_pairs(n: int, *, seed: int = 0, negatives: int = 0) -> list[Pair]:
    """Question `ask3 ...` belongs to passage `say3 ...`: only the filler is ever shared, and by chance."""
    rng = np.random.default_rng(seed)
    pairs = []
    for i in range(n):
        topic = i % TOPICS
        others = [(topic + 1 + k) % TOPICS for k in range(negatives)]
        hard = tuple(Negative(padded_with(SAID[other], rng), (f"topic:{other}",)) for other in others)
        asked, said = padded_with(ASKED[topic], rng), padded_with(SAID[topic], rng)
        pairs.append(Pair(f"{seed}-{i}", asked, said, hard, (f"topic:{topic}",)))
    return pairs
