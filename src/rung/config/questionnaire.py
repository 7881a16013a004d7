"""The questionnaire of `rung assess`: what only people know about a task. Every answer may be left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from rung.config.block import Block, doc
from rung.config.schema import field_docs
from rung.config.source import read_yaml
from rung.core.errors import Problem, UsageError

FILE = "assess.yaml"
Changes = Literal["never", "yearly", "monthly", "weekly", "daily"]
Skills = Literal["none", "scripts", "training"]


class Questionnaire(Block):
    """What people say. None: not answered."""

    right_value: float | None = doc("what one right answer is worth", "一个正确回答值多少钱", None, ge=0)
    wrong_cost: float | None = doc("what one wrong answer costs", "一个错误回答造成多少损失", None, ge=0)
    monthly_volume: int | None = doc("answers a month in production", "上线后每月回答的数量", None, ge=1)
    knowledge_changes: Changes | None = doc(
        "how often the right answers change: never, yearly, monthly, weekly or daily",
        "正确答案多久变化一次：never（不变）、yearly（每年）、monthly（每月）、weekly（每周）或 daily（每天）",
        None,
    )
    data_may_leave: bool | None = doc(
        "whether questions and documents may be sent to another company's endpoint: true or false",
        "问题和文档是否可以发送给其他公司的接口：true 或 false",
        None,
    )
    max_latency: float | None = doc("seconds that one answer may take", "单个回答允许的最长秒数", None, gt=0)
    monthly_budget: float | None = doc("money a month for answering and upkeep", "每月用于回答和维护的预算", None, ge=0)
    skills: Skills | None = doc(
        "what the team can do: none, scripts (run commands) or training (train models)",
        "团队能力：none（无）、scripts（会运行命令）或 training（会训练模型）",
        None,
    )
    api_input_price: float = doc(
        "price of a million prompt tokens of an endpoint you would use; an example until you change it",
        "拟用接口每百万输入 token 的价格；未修改前只是示例",
        0.5,
        ge=0,
    )
    api_output_price: float = doc(
        "price of a million answer tokens of that endpoint; an example until you change it",
        "该接口每百万输出 token 的价格；未修改前只是示例",
        1.5,
        ge=0,
    )
    machine_month_price: float = doc(
        "a month of a machine for a model of your own; default: 4 cloud cores at 0.045 an hour",
        "自有模型所用机器的月租；默认按 4 个云主机核、每小时 0.045 计",
        131.0,
        gt=0,
    )

    @property
    def unanswered(self) -> tuple[str, ...]:
        return tuple(name for name in type(self).model_fields if getattr(self, name) is None)


def read_questionnaire(path: Path | None, pairs: Sequence[str] = ()) -> Questionnaire:
    """The answers of a file, with 'name=value' pairs over them.

    Raises UsageError E4410 for every answer that is none, E4411 for a pair that cannot be read, and what `read_yaml` raises.
    """
    values: dict[str, Any] = {}
    where: dict[str, str] = {}
    if path is not None:
        document = read_yaml(path)
        if document.problems:
            raise UsageError(document.problems[0].code, problems=document.problems)
        values = {name: value for name, value in document.values.items() if value is not None}
        where = {name: document.source.where((name,)) for name in values}
    for pair in pairs:
        name, mark, value = (part.strip() for part in pair.partition("="))
        if not mark or not name or not value:
            raise UsageError("E4411", value=pair)
        values[name], where[name] = value, f"--set {name}"
    try:
        return Questionnaire.model_validate(values)
    except ValidationError as error:
        known = ", ".join(Questionnaire.model_fields)
        problems = [
            Problem("E4410", where.get(str(detail["loc"][0]), ""), {"value": detail["input"], "known": known})
            for detail in error.errors(include_url=False)
        ]
        raise UsageError("E4410", problems=problems) from error


def blank_questionnaire() -> str:
    """An assess.yaml to fill in, with a comment on every line in both languages."""
    en, zh = field_docs("en", Questionnaire), field_docs("zh", Questionnaire)
    lines = [
        "# What only people know. Leave a line empty where you do not know: it is then said to be unknown.",
        "# 只有人才知道的情况。不清楚的行请留空，报告会注明“未知”。",
        "",
    ]
    for name, info in Questionnaire.model_fields.items():
        value = "" if info.default is None else f" {info.default:g}"
        lines += [f"# {en[name]}", f"# {zh[name]}", f"{name}:{value}", ""]
    return "\n".join(lines)
