"""Hyper-parameters of a training: each with a default that works and a line that says what it is, in both languages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from rung.core.errors import UsageError

Adapter = Literal["lora", "dora", "qlora", "full", "prompt", "p_tuning", "prefix"]
Optimiser = Literal["adamw", "adam", "adafactor", "rmsprop", "sgd", "adagrad", "nadam"]
Schedule = Literal["linear", "cosine", "constant", "inverse_sqrt"]
Loss = Literal["dpo", "ipo", "kto", "orpo"]
Policy = Literal["grpo", "rloo"]

LEARNING_RATE: dict[Adapter, float] = {
    "lora": 1e-3,
    "dora": 1e-3,
    "qlora": 5e-4,
    "full": 1e-4,
    "prompt": 3e-2,
    "p_tuning": 3e-3,
    "prefix": 1e-2,
}
"""Where training starts when none is given: the more weights, the smaller the step."""


def setting(default: Any, en: str, zh: str) -> Any:
    """A field with its line of documentation in both languages."""
    return field(default=default, metadata={"en": en, "zh": zh})


@dataclass(frozen=True)
class TrainSettings:
    """Hyper-parameters of one training. Raises UsageError E2460 for a value that cannot be, E2850, E2467 for two that exclude each other."""

    adapter: Adapter = setting(
        "lora",
        "what is trained: lora, dora, qlora (4-bit base, needs bitsandbytes), full (all weights), prompt, p_tuning or prefix (soft prompts)",
        "训练哪些参数：lora、dora、qlora（4 位基座，需 bitsandbytes）、full（全部权重）、prompt、p_tuning 或 prefix（软提示）",
    )
    rank: int = setting(16, "rank of the adapter: how much it can learn", "适配器的秩：可学习的容量")
    alpha: int = setting(32, "the adapter's update is scaled by alpha / rank", "适配器更新按 alpha / rank 缩放")
    targets: str = setting(
        "all-linear",
        "layers that get an adapter: all-linear, or names separated by commas",
        "加适配器的层：all-linear，或用逗号分隔的层名",
    )
    virtual_tokens: int = setting(20, "length of a soft prompt, in tokens", "软提示的长度（token 数）")
    dropout: float = setting(
        0.0, "share of the adapter's inputs dropped while training", "训练时随机丢弃的适配器输入比例"
    )
    optimiser: Optimiser = setting(
        "adamw",
        "adamw, adam, adafactor (least memory), rmsprop, sgd, adagrad or nadam",
        "adamw、adam、adafactor（最省内存）、rmsprop、sgd、adagrad 或 nadam",
    )
    learning_rate: float | None = setting(
        None, "the highest learning rate; by the kind of adapter when absent", "最高学习率；不写则按适配器种类选择"
    )
    schedule: Schedule = setting(
        "linear",
        "how the learning rate falls: linear, cosine, constant or inverse_sqrt",
        "学习率如何下降：linear、cosine、constant 或 inverse_sqrt",
    )
    warmup: float = setting(
        0.05, "share of the run over which the learning rate rises", "学习率上升阶段占整个训练的比例"
    )
    weight_decay: float = setting(0.0, "pull of the weights towards zero", "权重衰减")
    beta1: float = setting(0.9, "memory of the gradient's mean (momentum)", "梯度均值的记忆（动量）")
    beta2: float = setting(0.999, "memory of the gradient's square", "梯度平方的记忆")
    max_grad_norm: float = setting(
        1.0, "longest gradient step; longer ones are cut; 0: never", "梯度裁剪的最大范数；0 表示不裁剪"
    )
    label_smoothing: float = setting(
        0.0, "probability spread over the other tokens", "分给其他 token 的概率（标签平滑）"
    )
    neftune: float = setting(
        0.0,
        "noise on the input embeddings (NEFTune); 5 is usual, 0: none",
        "输入嵌入上的噪声（NEFTune）；常用 5，0 表示不加",
    )
    batch_size: int = setting(8, "rows a step learns from", "每一步学习的行数")
    micro_tokens: int = setting(
        512,
        "tokens that go through the model at once; the rest of a batch is accumulated",
        "一次送入模型的 token 数；批内其余部分做梯度累积",
    )
    gradient_checkpointing: bool = setting(
        False,
        "compute activations twice instead of keeping them: less memory, slower",
        "重算激活值而不保留：省内存，更慢",
    )
    sharded: bool = setting(
        False,
        "cut weights and optimiser over the processes of --devices (FSDP2); dev is answered by the first one with all weights together",
        "把权重和优化器状态切分到 --devices 的各个进程（FSDP2）；开发集由第一个进程用合起来的全部权重作答",
    )
    epochs: float = setting(3.0, "times that every row is seen", "每行数据被学习的次数")
    max_steps: int | None = setting(None, "end after this many steps", "最多训练的步数")
    max_seconds: float | None = setting(
        None, "end after this many seconds; set by the budget", "最多训练的秒数；由预算决定"
    )
    max_length: int = setting(
        2048,
        "longest row, in tokens; longer ones are left out and counted",
        "单行最大长度（token 数）；超长的行不参与训练并计数",
    )
    evaluations: int = setting(8, "how often dev is scored over the whole run", "整个训练中在开发集上评分的次数")
    patience: int = setting(
        3,
        "stop after this many scorings without a new best; 0: never",
        "连续多少次评分没有进步就提前停止；0 表示不提前停止",
    )
    save_steps: int = setting(50, "steps from one checkpoint to the next, at most", "两个检查点之间最多相隔的步数")
    seed: int = setting(
        0, "another number, another order of rows and another start", "换一个数，数据顺序和初始值就不同"
    )
    # Preference tuning
    loss: Loss = setting("dpo", "preference loss: dpo, ipo, kto or orpo", "偏好损失：dpo、ipo、kto 或 orpo")
    beta: float = setting(
        0.1, "how closely a preference-tuned model stays to where it began", "偏好训练后的模型与起点保持接近的程度"
    )
    # Reinforcement
    policy: Policy = setting("grpo", "reinforcement: grpo or rloo", "强化学习算法：grpo 或 rloo")
    generations: int = setting(4, "answers drawn for each question", "每个问题采样的回答数")
    temperature: float = setting(0.9, "temperature at which answers are drawn", "采样回答时的温度")

    def __post_init__(self) -> None:
        for name, options in (
            ("adapter", Adapter),
            ("optimiser", Optimiser),
            ("schedule", Schedule),
            ("loss", Loss),
            ("policy", Policy),
        ):
            if getattr(self, name) not in get_args(options):
                raise UsageError("E2460", name=name, value=getattr(self, name), known=", ".join(get_args(options)))
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError("E2460", name=name, value=value, known=f"{low} - {high}")
        if self.adapter == "prefix" and self.gradient_checkpointing:
            raise UsageError("E2850")
        if self.adapter == "qlora" and self.sharded:
            raise UsageError("E2467")

    @property
    def rate(self) -> float:
        """The highest learning rate of this run."""
        return LEARNING_RATE[self.adapter] if self.learning_rate is None else self.learning_rate

    @property
    def soft(self) -> bool:
        """Whether a soft prompt is trained, and no weight of the model."""
        return self.adapter in {"prompt", "p_tuning", "prefix"}


_MOST = 10**9
_RANGES: tuple[tuple[str, float, float], ...] = (
    ("rank", 1, 4096),
    ("alpha", 0.001, _MOST),
    ("virtual_tokens", 1, 1024),
    ("dropout", 0, 0.9),
    ("learning_rate", 0, 10),
    ("warmup", 0, 0.9),
    ("weight_decay", 0, 10),
    ("beta1", 0, 0.9999),
    ("beta2", 0, 0.999999),
    ("max_grad_norm", 0, _MOST),
    ("label_smoothing", 0, 0.9),
    ("neftune", 0, 100),
    ("batch_size", 1, 65536),
    ("micro_tokens", 1, _MOST),
    ("epochs", 0.001, 10_000),
    ("max_steps", 1, _MOST),
    ("max_seconds", 0, _MOST),
    ("max_length", 8, _MOST),
    ("evaluations", 0, 10_000),
    ("patience", 0, 10_000),
    ("save_steps", 1, _MOST),
    ("seed", 0, 2**63),
    ("beta", 0, 100),
    ("generations", 2, 256),
    ("temperature", 0.01, 5),
)
