# From the dirty files beside this script to a data set that task.yaml names; docs/guides/data.md explains each step.
set -ex
rung data read papers
rung data import calls.csv --to datasets/desk --licence own --yes \
    --map question=问题 --map answer=主题 --map id=编号 --map time=日期
rung data clean datasets/desk --merge labels.json
rung data duplicates datasets/desk
rung data privacy datasets/desk
rung data mask datasets/desk --out datasets/masked
rung data check datasets/masked --encoder tfidf --out quality
rung data log datasets/masked
rung data card datasets/masked --out datasets/masked/README.md
rung check task.yaml
