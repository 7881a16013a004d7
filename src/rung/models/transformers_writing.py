"""Writing answers with a transformers model: a left-padded batch whole, or one answer piece by piece."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rung.core.model import Completion, Failure, Request
from rung.core.streaming import Delta
from rung.models.local_weights import Loaded
from rung.models.pieces import Decode, Pieces, written
from rung.models.soft_prompt import worn

_BYTES_A_CHARACTER = 4


def decoding(tokenizer: Any) -> Decode:
    return lambda tokens: str(tokenizer.decode(list(tokens), skip_special_tokens=True))


def write_batch(loaded: Loaded, request: Request, prompts: Sequence[Sequence[int]]) -> list[Completion]:
    """Answers to prompts, all under the settings of one request."""
    decode = decoding(loaded.tokenizer)
    rules = [_stopping(decode, request.stop)] if request.stop else []
    rows = _generate(loaded, request, prompts, rules)
    return [_completion(decode, row, loaded.tokenizer.eos_token_id, request) for row in rows]


def stream_one(
    loaded: Loaded, request: Request, prompt: Sequence[int], cancelled: Callable[[], bool]
) -> Iterator[Delta]:
    """One answer as it is written. The text is that of `write_batch`; it ends within a token of `cancelled()`."""
    from transformers import StoppingCriteria

    decode, end = decoding(loaded.tokenizer), loaded.tokenizer.eos_token_id
    pieces = Pieces(decode, request.stop)
    fresh: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    gone = threading.Event()
    failed: list[str] = []

    class Told(StoppingCriteria):
        """Hands every token on, and stops where nobody waits for more."""

        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
            import torch

            fresh.put(int(input_ids[0, -1]))
            return torch.full((1,), gone.is_set(), dtype=torch.bool, device=input_ids.device)

    def work() -> None:
        try:
            _generate(loaded, request, [prompt], [Told()])
        except (RuntimeError, MemoryError) as error:
            failed.append(str(error)[:300])
        finally:
            fresh.put(None)

    writer = threading.Thread(target=work, name="rung-writer", daemon=True)
    writer.start()
    ended, count, finish = False, 0, "length"
    try:
        while (token := fresh.get()) is not None:
            count += 1
            if token == end:
                finish, ended = "stop", True
                break
            if cancelled():
                finish = "cancelled"
                break
            if text := pieces.add([token]):
                yield Delta(text)
            if pieces.stopped:
                finish = "stop"
                break
    finally:
        gone.set()
        # The weights are free for the next answer when this is over.
        writer.join()
    if failed and not ended:
        yield Delta(completion=Completion(failure=Failure("error", failed[0]), finish="error", tokens_out=count))
        return
    text = pieces.end(cut=finish != "stop")
    yield Delta(text, Completion(text=pieces.text, finish=finish, tokens_out=count))


def _completion(decode: Decode, row: list[int], end: int, request: Request) -> Completion:
    stopped = end in row
    kept = row[: row.index(end)] if stopped else row
    if not request.stop:
        text = written(decode, kept, cut=not stopped)
        return Completion(text=text, finish="stop" if stopped else "length", tokens_out=len(kept) + stopped)
    pieces = Pieces(decode, request.stop)
    pieces.add(kept)
    pieces.end(cut=not stopped)
    if pieces.stopped:
        return Completion(text=pieces.text, finish="stop", tokens_out=len(pieces.tokens))
    return Completion(text=pieces.text, finish="stop" if stopped else "length", tokens_out=len(kept) + stopped)


def _stopping(decode: Decode, stop: Sequence[str]) -> Any:
    """Ends each row whose last tokens hold a stop string."""
    from transformers import StoppingCriteria

    # A token is at least one byte, and what stood before may have begun in the middle of a character.
    look_back = max(len(mark) for mark in stop) * _BYTES_A_CHARACTER + _BYTES_A_CHARACTER

    class HasStop(StoppingCriteria):
        begun: int | None = None

        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
            import torch

            # The first call comes with one token written.
            self.begun = input_ids.shape[1] - 1 if self.begun is None else self.begun
            start = max(self.begun, input_ids.shape[1] - look_back)
            texts = [decode(row) for row in input_ids[:, start:].tolist()]
            found = [any(mark in text for mark in stop) for text in texts]
            return torch.tensor(found, dtype=torch.bool, device=input_ids.device)

    return HasStop()


def left_padded(prompts: Sequence[Sequence[int]], filling: int, cached: int = 0) -> tuple[Any, Any]:
    """Token ids and their mask, int64 [rows, longest prompt]. `cached`: so many tokens of every prompt stand before the padding."""
    import torch

    width = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), width), filling, dtype=torch.long)
    mask = torch.zeros_like(ids)
    mask[:, :cached] = 1
    for i, prompt in enumerate(prompts):
        own = prompt[cached:]
        ids[i, width - len(own) :] = torch.tensor(own)
        mask[i, width - len(own) :] = 1
    return ids, mask


def _generate(loaded: Loaded, request: Request, prompts: Sequence[Sequence[int]], rules: list[Any]) -> list[list[int]]:
    """Tokens written behind each prompt; what comes after an end token is filling."""
    import torch

    module, end = loaded.module, loaded.tokenizer.eos_token_id
    soft = worn(module)
    ids, mask = left_padded(prompts, end, soft.cached)
    width = ids.shape[1]
    settings: dict[str, Any] = {"do_sample": False}
    if rules:
        settings["stopping_criteria"] = rules
    with torch.random.fork_rng():
        if request.temperature > 0:
            settings |= {"do_sample": True, "temperature": request.temperature, "top_p": request.top_p, "top_k": 0}
            torch.manual_seed(request.seed)
        with torch.inference_mode():
            out = module.generate(
                input_ids=ids.to(loaded.device),
                attention_mask=mask.to(loaded.device),
                max_new_tokens=request.max_tokens,
                pad_token_id=end,
                eos_token_id=end,
                past_key_values=soft.cache(len(prompts)),
                **settings,
            )
    rows: list[list[int]] = out[:, width:].tolist()
    return rows
