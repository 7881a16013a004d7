"""Writes clauses.csv and clauses-zh.csv: notes of leases and service contracts, and their clauses by template. All names are invented.

python make_rows.py
"""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
ROWS = {"en": 160, "zh": 100}

FIRST = [
    "Orrin",
    "Mara",
    "Tobin",
    "Elsa",
    "Wilf",
    "Nadia",
    "Corin",
    "Ruth",
    "Jonah",
    "Petra",
    "Silas",
    "Imogen",
    "Amit",
    "Leila",
    "Hugo",
    "Freya",
]
LAST = [
    "Vale",
    "Lind",
    "Marsh",
    "Okoro",
    "Penrose",
    "Quill",
    "Hale",
    "Devi",
    "Stroud",
    "Ferreira",
    "Locke",
    "Abara",
    "Winter",
    "Nakamura",
]
STREETS = ["Larch Street", "Mill Lane", "Tanner Row", "Quay Road", "Fern Close", "Chapel Hill", "Station Terrace"]
TOWNS = ["Harrow Vale", "Quill Harbour", "Easterby", "Low Marsh", "Thornwick", "Saltbridge"]
FIRMS = ["Brightwater", "Oak and Ember", "Northlight", "Pennant", "Cobalt Yard", "Hollow Tree", "Merrow", "Tallis"]
SERVICES = [
    "office cleaning",
    "lift maintenance",
    "garden care",
    "bookkeeping",
    "translation",
    "window cleaning",
    "data backup",
]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]

LAST_ZH = "林周陈沈何许韩宋唐冯邓曹"
FIRST_ZH = "秋明雨桐文博思远晓岚一诺子墨家宁若溪海涛"
STREETS_ZH = ["松林路", "磨坊巷", "码头街", "学府路", "云栖路", "青石街"]
TOWNS_ZH = ["云溪市", "临港市", "东平县", "南屏市"]
FIRMS_ZH = ["晨光", "北岸", "青木", "远帆", "蓝田", "合众"]
SERVICES_ZH = ["保洁服务", "电梯维护", "绿化养护", "记账服务", "翻译服务", "数据备份"]


def person(rng: random.Random) -> str:
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def two_people(rng: random.Random) -> tuple[str, str]:
    one, other = person(rng), person(rng)
    return (one, other) if one != other else two_people(rng)


def date(rng: random.Random) -> tuple[int, int, int]:
    return rng.choice((2026, 2027, 2028)), rng.randint(1, 12), rng.choice((1, 5, 10, 14, 15, 20, 25))


def written(rng: random.Random, day: tuple[int, int, int]) -> str:
    """A date as somebody might jot it down."""
    y, m, d = day
    return rng.choice((f"{y}-{m:02d}-{d:02d}", f"{d} {MONTHS[m - 1]} {y}", f"{MONTHS[m - 1]} {d}, {y}"))


def notes(rng: random.Random, opening: str, facts: list[str]) -> str:
    """Facts in any order, as a list, as lines or as short sentences."""
    rng.shuffle(facts)
    how = rng.randrange(3)
    if how == 0:
        return f"{opening} " + "; ".join(facts) + "."
    if how == 1:
        return f"{opening}\n" + "\n".join(f"- {fact}" for fact in facts)
    return f"{opening} " + " ".join(f"{fact[0].upper()}{fact[1:]}." for fact in facts)


