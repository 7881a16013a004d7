"""DSPy's prompt optimiser on a label task, for bench/optimise_prompt.py: runs in an environment that has dspy and optuna, not Rung.

Reads {url, instruction, labels, train, dev, test, calls} as JSON from stdin; rows are [question, label], test rows are
questions. Writes the labels that the optimised program gives to the test questions, null where its answer could not be read.
"""

import json
import sys
from typing import Literal

import dspy


def main() -> None:
    asked = json.load(sys.stdin)
    lm = dspy.LM(
        "openai/embedded", api_base=asked["url"], api_key="none", cache=False, max_tokens=asked["max_tokens"],
        temperature=0.0, num_retries=0,
    )  # fmt: skip
    dspy.configure(lm=lm)
    label = Literal[tuple(asked["labels"])]
    signature = dspy.Signature(
        {"question": (str, dspy.InputField()), "topic": (label, dspy.OutputField())}, asked["instruction"]
    )
    program = dspy.Predict(signature)
    rows = {
        name: [dspy.Example(question=q, topic=t).with_inputs("question") for q, t in asked[name]]
        for name in ("train", "dev")
    }

    def right(example: dspy.Example, prediction: dspy.Prediction, trace: object = None) -> bool:
        return example.topic == getattr(prediction, "topic", None)

    best, optimiser, reason = None, "MIPROv2", ""
    try:
        best = search_instructions(program, right, rows, asked["calls"])
    except Exception as error:  # Its drafts of instructions must be readable, or it ends.
        reason = f"MIPROv2 ended with {type(error).__name__}: {str(error).splitlines()[0]}"
        optimiser = "BootstrapFewShotWithRandomSearch"
        best = search_examples(program, right, rows, asked["calls"] - len(lm.history))
    said = []
    spent = len(lm.history)
    for question in asked["test"]:
        try:
            said.append(best(question=question).topic)
        except Exception as error:  # An answer that DSPy cannot read is a failure, as ours are.
            print(type(error).__name__, file=sys.stderr)
            said.append(None)
    found = {"topics": said, "calls": spent, "optimiser": optimiser, "reason": reason}
    json.dump(found | {"instruction": best.signature.instructions, "demos": len(best.demos)}, sys.stdout)


def search_instructions(program, right, rows, calls):
    """A first look at dev, another at every fifth trial and at the end, minibatches between, and drafting."""
    dev = len(rows["dev"])
    batch = min(20, dev)
    trials = max(2, round((calls - dev - 40) / (batch + dev / 5)))
    optimiser = dspy.MIPROv2(
        metric=right, auto=None, num_candidates=6, max_bootstrapped_demos=3, max_labeled_demos=3, num_threads=1,
        max_errors=100_000,
    )  # fmt: skip
    return optimiser.compile(
        program, trainset=rows["train"], valset=rows["dev"], num_trials=trials, minibatch=True, minibatch_size=batch,
        minibatch_full_eval_steps=5,
    )  # fmt: skip


def search_examples(program, right, rows, calls):
    """Every program is asked all of dev: none, labelled and bootstrapped examples, then random sets of them."""
    dev = len(rows["dev"])
    optimiser = dspy.BootstrapFewShotWithRandomSearch(
        metric=right, max_bootstrapped_demos=3, max_labeled_demos=3, num_candidate_programs=max(1, calls // (dev + 5) - 3),
        num_threads=1, max_errors=100_000,
    )  # fmt: skip
    return optimiser.compile(program, trainset=rows["train"], valset=rows["dev"])


if __name__ == "__main__":
    main()
