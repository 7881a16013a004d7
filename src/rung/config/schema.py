"""The schema of task.yaml: every field, its default, and one line about it in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, PrivateAttr

from rung.config.block import Block, Free, Names, doc
from rung.config.costs import CostConfig
from rung.config.documents import NamedBase, named_base
from rung.config.models import Model, ModelConfig, named_model
from rung.config.post_process import StepConfig, named_steps
from rung.config.source import Source, resolve
from rung.core.task import Language, OutputKind

BUILT_IN_MODEL = "smollm2-135m"
DEFAULT_METRICS: dict[OutputKind, tuple[str, ...]] = {
    "label": ("accuracy", "macro_f1"),
    "text": ("token_f1", "exact_match"),
    "json": ("json_match",),
}


Steps = Annotated[tuple[StepConfig, ...], BeforeValidator(named_steps)]


class ServingConfig(Block):
    """How the winner is served and replaced."""

    auto_promote: bool = doc(
        "rung retrain promotes a new winner that passes every check; otherwise a person does, by rung promote",
        "新的胜出方案通过全部检查后，由 rung retrain 自动上线；否则须由人用 rung promote 上线",
        False,
    )


class OutputConfig(Block):
    """What an answer is."""

    kind: OutputKind = doc(
        "label (one of a set), text (free text) or json", "label（固定标签之一）、text（自由文本）或 json"
    )
    column: str = doc(
        "the column that holds the right answer; with data.messages, rows without it end with the answer",
        "正确答案所在的列；使用 data.messages 时，没有该列的行以对话的最后一条回答为答案",
        min_length=1,
    )
    rejected: str | None = doc(
        "column with a worse answer to the same question: preference pairs, for training",
        "同一问题的较差答案所在的列：偏好对，用于训练",
        None,
    )
    liked: str | None = doc(
        "column with a thumb up or down for the answer (true or false); a row with a thumb down is only trained on",
        "对答案的好评或差评所在的列（true 或 false）；差评的行只用于训练",
        None,
    )
    labels: Names = doc("the allowed labels; taken from the examples when absent", "允许的标签；不写则取自示例数据", ())
    json_schema: Free | None = doc(
        "JSON schema of the answer; required for kind json", "答案的 JSON Schema；kind 为 json 时必填", None
    )
    max_tokens: int = doc("longest answer, in tokens", "答案的最大长度（token 数）", 64, ge=1, le=32768)
    abstain: str | None = doc(
        "the exact text that means 'the documents do not say'", "表示“文档中没有说明”的固定文本", None, min_length=1
    )
    steps: Steps = doc(
        "post-processing of every answer before it is scored, in this order", "评分之前对每个回答的后处理，按此顺序", ()
    )
    shown: Steps = doc(
        "post-processing for the reader alone; the metrics score the answer before it",
        "只为读者做的后处理；指标按处理之前的回答评分",
        (),
    )
    safe_message: str = doc(
        "what the reader gets in place of an answer that a step refuses; a usual sentence when absent",
        "某一步拒绝回答时读者看到的文字；不写则用默认句子",
        "",
    )


class DataConfig(Block):
    """Where the labelled examples are, and how they are split."""

    examples: str | None = doc(
        "examples that Rung splits: a CSV, TSV, JSONL, JSON, XLSX or Parquet file, or a data set (FOLDER or FOLDER@VERSION)",
        "由 Rung 划分的示例：CSV、TSV、JSONL、JSON、XLSX 或 Parquet 文件，或数据集（文件夹 或 文件夹@版本）",
        None,
    )
    train: str | None = doc(
        "your own split: training file, together with test", "自备划分：训练文件，须与 test 一起给出", None
    )
    dev: str | None = doc(
        "your own split: dev file; carved from train when absent", "自备划分：开发集文件；不写则从 train 中划出", None
    )
    test: str | None = doc("your own split: test file", "自备划分：测试文件", None)
    id: str | None = doc(
        "column with a unique id; made from the content when absent", "唯一编号所在的列；不写则由内容生成", None
    )
    group: str | None = doc(
        "column whose equal values never lie in two splits (customer, conversation, ...)",
        "分组列：同组的行不会被分到两个集合（客户、会话等）",
        None,
    )
    document: str | None = doc(
        "column that names the document holding the answer; several separated by ';'",
        "答案所在文档的列；多个用“;”分隔",
        None,
    )
    messages: str | None = doc(
        "column of a dialogue in OpenAI's or ShareGPT's form; its last question becomes the only input, what came before it history",
        "对话所在的列（OpenAI 或 ShareGPT 格式）；最后一个提问作为唯一输入，之前的内容作为历史",
        None,
    )
    time: str | None = doc(
        "column with the time of each row, such as 2024-03-05 or 2024-03-05 14:30",
        "每行的时间所在的列，例如 2024-03-05 或 2024-03-05 14:30",
        None,
    )
    split: Literal["random", "time"] = doc(
        "random, or time: test is the latest, train the earliest; needs data.time",
        "random（随机），或 time（按时间：最晚的作测试集，最早的作训练集，须给出 data.time）",
        "random",
    )
    encoding: str | None = doc(
        "text encoding of the files; detected when absent", "文件的字符编码；不写则自动检测", None
    )
    max_bad_ratio: float = doc(
        "share of unusable rows above which reading stops", "无法使用的行超过该比例时停止读取", 0.01, ge=0, le=1
    )
    dev_share: float = doc(
        "share of the examples for dev: settings are chosen on it", "开发集比例，用于选择设置", 0.2, gt=0, lt=1
    )
    test_share: float = doc(
        "share of the examples for test: sealed until the end", "测试集比例，到最后才打开", 0.3, gt=0, lt=1
    )
    seed: int = doc("another number draws another split", "换一个数就换一种划分", 0, ge=0)


class BudgetConfig(Block):
    """What a run may spend. A rung stopped by it is reported as not converged."""

    minutes: float | None = doc("wall-clock minutes of the whole run", "整次运行的时间上限（分钟）", None, gt=0)
    max_cost: float | None = doc(
        "money for endpoints, in cost.currency", "接口费用上限（cost.currency 货币）", None, ge=0
    )
    probe: bool = doc(
        "look cheaply for headroom before a dear rung, and skip it where none is seen",
        "在昂贵的一级之前先做便宜的探测，未见提升空间就跳过",
        True,
    )
    aftermath: bool = doc(
        "measure in short what a tuned winner forgot and memorised, where time is left",
        "若胜出方案经过微调且时间有余，简要测量它遗忘和死记了什么",
        True,
    )
    ceilings: bool = doc(
        "at the end, look at the documents' health and tell finding from reading, where there are documents",
        "运行结束时检查文档的健康状况，并区分“没找到”和“没读对”（有文档时）",
        True,
    )


class ConstraintsConfig(Block):
    """Limits that a winner must keep."""

    max_latency_p95: float | None = doc(
        "seconds for one answer, 95th percentile", "单个回答耗时的 95 分位上限（秒）", None, gt=0
    )
    max_memory_gib: float | None = doc("memory while answering, in GiB", "回答时的内存上限（GiB）", None, gt=0)
    max_failure_share: float = doc(
        "share of questions that may end without an answer", "允许没有答案的问题比例", 0.02, ge=0, le=1
    )
    min_stability: float | None = doc(
        "share of answers that must stay the same when dev questions are asked again in other forms",
        "开发集问题换一种问法后，答案须保持不变的最低比例",
        None,
        ge=0,
        le=1,
    )
    max_attack_rate: float | None = doc(
        "share of attacks with poisoned documents that may steer an answer (see rung attack)",
        "投毒文档攻击成功、左右回答的比例上限（见 rung attack）",
        None,
        ge=0,
        le=1,
    )


class ArmsConfig(Block):
    """Recorded answers for `rung diagnose`, a file for each arm; with them no model is asked."""

    plain: str | None = doc(
        "answers to the question alone; needed by every other arm", "只给问题时的回答；其他各组都以它为参照", None
    )
    control: str | None = doc("the same, asked a second time", "同样的问题再问一遍的回答", None)
    gold: str | None = doc(
        "answers with the passage that holds the answer in the prompt", "提示词中给出含答案段落时的回答", None
    )
    format: str | None = doc(
        "answers with examples that show the form of an answer, and not the answer",
        "提示词中给出形式示例（不含答案）时的回答",
        None,
    )
    both: str | None = doc("answers with passage and examples", "同时给出段落和示例时的回答", None)
    rag: str | None = doc("answers of a retrieval system of your own", "自有检索系统的回答", None)

    @property
    def named(self) -> Mapping[str, str]:
        """The files given, by arm."""
        return {name: path for name in type(self).model_fields if (path := getattr(self, name)) is not None}


def defined(value: Any) -> Any:
    """Dimensions by name: a list of names stands for names without a definition of their own."""
    names = [value] if isinstance(value, str) else value
    return dict.fromkeys(map(str, names), "") if isinstance(names, list) else names


class JudgeConfig(Block):
    """A language model that marks answers. Its marks are shown only once they have been measured against people's."""

    model: Annotated[ModelConfig | None, BeforeValidator(named_model)] = doc(
        "the judging model, written as one entry of models; no judge when absent",
        "担任评委的模型，写法同 models 的一项；不写则没有评委",
        None,
    )
    dimensions: Annotated[dict[str, str], BeforeValidator(defined)] = doc(
        "what is judged: built-in names (professional, specific, practical, correct), or your own as name: definition",
        "评价方面：内置名称（professional、specific、practical、correct），或自定义（名称: 定义）",
        {"professional": "", "specific": "", "practical": ""},
        min_length=1,
    )
    scale: Names = doc("the marks that may be given, worst first", "可给的分数，从差到好", ("1", "2", "3", "4", "5"))
    reference: bool = doc("show the judge the right answer, where there is one", "有标准答案时是否给评委看", True)
    language: Language | None = doc(
        "language that the judge is asked in; the task's when absent", "向评委提问所用的语言；不写则与任务相同", None
    )