def lease(rng: random.Random) -> tuple[str, str]:
    landlord, tenant = two_people(rng)
    home = f"{rng.randint(2, 98)} {rng.choice(STREETS)}"
    rent = 10 * rng.randint(48, 160)
    day, deposit, months, notice, back = rng.choice((1, 3, 5, 7)), 10 * rng.randint(40, 180), rng.choice((6, 9, 12, 18, 24)), rng.choice((1, 2, 3)), rng.choice((10, 14, 21))  # fmt: skip
    start, town = date(rng), rng.choice(TOWNS)
    facts = [
        rng.choice((f"landlord {landlord}", f"owner is {landlord}", f"let by {landlord}")),
        rng.choice((f"tenant {tenant}", f"{tenant} moves in", f"rented by {tenant}")),
        rng.choice((f"the home is {home}", f"flat at {home}", f"address {home}")),
        rng.choice((f"rent £{rent} a month, day {day}", f"£{rent} monthly by day {day}", f"they pay £{rent} each month on day {day}")),
        rng.choice((f"deposit £{deposit}, back within {back} days", f"£{deposit} deposit, to be returned in {back} days")),
        rng.choice((f"{months} months from {written(rng, start)}", f"starts {written(rng, start)}, {months} months")),
        rng.choice((f"{notice} months' notice", f"notice period {notice} months")),
        rng.choice((f"courts of {town}", f"disputes go to {town}")),
    ]  # fmt: skip
    opening = rng.choice(("Lease, please.", "Draft a lease.", "Clauses for a lease:", "New tenancy."))
    y, m, d = start
    clauses = (
        f"1. Parties: {landlord} lets {home} to {tenant}.",
        f"2. Rent: £{rent} a month, due on day {day}.",
        f"3. Deposit: £{deposit}, returned within {back} days.",
        f"4. Term: {months} months from {d} {MONTHS[m - 1]} {y}.",
        f"5. Notice: {notice} months in writing.",
        f"6. Law: the courts of {town}.",
    )
    return notes(rng, opening, facts), "\n".join(clauses)


def service(rng: random.Random) -> tuple[str, str]:
    supplier, client = rng.sample(FIRMS, 2)
    supplier, client = f"{supplier} Services", rng.choice((f"{client} Group", person(rng)))
    what, town, start = rng.choice(SERVICES), rng.choice(TOWNS), date(rng)
    fee, cap = 10 * rng.randint(12, 240), 1000 * rng.randint(2, 40)
    pay, notice = rng.choice((7, 14, 30)), rng.choice((2, 4, 6, 8))
    facts = [
        rng.choice((f"supplier {supplier}", f"{supplier} does the work")),
        rng.choice((f"client {client}", f"ordered by {client}", f"for {client}")),
        rng.choice((f"it is about {what}", f"service: {what}", f"they want {what}")),
        rng.choice((f"£{fee} a month, pay within {pay} days", f"monthly fee £{fee}, invoices due in {pay} days")),
        rng.choice((f"from {written(rng, start)}", f"start on {written(rng, start)}")),
        rng.choice((f"liability up to £{cap:,}", f"liable for no more than £{cap:,}")),
        rng.choice((f"notice {notice} weeks", f"{notice} weeks' notice")),
        rng.choice((f"courts of {town}", f"disputes go to {town}")),
    ]
    opening = rng.choice(("Service contract, please.", "Draft a service contract.", "Clauses for a service:"))
    y, m, d = start
    clauses = (
        f"1. Parties: {supplier} provides {what} to {client}.",
        f"2. Fee: £{fee} a month, paid within {pay} days.",
        f"3. Start: {d} {MONTHS[m - 1]} {y}.",
        f"4. Liability: up to £{cap:,}.",
        f"5. Notice: {notice} weeks in writing.",
        f"6. Law: the courts of {town}.",
    )
    return notes(rng, opening, facts), "\n".join(clauses)


def name_zh(rng: random.Random) -> str:
    return rng.choice(LAST_ZH) + "".join(rng.sample(FIRST_ZH, rng.choice((1, 2))))


def notes_zh(rng: random.Random, opening: str, facts: list[str]) -> str:
    rng.shuffle(facts)
    if rng.randrange(2):
        return opening + "；".join(facts) + "。"
    return opening + "\n" + "\n".join(facts)


def written_zh(rng: random.Random, day: tuple[int, int, int]) -> str:
    y, m, d = day
    return rng.choice((f"{y}-{m:02d}-{d:02d}", f"{y}年{m}月{d}日"))


