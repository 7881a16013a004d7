"""Writes dialogues.jsonl: a tenant asks a desk, the desk asks back, the tenant gives a detail, the desk answers. Town and rules are invented.

    python make_dialogues.py

Some tenants come back with a second question: that is a further row, with all that was said before, in the same conversation.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
DIALOGUES = 120
COMING_BACK = 0.4


@dataclass(frozen=True)
class Topic:
    """What a tenant may ask, what the desk needs to know, and the answer for every detail."""

    questions: tuple[str, ...]
    back: str
    answers: dict[str, str]
    """By the detail that the tenant gives."""


TOPICS = (
    Topic(
        ("What deposit may they ask for?", "Is there a limit on the deposit?", "How big can the deposit be?"),
        "Is it an empty flat, a furnished flat or a room?",
        {"empty flat": "At most four weeks' rent.", "furnished flat": "At most six weeks' rent.", "room": "At most two weeks' rent."},
    ),
    Topic(
        ("How long is my notice?", "I want to leave. When must I tell them?", "What notice do I have to give?"),
        "Do you pay by the week, by the month, or have you a fixed term?",
        {"by the week": "Ten days in writing.", "by the month": "One month in writing.", "a fixed term": "None: it ends on its last day."},
    ),
    Topic(
        ("Something broke. How soon must they mend it?", "When do repairs have to be done?", "The landlord is slow with a repair."),
        "What is broken: the heating, a lock or a window?",
        {"the heating": "Within two days.", "a lock": "On the same day.", "a window": "Within a week."},
    ),
    Topic(
        ("My rent is going up. Is that allowed?", "They raised my rent, can they?", "May the rent be raised now?"),
        "When did you move in: this year, last year or before that?",
        {"this year": "No, not in the first year.", "last year": "Yes, by up to three percent.", "before that": "Yes, by up to five percent."},
    ),
    Topic(
        ("The neighbours are loud. Who do I call?", "There is noise next door.", "Who deals with noise?"),
        "When is it: in the day, at night or on Sundays?",
        {"in the day": "Write to the house manager.", "at night": "Call the night line on 0300.", "on Sundays": "Tell the warden at the town hall."},
    ),
    Topic(
        ("May I keep an animal?", "Are pets allowed here?", "I would like to get a pet."),
        "Which one: a cat, a dog or a bird?",
        {"a cat": "Yes, you need not ask.", "a dog": "Only with the landlord's letter.", "a bird": "Yes, up to two of them."},
    ),
    Topic(
        ("I can't pay the rent this month.", "What if I am late with the rent?", "I am behind with my rent."),
        "How much is missing: part of it, one month or more?",
        {"part of it": "Pay it with the next rent.", "one month": "Ask for a plan of six parts.", "more": "See the debt office on Tuesday."},
    ),
    Topic(
        ("I have lost something.", "Can I get a new one?", "I need one of those again, what does it cost?"),
        "What is it: a key, a parking card or the rent book?",
        {"a key": "Twelve pounds at the desk.", "a parking card": "Thirty pounds, by post.", "the rent book": "It is free, ask the clerk."},
    ),
)  # fmt: skip
GREETINGS = ("", "", "Hello. ", "Hi, ", "Good morning. ", "Excuse me. ")
TELLING = ("{}.", "It's {}.", "{}, I think.", "That would be {}.", "{}. I'm not sure it matters.", "Well, {}.")
NEXT = ("One more thing. ", "Thanks. And another question: ", "Good to know. ", "Also: ")


def exchange(rng: random.Random, topic: Topic, opening: str) -> list[dict[str, str]]:
    detail = rng.choice(sorted(topic.answers))
    told = rng.choice(TELLING).format(detail)
    turns = (opening + rng.choice(topic.questions), topic.back, told[0].upper() + told[1:], topic.answers[detail])
    return [
        {"role": "user" if n % 2 == 0 else "assistant", "content": text} for n, text in enumerate(turns)
    ]  # fmt: skip


def main() -> None:
    rng = random.Random("dialogues")
    rows = []
    for number in range(1, DIALOGUES + 1):
        first, second = rng.sample(TOPICS, 2)
        messages = exchange(rng, first, rng.choice(GREETINGS))
        rows.append((number, messages))
        if rng.random() < COMING_BACK:
            rows.append((number, messages + exchange(rng, second, rng.choice(NEXT))))
    lines = [
        json.dumps(
            {"id": f"d{number:03d}-{len(messages) // 4}", "conversation": f"d{number:03d}", "messages": messages}
        )
        for number, messages in rows
    ]
    (HERE / "dialogues.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
