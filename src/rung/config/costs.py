"""The cost block of task.yaml: prices, volume and upkeep."""

from __future__ import annotations

from rung.config.block import Block, doc


class CostConfig(Block):
    """Prices, so that training and serving add up to one number per 1,000 answers."""

    currency: str = doc("the currency of every price in this file", "本文件所有价格的货币", "USD")
    cpu_second_price: float = doc(
        "one CPU core for one second; default: 0.045 an hour, an on-demand cloud core",
        "一个 CPU 核一秒的价格；默认每小时 0.045，按需云主机一核",
        0.0000125,
        ge=0,
    )
    gpu_second_price: float = doc(
        "one GPU for one second; default: 2.52 an hour, an on-demand 80 GB card",
        "一块 GPU 一秒的价格；默认每小时 2.52，按需 80 GB 显卡",
        0.0007,
        ge=0,
    )
    monthly_volume: int = doc("answers a month in production", "上线后每月回答的数量", 10000, ge=1)
    months: float = doc("months that the training cost is spread over", "训练费用分摊的月数", 6, gt=0)
    machine_month_price: float = doc(
        "a month of the machine that a model of your own runs on; 0: paid by the second, as above",
        "自有模型所用机器的月租；0 表示按上面的秒价计费",
        0.0,
        ge=0,
    )
    upkeep_hours: float = doc(
        "a person's hours a month for any candidate: reading answers, handling feedback",
        "任何方案每月都需要的人工小时：抽查回答、处理反馈",
        0.0,
        ge=0,
    )
    hour_price: float = doc(
        "price of a person's hour, overheads included", "一个人工小时的价格（含间接成本）", 60.0, ge=0
    )
    retrain_months: float | None = doc(
        "months from one training to the next; trained once when absent",
        "每隔几个月重新训练；不写则只训练一次",
        None,
        gt=0,
    )
    retrain_hours: float = doc(
        "a person's hours for each retraining: new examples, a look at the result",
        "每次重新训练的人工小时：补充示例、检查结果",
        8.0,
        ge=0,
    )
    reindex_months: float | None = doc(
        "months from one indexing of the documents to the next; indexed once when absent",
        "每隔几个月重建文档索引；不写则只建一次",
        None,
        gt=0,
    )
    reindex_hours: float = doc(
        "a person's hours for each indexing: bringing the documents up to date",
        "每次重建索引的人工小时：更新文档",
        2.0,
        ge=0,
    )