def lease_zh(rng: random.Random) -> tuple[str, str]:
    landlord, tenant = name_zh(rng), name_zh(rng)
    home = f"{rng.choice(STREETS_ZH)}{rng.randint(2, 98)}号"
    rent, deposit, day = 100 * rng.randint(12, 80), 100 * rng.randint(10, 160), rng.choice((1, 3, 5, 10))
    months, notice, start, town = rng.choice((6, 12, 18, 24)), rng.choice((15, 30, 60)), date(rng), rng.choice(TOWNS_ZH)
    facts = [
        rng.choice((f"出租人：{landlord}", f"房东：{landlord}")),
        rng.choice((f"承租人：{tenant}", f"租客：{tenant}")),
        f"房屋：{home}",
        rng.choice((f"月租{rent}元，每月{day}日前付", f"租金每月{rent}元，{day}日前交")),
        rng.choice((f"押金{deposit}元", f"押金：{deposit}元")),
        rng.choice(
            (f"{written_zh(rng, start)}起租，租{months}个月", f"租期{months}个月，从{written_zh(rng, start)}开始")
        ),
        rng.choice((f"解约提前{notice}天通知", f"通知期{notice}天")),
        f"管辖：{town}法院",
    ]
    y, m, d = start
    clauses = (
        f"第一条 双方：{landlord}将{home}租给{tenant}。",
        f"第二条 租金：每月{rent}元，{day}日前付。",
        f"第三条 押金：{deposit}元。",
        f"第四条 租期：{y}年{m}月{d}日起{months}个月。",
        f"第五条 通知：提前{notice}天。",
        f"第六条 管辖：{town}法院。",
    )
    return notes_zh(rng, rng.choice(("请拟租约。", "写租房合同条款：")), facts), "\n".join(clauses)


def service_zh(rng: random.Random) -> tuple[str, str]:
    supplier, client = rng.sample(FIRMS_ZH, 2)
    supplier, client, what = f"{supplier}公司", f"{client}公司", rng.choice(SERVICES_ZH)
    fee, pay = 100 * rng.randint(5, 90), rng.choice((7, 15, 30))
    cap, notice, start, town = rng.randint(1, 30), rng.choice((15, 30, 60)), date(rng), rng.choice(TOWNS_ZH)
    facts = [
        rng.choice((f"服务方：{supplier}", f"乙方：{supplier}")),
        rng.choice((f"客户：{client}", f"甲方：{client}")),
        f"内容：{what}",
        rng.choice((f"每月{fee}元，{pay}天内付款", f"月费{fee}元，收到发票{pay}天内付")),
        rng.choice((f"{written_zh(rng, start)}开始", f"自{written_zh(rng, start)}起")),
        rng.choice((f"责任上限{cap}万元", f"赔偿最多{cap}万元")),
        rng.choice((f"解约提前{notice}天通知", f"通知期{notice}天")),
        f"管辖：{town}法院",
    ]
    y, m, d = start
    clauses = (
        f"第一条 双方：{supplier}为{client}提供{what}。",
        f"第二条 费用：每月{fee}元，{pay}天内付。",
        f"第三条 开始：{y}年{m}月{d}日。",
        f"第四条 责任：最多{cap}万元。",
        f"第五条 通知：提前{notice}天。",
        f"第六条 管辖：{town}法院。",
    )
    return notes_zh(rng, rng.choice(("请拟服务合同。", "写服务合同条款：")), facts), "\n".join(clauses)


def write(name: str, makers: list[Callable[[random.Random], tuple[str, str]]], rows: int) -> None:
    rng = random.Random(name)
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "facts", "clauses"])
        for n in range(rows):
            writer.writerow([f"c{n + 1:03d}", *makers[n % len(makers)](rng)])


if __name__ == "__main__":
    write("clauses.csv", [lease, service], ROWS["en"])
    write("clauses-zh.csv", [lease_zh, service_zh], ROWS["zh"])
