"""From a request to token ids: the one way in which local models are asked and trained, whatever engine runs them."""

from __future__ import annotations

from typing import Any

from rung.core.model import Completion, Failure, Request


def prompt_ids(tokenizer: Any, request: Request) -> list[int]:
    """The rendered conversation, up to where the answer begins. `tokenizer`: transformers', with a chat template."""
    turns = [{"role": message.role, "content": message.text} for message in request.messages]
    return list(tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False))


def answer_ids(tokenizer: Any, text: str) -> list[int]:
    """An answer with the end token behind it."""
    return [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]


def too_long(prompt: int, request: Request, context: int) -> Completion | None:
    """The failure of a prompt of so many tokens that does not fit the context together with its answer; else None."""
    if not context or prompt + request.max_tokens <= context:
        return None
    message = f"{prompt} prompt tokens and {request.max_tokens} for the answer exceed the context of {context}"
    return Completion(failure=Failure("too_long", message), finish="error", tokens_in=prompt)
