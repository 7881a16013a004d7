"""Writes docs/reference/task-yaml.md and training.md, and holds docs/reference/run-folder.md against the records.

    python docs/reference.py           write task-yaml.md, training.md and training.zh-CN.md anew
    python docs/reference.py --check   exit 1 where one is out of date, or where run-folder.md misses a field or names one too many

The lines about task.yaml and about hyper-parameters are those that every field of the schema and of the settings carries.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from rung.config import Config, ModelConfig, field_docs
from rung.config.post_process import StepConfig
from rung.config.schema import DEFAULT_METRICS
from rung.core import candidate, evaluation, model, task
from rung.core.registry import parts
from rung.methods.search_space import Range, usual_space
from rung.store import (
    aftermath,
    assessment,
    attack,
    comparison,
    costs,
    diagnosis,
    judging,
    knowledge,
    records,
    selection,
)
from rung.training.progress import TrainingResult
from rung.training.settings import LEARNING_RATE, TrainSettings

FOLDER = Path(__file__).with_name("reference")
PAGE = FOLDER / "task-yaml.md"
TRAINING = {"en": FOLDER / "training.md", "zh": FOLDER / "training.zh-CN.md"}
RUN_FOLDER = FOLDER / "run-folder.md"
_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false"}
_LIMITS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
RECORDS: tuple[type[Any], ...] = (
    task.Split,
    records.Plan,
    records.Cell,
    records.Spend,
    records.Outcome,
    records.Stated,
    records.TrialRecord,
    candidate.Candidate,
    model.ModelRef,
    model.WeightsRef,
    candidate.PromptSlot,
    candidate.ShotsSlot,
    candidate.ShotExample,
    candidate.RetrieverSlot,
    candidate.Recipe,
    candidate.AdapterSlot,
    candidate.OutputSlot,
    candidate.StepRef,
    evaluation.Row,
    evaluation.Answer,
    model.Failure,
    evaluation.Score,
    evaluation.EvaluationHeader,
    evaluation.Summary,
    evaluation.Resources,
    records.Opening,
    records.Decision,
    records.Standing,
    records.Interval,
    records.Check,
    records.Pair,
    records.Text,
    TrainingResult,
    costs.Costs,
    costs.CostLine,
    costs.Monthly,
    costs.BreakEven,
    diagnosis.Diagnosis,
    diagnosis.Arm,
    diagnosis.Effect,
    diagnosis.MatrixCell,
    diagnosis.Shown,
    diagnosis.RetrievalFailures,
    diagnosis.Stability,
    diagnosis.KindStability,
    diagnosis.Changed,
    comparison.Comparison,
    comparison.PairTest,
    comparison.GateRecord,
    comparison.GateLine,
    judging.DimensionTable,
    judging.DimensionRow,
    judging.SystemMark,
    judging.Licence,
    judging.AgreementRecord,
    selection.Selection,
    selection.ModelRow,
    assessment.Assessment,
    assessment.Fact,
    assessment.Rung,
    assessment.Reason,
    assessment.Conflict,
    aftermath.Aftermath,
    aftermath.Change,
    aftermath.Ability,
    aftermath.Chat,
    aftermath.Unseen,
    aftermath.Overfitting,
    aftermath.CurveReading,
    aftermath.Verbatim,
    aftermath.CanaryPart,
    aftermath.Planted,
    knowledge.Recall,
    knowledge.PathStep,
    knowledge.Missed,
    knowledge.SplitShown,
    knowledge.GoldReading,
    knowledge.CandidateCeilings,
    knowledge.Ceilings,
    knowledge.Copies,
    knowledge.Stale,
    knowledge.Odd,
    knowledge.Unread,
    knowledge.Hub,
    knowledge.Writing,
    knowledge.Use,
    knowledge.Health,
    attack.Ingested,
    attack.Rate,
    attack.Steered,
    attack.Attack,
)
"""What lies in a run folder or beside it; each has a section of its name in run-folder.md."""

HEAD = """\
# task.yaml

Written by `docs/reference.py` from the schema in `src/rung/config/schema.py`; change it there.
本页由 `docs/reference.py` 根据 `src/rung/config/schema.py` 生成，请在源文件中修改。

`rung init questions.csv` proposes a file with these lines as comments. The file is read strictly: an unknown field, a
field written twice, an anchor, a tag or a missing file is a mistake, and all mistakes are reported at once, each with its
line; columns are looked up in the data once the file itself is right. Paths are relative to the file. Where a list is asked
for, a single value will do. A model written as bare text is the id of a local model.