class TrackingConfig(Block):
    """Where a run can be watched from outside while it works. Changes nothing about the run."""

    tensorboard: str | None = doc(
        "folder for TensorBoard's event files; needs rung[tracking]",
        "存放 TensorBoard 事件文件的文件夹；需要安装 rung[tracking]",
        None,
        min_length=1,
    )
    mlflow: str | None = doc(
        "address of an MLflow server, for example http://localhost:5000; needs rung[tracking]",
        "MLflow 服务器的地址，例如 http://localhost:5000；需要安装 rung[tracking]",
        None,
        min_length=1,
    )
    experiment: str = doc("MLflow's experiment; the task's name when absent", "MLflow 的实验名；不写则用任务名", "")


class Config(Block):
    """One task.yaml, checked."""

    name: str = doc("short name of the task", "任务简称", "task", min_length=1)
    language: Language | None = doc(
        "en or zh; read off the instruction when absent", "en 或 zh；不写则由指令判断", None
    )
    instruction: str = doc("what to do with one question, said to the model", "告诉模型对每个问题做什么", min_length=1)
    inputs: Names = doc("the columns that make up the question", "组成问题的列", min_length=1)
    output: OutputConfig = doc("what an answer is", "答案是什么")
    data: DataConfig = doc("labelled examples", "带答案的示例")
    documents: str | None = doc(
        "documents that hold the answers: a folder, a .zip or one file, of any format (see rung data read); or a knowledge base "
        "(see rung index): its folder or postgres:NAME, with @VERSION for another version than the current one",
        "包含答案的文档：文件夹、.zip 或单个文件，格式不限（见 rung data read）；也可以是知识库（见 rung index）：其文件夹或 postgres:名称，"
        "后加 @版本 可指定当前版本以外的版本",
        None,
    )
    drop_orders: bool = doc(
        "leave out paragraphs of the documents that give a language model orders",
        "去掉文档中对语言模型下指令的段落",
        False,
    )
    metrics: Names = doc("metric names; the first one decides", "指标；第一个用于决策", ())
    models: tuple[Model, ...] = doc(
        "models to compare", "要比较的模型", (ModelConfig(id=BUILT_IN_MODEL),), min_length=1
    )
    encoder: str = doc(
        "sentence encoder of retrieval and baseline; folder:PATH for one of your own",
        "检索和基线使用的句向量模型；自备模型写作 folder:路径",
        "minilm",
    )
    methods: Names = doc("rungs to try; all that can run when absent", "要尝试的方法；不写则尝试所有可行的方法", ())
    budget: BudgetConfig = doc("what a run may spend", "一次运行的预算", BudgetConfig())
    target: float | None = doc("the score that is good enough, 0 to 1", "达到多少分就够用，0 到 1", None, ge=0, le=1)
    margin: float = doc("a difference in score too small to matter", "小到可以忽略的分数差", 0.02, ge=0, lt=1)
    constraints: ConstraintsConfig = doc(
        "limits that a winner must keep", "获胜方案必须满足的限制", ConstraintsConfig()
    )
    cost: CostConfig = doc("prices and volume", "价格和用量", CostConfig())
    arms: ArmsConfig = doc(
        "recorded answers for rung diagnose, by arm: JSONL or CSV with id or question, and answer",
        "供 rung diagnose 使用的已录制回答，按对照组给出：JSONL 或 CSV，含 id 或 question，以及 answer",
        ArmsConfig(),
    )
    judge: JudgeConfig = doc("a language model that marks answers", "给回答打分的语言模型", JudgeConfig())
    tracking: TrackingConfig = doc(
        "where the run can be watched from outside", "在外部实时查看运行情况的地方", TrackingConfig()
    )
    serving: ServingConfig = doc("how the winner is served and replaced", "胜出方案如何提供服务和更换", ServingConfig())
    settings: Annotated[dict[str, Free], BeforeValidator(resolve)] = doc(
        "a block of settings per method", "各方法自己的设置", {}
    )

    _source: Source = PrivateAttr(default_factory=Source)

    @property
    def folder(self) -> Path:
        """Where task.yaml lies; its paths are relative to here."""
        return self._source.folder

    @property
    def file(self) -> Path:
        """The task file itself."""
        return self._source.file

    def path(self, relative: str) -> Path:
        """A path of this file, from where the program runs."""
        return self.folder / Path(relative).expanduser()

    def where(self, *field: str | int) -> str:
        """Place of a field for an error: 'task.yaml:12 output.kind'."""
        return self._source.where(field)

    @property
    def base(self) -> NamedBase | None:
        """The knowledge base that `documents` names; None where it names files, or nothing."""
        return named_base(self.documents, self.folder) if self.documents else None

    @property
    def data_files(self) -> Mapping[str, str]:
        """The data files named, by their field: examples, or train, dev and test."""
        named = {field: getattr(self.data, field) for field in ("examples", "train", "dev", "test")}
        return {field: path for field, path in named.items() if path}

    @property
    def columns(self) -> Mapping[tuple[str | int, ...], str]:
        """Every column that is named and must be there, by the field that names it."""
        found: dict[tuple[str | int, ...], str] = {}
        if self.data.messages is not None:
            found["data", "messages"] = self.data.messages
        else:
            found |= {("inputs", i): name for i, name in enumerate(self.inputs)}
            found["output", "column"] = self.output.column
        for role in ("rejected", "liked"):
            if (name := getattr(self.output, role)) is not None:
                found["output", role] = name
        for role in ("id", "group", "document", "time"):
            if (name := getattr(self.data, role)) is not None:
                found["data", role] = name
        return found


def field_docs(language: Literal["en", "zh"] = "en", block: type[BaseModel] = Config) -> dict[str, str]:
    """One line about every field, by dotted path, in the order of the schema."""
    found: dict[str, str] = {}
    for name, info in block.model_fields.items():
        extra = info.json_schema_extra
        found[name] = (
            (info.description or "") if language == "en" else str(extra["zh"] if isinstance(extra, dict) else "")
        )
        inner: Any = {"models": ModelConfig, "steps": StepConfig}.get(name, info.annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= {f"{name}.{path}": line for path, line in field_docs(language, inner).items()}
    return found
