"""How a model writes conversations, as one of a few known families, and Ollama's Modelfile in that family's words.

Ollama writes conversations by a Go template of its own and does not read the jinja one in the GGUF; LLaMA-Factory has templates by
name. Both are used only where they make the same text as the model's own template, to the letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rung.core.errors import UsageError

_CONTEXT = 4096
_DIALOGUE = (("user", "One?"), ("assistant", "Two."), ("user", "Three?"))
_SYSTEM = ("system", "Do {this}.")


@dataclass(frozen=True)
class Family:
    """A way of writing conversations: what stands before and after each turn."""

    name: str
    before: str
    """`{role}` is the speaker."""
    after: str
    stops: tuple[str, ...]
    factory: str = ""
    """LLaMA-Factory's name for it; '' where it has none."""
    usual: str = ""
    """The system message that the model's template puts in where there is none."""

    def written(self, turns: Sequence[tuple[str, str]]) -> str:
        """A conversation as this family writes it, ready for an answer."""
        said = "".join(self.before.replace("{role}", role) + text + self.after for role, text in turns)
        return said + self.before.replace("{role}", "assistant")

    def go_template(self) -> str:
        """Every turn, and behind the last the beginning of the assistant's."""
        turn = self.before.replace("{role}", "{{ .Role }}") + "{{ .Content }}" + self.after
        return "{{ range .Messages }}" + turn + "{{ end }}" + self.before.replace("{role}", "assistant")


FAMILIES = (
    Family("chatml", "<|im_start|>{role}\n", "<|im_end|>\n", ("<|im_end|>", "<|im_start|>"), "chatml"),
    Family("llama3", "<|start_header_id|>{role}<|end_header_id|>\n\n", "<|eot_id|>", ("<|eot_id|>",), "llama3"),
    Family("plain", "{role}: ", "\n", ("\nuser:",)),
)


def find_family(place: Path | str, target: str, revision: str = "") -> Family:
    """The family that writes as the template of a model (a folder, or a hub id) does.

    Raises UsageError E6207 where none does.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False, revision=revision or "main")

    def own(turns: Sequence[tuple[str, str]]) -> str:
        made = [{"role": role, "content": text} for role, text in turns]
        text = str(tokenizer.apply_chat_template(made, tokenize=False, add_generation_prompt=True))
        # llama.cpp and LLaMA-Factory put the BOS token in front themselves.
        bos = tokenizer.bos_token or ""
        return text.removeprefix(bos) if bos and text.count(bos) == 1 else text

    if tokenizer.chat_template:
        with_system, without = own([_SYSTEM, *_DIALOGUE]), own(_DIALOGUE)
        for family in FAMILIES:
            if with_system == family.written([_SYSTEM, *_DIALOGUE]):
                opening = family.before.replace("{role}", "system")
                rest = family.after + family.written(_DIALOGUE)
                if without == family.written(_DIALOGUE):
                    return family
                if without.startswith(opening) and without.endswith(rest):
                    return replace(family, usual=without[len(opening) : -len(rest)])
    raise UsageError("E6207", target=target, known=", ".join(family.name for family in FAMILIES))


def modelfile(family: Family, gguf: str, *, system: str, context: int, most: int | None = None) -> str:
    """The file's text. `system` is the candidate's system message; `context` the model's longest, 0 when unknown; `most` the
    longest answer in tokens, None for Ollama's own."""
    said = system or family.usual
    lines = [
        f"FROM ./{gguf}",
        f"TEMPLATE {_quoted(family.go_template())}",
        *([f"SYSTEM {_quoted(said)}"] if said else []),
        *(f"PARAMETER stop {_quoted(stop)}" for stop in family.stops),
        "PARAMETER temperature 0",
        # Ollama has punished repeated words by default, which changes greedy answers.
        "PARAMETER repeat_penalty 1",
        f"PARAMETER num_ctx {min(context or _CONTEXT, _CONTEXT)}",
        *([f"PARAMETER num_predict {most}"] if most else []),
    ]
    return "\n".join(lines) + "\n"


def is_kept(text: str) -> bool:
    """Whether Ollama reads a text from a Modelfile as it is: it drops characters that do not print, wide spaces among them."""
    return '"""' not in text and all(letter.isprintable() or letter in "\t\r\n" for letter in text)


def _quoted(text: str) -> str:
    """A text between three quotes, in which a Modelfile knows no escapes: a line break is one, and three quotes end it."""
    return '"""' + text.replace('"""', "'''") + '"""'