`rung init questions.csv` 会生成带有这些注释的文件。读取是严格的：未知字段、重复字段、锚点、标签、不存在的文件都算错误，
并且一次全部报告，逐条注明行号；文件本身无误之后，再核对数据中的列。路径相对于该文件。需要列表的地方也可以只写一个值。只写一段文字的模型，就是本地模型的编号。

The least that is needed / 最少需要的内容：

```yaml
instruction: Name the topic of the question.
inputs: [question]
output: {kind: label, column: topic}
data: {examples: questions.csv}
```

## Fields / 字段
"""

SETTINGS = """
An unknown name is refused (E2407).

| method | settings |
|---|---|
| `baseline` | none |
| `prompt`, `few_shot`, `rag` | `grid`: usual (default) or wide; `search`: race (default) or exhaustive |
| `rag` | also `chunk_words`, `k`, `query`, `fusion`, `weights`, `rerank`, `rerank_depth`, `order`, `drop_below`, `abstain`: [the guide](../guides/rag.md) |
| `optimise_prompt` | `calls` (600, at least 100), `proposals` (4), `demos` (4), `writer` (`model`, `rules`, or a mapping with kind, id and options) |
| `fine_tune` | the hyper-parameters of [training](training.md), `seeds` and `search` |
| `few_shot+fine_tune` | the same, and `k` (examples shown, 3) |
| `rag+fine_tune` | the same, and those of `rag` with one value each, without `abstain`; `k` (passages shown) is 2, `chunk_words` 70 |

[Racing](../concepts/racing.md) says what the settings of the first rows mean. `max_seconds` is the rung's share of the budget, and `seed`
is `data.seed`, unless they are written here.

