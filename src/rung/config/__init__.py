"""task.yaml: its schema, reading it with every mistake at once, and proposing one for a new data set."""

from rung.config.check import check_columns
from rung.config.load import load_config, to_model_ref, to_task
from rung.config.models import ModelConfig
from rung.config.schema import Config, field_docs
from rung.config.sniff import propose_config

__all__ = [
    "Config",
    "ModelConfig",
    "check_columns",
    "field_docs",
    "load_config",
    "propose_config",
    "to_model_ref",
    "to_task",
]
