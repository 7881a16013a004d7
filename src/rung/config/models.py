"""The `models` block of task.yaml: the base models that are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from rung.config.block import Block, Free, doc

WEIGHTS = ("transformers", "openvino")
"""Kinds of models whose path is a folder of weights."""


class ModelConfig(Block):
    """One candidate base model."""

    kind: str = doc(
        "transformers, openvino (the same weights, faster on a CPU), openai (any compatible endpoint), recorded or fake",
        "transformers、openvino（同样的权重，CPU 上更快）、openai（任何兼容接口）、recorded 或 fake",
        "transformers",
    )
    name: str = doc("short name in the report; the id when absent", "报告中的简称；不写则用 id", "")
    id: str = doc(
        "name of the model: a hub id, or the endpoint's model name", "模型名：模型库编号，或接口中的模型名", ""
    )
    path: str | None = doc(
        "local folder of weights, or the file of recorded answers", "本地权重文件夹，或已记录答案的文件", None
    )
    revision: str = doc("commit or version of the weights", "权重的提交号或版本", "")
    engine: str = doc("how it is run; chosen by the machine when absent", "运行引擎；不写则按机器选择", "")
    precision: str = doc(
        "bf16, fp32, ...; chosen by the machine when absent; of openvino f16 (the default) or q8_0",
        "bf16、fp32 等；不写则按机器选择；openvino 为 f16（默认）或 q8_0",
        "",
    )
    base_url: str | None = doc(
        "address of the endpoint, for example http://localhost:8000/v1", "接口地址，例如 http://localhost:8000/v1", None
    )
    api_key_env: str | None = doc(
        "environment variable that holds the key; never the key itself", "存放密钥的环境变量名；不要写密钥本身", None
    )
    input_price: float = doc(
        "price of a million prompt tokens, in cost.currency", "每百万输入 token 的价格（cost.currency 货币）", 0.0, ge=0
    )
    output_price: float = doc(
        "price of a million answer tokens, in cost.currency", "每百万输出 token 的价格（cost.currency 货币）", 0.0, ge=0
    )
    options: Free = doc("further plain values for the backend", "传给后端的其他普通值", {})

    @property
    def label(self) -> str:
        """The name it goes by in reports."""
        return self.name or self.id or Path(self.path or self.kind).name


def named_model(value: Any) -> Any:
    """A bare string is the id of a local model."""
    return {"id": value} if isinstance(value, str) else value


Model = Annotated[ModelConfig, BeforeValidator(named_model)]