未知名称会被拒绝（E2407）。`prompt`、`few_shot` 和 `rag` 接受 `grid`（usual 或 wide，默认 usual）和 `search`（race 或
exhaustive，默认 race）；`optimise_prompt` 接受 `calls`（600，至少 100）、`proposals`（4）、`demos`（4）和 `writer`（`model`、
`rules`，或含 kind、id、options 的一项）；`fine_tune` 接受[训练页](training.zh-CN.md)列出的超参数以及 `seeds` 和 `search`，`few_shot+fine_tune` 另有 `k`（展示的示例数，3），
`rag` 另有检索的各项设置（见[指南](../guides/rag.zh-CN.md)），`rag+fine_tune` 也接受它们（每项一个值，没有 `abstain`；`k` 为 2，`chunk_words` 为 70）。`baseline` 没有设置项。不写时，`max_seconds` 是该方法分到的
预算，`seed` 等于 `data.seed`。
"""


def fields(block: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field by its dotted path, as `field_docs` names them."""
    for name, info in block.model_fields.items():
        yield prefix + name, info
        inner = {"models": ModelConfig, "steps": StepConfig}.get(name, info.annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from fields(inner, f"{prefix}{name}.")


def kind(annotation: Any) -> str:
    """A field's type as a person would say it."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in _NAMES:
        return _NAMES[annotation]
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in {Union, types.UnionType}:
        return " or ".join(kind(part) for part in inner if part is not type(None))
    if origin is tuple:
        return "list"
    if hasattr(annotation, "__metadata__"):
        return kind(inner[0])
    return "block"


def default(value: Any) -> str:
    if value is PydanticUndefined:
        return "**required**"
    if value is None or isinstance(value, BaseModel) or value in ((), {}, ""):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, (tuple, dict)):
        return "`[" + ", ".join(item.label if isinstance(item, ModelConfig) else str(item) for item in value) + "]`"
    return f"`{value}`" if isinstance(value, str) else f"`{value:g}`"


def limits(info: Any) -> str:
    found = [
        f"{sign} {getattr(mark, name):g}"
        for mark in info.metadata
        for name, sign in _LIMITS.items()
        if hasattr(mark, name)
    ]
    return ", ".join(["", *found])


def page() -> str:
    """The whole page."""
    english, chinese = field_docs("en"), field_docs("zh")
    lines = [HEAD, "| field | type | default | meaning | 含义 |", "|---|---|---|---|---|"]
    for path, info in fields(Config):
        what = f"{kind(info.annotation)}{limits(info)}"
        lines.append(f"| `{path}` | {what} | {default(info.default)} | {english[path]} | {chinese[path]} |")
    lines += [
        "",
        "`name` is the name of the file's folder when absent. `models.*` and `output.steps.*` are the fields of one entry of the list;",
        "`output.shown` has entries like those of `output.steps`.",
    ]
    lines += [
        "不写 `name` 时取文件所在文件夹的名字。`models.*` 和 `output.steps.*` 是列表中一项的字段；`output.shown` 的写法与 `output.steps` 相同。",
        "",
    ]
    lines += [
        "A run stops before the first call to an endpoint after `budget.max_cost` is reached, so that a batch under way may go beyond",
        "it; what is finished is kept. It is one limit over the whole run: what `rung run`, `rung diagnose`, `rung stability` and",
        "`rung judge score` were charged counts, useless answers included. Each takes `--max-cost`, which goes before `budget` for one",
        "call; `--max-hours` of `rung run` does so for `minutes`. `rung judge calibrate` and `rung compare --judge` have no run: there the",
        "limit is for one call. `encoder: folder:PATH`",
        "takes PATH from where the command runs. A model of kind `recorded` runs no rung: compare recorded answers with `rung compare`.",
        "`arms` is read by `rung diagnose`, `judge` by `rung judge`, `rung rate` and `rung compare`; neither changes a run.",
        "",
        "接口费用达到 `budget.max_cost` 之后，不再发出新的请求，运行停止，已完成的部分会保留；正在进行的一批请求可能略微超出上限。",
        "上限针对整次运行：`rung run`、`rung diagnose`、`rung stability` 和 `rung judge score` 的费用都计入，没有可用回答的也算。",
        "这些命令都可用 `--max-cost` 指定当次的上限，优先于 `budget`；`rung run` 的 `--max-hours` 同理优先于 `minutes`。",
        "`rung judge calibrate` 和 `rung compare --judge` 不属于任何运行，上限只针对当次执行。`encoder: folder:路径` 中的路径相对于执行命令的位置。",
        "`recorded` 类型的模型不能运行任何方法：已记录的答案请用 `rung compare` 比较。`arms` 供 `rung diagnose` 使用，`judge` 供",
        "`rung judge`、`rung rate` 和 `rung compare` 使用，都不影响运行。",
        "",
    ]
    lines += ["## Metrics when none are named / 默认指标", ""]
    lines += [f"- `{name}`: {', '.join(f'`{metric}`' for metric in found)}" for name, found in DEFAULT_METRICS.items()]
    lines += ["", "## Settings of a method / 方法的设置", SETTINGS]
    lines += ["", "## Parts by name / 已注册的部件", ""]
    for part_kind in ("method", "model", "metric", "encoder", "retriever", "step"):
        lines += [f"**{part_kind}**", ""]
        # Parts of other installed packages are not ours to describe.
        own = [part for part in parts(part_kind).values() if part.target.startswith("rung.")]
        lines += [f"- `{part.name}`: {part.about}" for part in own]
        lines.append("")
    return "\n".join(lines)


TRAINING_TEXT = {
    "en": {
        "head": """\
# Settings of a training

Written by `docs/reference.py` from `src/rung/training/settings.py`; change it there. [中文](training.zh-CN.md)

They stand in task.yaml under `settings`, in the block of a method that trains:

```yaml
settings:
  fine_tune: {adapter: lora, rank: 32, epochs: 2, seeds: 3}
```

An unknown name or a value that cannot be is refused before anything is spent (E2407, E2460).

| name | default | meaning |
|---|---|---|""",
        "rates": """
`learning_rate` by the kind of adapter, where none is given:
""",
        "more": """
## How often it trains

`seeds: 3` trains three times, from the seeds `seed`, `seed` + 1 and `seed` + 2, each with an even part of the time. The one with the
best dev score becomes the candidate, and the report says how far the seeds lie apart: differences between rungs that are smaller mean
little. A seed that is finished is not trained again when a run goes on; one that fails costs only itself.

`search: true` looks for hyper-parameters first: 8 short trainings (`search: 20` for more), each a quarter of a whole one
(`share: 0.25`), with Optuna's TPE sampler. The first one is what the settings say, so that a search is never worse on dev than none.
A trial that stands below the median of the others at the same point is stopped. The best one is then trained in full, with all seeds.
Without a budget of time, 8 trials take about as long as two whole trainings, and the training itself comes on top.

```yaml
settings:
  fine_tune:
    search: {trials: 12, share: 0.25, learning_rate: [1e-5, 1e-3], rank: [8, 16, 32]}
```

Where values are named, only those are searched. Two numbers are the ends of a range for the settings that are fractions; everything
else is a list of choices. `alpha` follows the rank. Trials are kept in `search.jsonl` of the candidate's folder; a search that was killed goes on
with the trial where it stopped. With `rung run --on ray`, trials are made in waves of `parallel` and seeds all at the same time
([guide](../guides/fine-tuning.md)). Without named values these are searched, around the settings given:

| name | adapters | values |
|---|---|---|""",
    },
    "zh": {
        "head": """\
# 训练设置

本页由 `docs/reference.py` 根据 `src/rung/training/settings.py` 生成，请在源文件中修改。[English](training.md)

这些设置写在 task.yaml 的 `settings` 中、需要训练的方法名下：

```yaml
settings:
  fine_tune: {adapter: lora, rank: 32, epochs: 2, seeds: 3}
```

未知的名称或不可能的值会在开始花费之前被拒绝（E2407、E2460）。

| 名称 | 默认值 | 含义 |
|---|---|---|""",
        "rates": """
没有给出 `learning_rate` 时，按适配器种类取：
""",
        "more": """
## 训练几次

`seeds: 3` 会训练三次，种子依次为 `seed`、`seed` + 1、`seed` + 2，时间平均分配。开发集分数最好的一次成为候选方案，报告会给出各种子
之间相差多少：各级之间小于这个幅度的差别意义不大。继续运行时，已完成的种子不会重新训练；某个种子失败只影响它自己。

`search: true` 会先搜索超参数：进行 8 次短训练（`search: 20` 则为 20 次），每次为完整训练的四分之一（`share: 0.25`），采样使用 Optuna 的
TPE。第一次试验就是当前设置，因此搜索结果在开发集上不会比不搜索更差。同一时点低于其他试验中位数的试验会被提前停止。最好的设置随后
用全部种子完整训练。没有时间预算时，8 次试验大约相当于两次完整训练，之后还有完整训练本身。

```yaml
settings:
  fine_tune:
    search: {trials: 12, share: 0.25, learning_rate: [1e-5, 1e-3], rank: [8, 16, 32]}
```

写出取值时，只搜索写出的设置。对于小数类设置，两个数是范围的两端；其他情况都是选项列表。`alpha` 随秩变化。试验记录在候选方案文件夹的
`search.jsonl` 中；被中断的搜索会从中断的那次试验继续。使用 `rung run --on ray` 时，试验按每波 `parallel` 个进行，所有种子同时训练
（[指南](../guides/fine-tuning.zh-CN.md)）。不写取值时，围绕当前设置搜索以下各项：

| 名称 | 适配器 | 取值 |
|---|---|---|""",
    },
}


def training_page(language: Literal["en", "zh"]) -> str:
    """Every hyper-parameter of a training, and what a search tries, in one language."""
    text = TRAINING_TEXT[language]
    lines = [text["head"]]
    for field in dataclasses.fields(TrainSettings):
        shown = "" if field.default is None else f"`{json.dumps(field.default).strip(chr(34))}`"
        lines.append(f"| `{field.name}` | {shown} | {field.metadata[language]} |")
    lines += [text["rates"], *(f"- `{adapter}`: {rate:g}" for adapter, rate in LEARNING_RATE.items())]
    lines.append(text["more"])
    found: dict[tuple[str, str], list[str]] = {}
    for adapter in LEARNING_RATE:
        for name, kind in usual_space(TrainSettings(adapter=adapter)).items():
            told = kind.told + (" (log)" if isinstance(kind, Range) and kind.log else "")
            found.setdefault((name, told), []).append(f"`{adapter}`")
    lines += [f"| `{name}` | {', '.join(adapters)} | {told} |" for (name, told), adapters in sorted(found.items())]
    return "\n".join([*lines, ""])


def misfits() -> Iterator[str]:
    """Where run-folder.md and the records differ."""
    sections = re.split(r"^#{2,4} ", RUN_FOLDER.read_text("utf-8"), flags=re.MULTILINE)
    told = {section.split("\n", 1)[0].strip(" `"): section for section in sections}
    for record in RECORDS:
        if record.__name__ not in told:
            yield f"no section '{record.__name__}'"
            continue
        rows = set(re.findall(r"^\| `(\w+)`", told[record.__name__], flags=re.MULTILINE))
        names = (
            set(record.model_fields)
            if issubclass(record, BaseModel)
            else {field.name for field in dataclasses.fields(record)}
        )
        yield from (f"{record.__name__}.{name} is not told" for name in sorted(names - rows))
        yield from (f"{record.__name__} has no field '{name}'" for name in sorted(rows - names))


def generated() -> dict[Path, str]:
    """Every page that is written here."""
    return {PAGE: page(), TRAINING["en"]: training_page("en"), TRAINING["zh"]: training_page("zh")}


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        wrong = [f"{RUN_FOLDER.name}: {text}" for text in misfits()]
        for path, text in generated().items():
            if not path.is_file() or path.read_text("utf-8") != text:
                wrong.append(f"{path.name} is out of date: run `make docs`")
        print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
        return 1 if wrong else 0
    if arguments:
        raise SystemExit(__doc__)
    for path, text in generated().items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
