"""Realistic tables for the benchmark of the default plan, each a function of nothing.

They have what tables have: skewed numbers, categories few and many, dates and clock times as text, yes and no, holes
that mean something, columns that mean nothing. Each comes from a formula, so that what can be learned is known.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

Table = tuple[pd.DataFrame, np.ndarray, str]
"""The columns, the target, and "classification" or "regression"."""

STORIES: dict[str, Callable[[], Table]] = {}


def story(function: Callable[[], Table]) -> Callable[[], Table]:
    """Register a table under the name of its function."""
    STORIES[function.__name__] = function
    return function


def frame(x: np.ndarray) -> pd.DataFrame:
    """An array's columns as x0, x1, ..."""
    return pd.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])])


def labels(score: np.ndarray, rng: np.random.Generator, names: tuple[str, str] = ("no", "yes")) -> np.ndarray:
    """Labels drawn with P(names[1]) = 1 / (1 + exp(-score))."""
    return np.where(rng.random(len(score)) < 1 / (1 + np.exp(-score)), names[1], names[0])


def holes(column: np.ndarray, where: np.ndarray) -> pd.Series:
    """A column with nothing in the rows of ``where``."""
    found = pd.Series(column).copy()
    found = found.astype(object) if found.dtype != float else found
    found[where] = None if found.dtype == object else np.nan
    return found


def _dates(rng: np.random.Generator, n: int, start: str = "2019-01-01", days: int = 1400) -> pd.Series:
    return pd.Series(pd.Timestamp(start) + pd.to_timedelta(rng.integers(0, days, n), unit="D"))


@story
def houses() -> Table:
    """Sale prices: skewed target, 60 quarters of a town, informative holes, a date, a condition in words."""
    rng, n = np.random.default_rng(1), 3000
    quarter = rng.choice(60, n, p=rng.dirichlet(np.ones(60) * 2))
    effect = rng.normal(0, 0.25, 60)
    area = np.exp(rng.normal(4.7, 0.4, n))
    lot = np.exp(rng.normal(6, 0.8, n))
    built = np.round(2020 - rng.gamma(2, 18, n))
    rooms = np.clip(np.round(area / 28 + rng.normal(0, 0.8, n)), 1, 12)
    garage = rng.random(n) < 0.7
    garage_area = np.where(garage, np.round(rng.gamma(6, 4, n)), 0)
    condition = rng.choice(["poor", "fair", "good", "excellent"], n, p=[0.1, 0.3, 0.45, 0.15])
    sold = _dates(rng, n)
    pool = rng.random(n) < 0.1
    log_price = (
        8
        + 0.75 * np.log(area)
        + 0.1 * np.log(lot)
        + effect[quarter]
        - 0.004 * (2020 - built)
        + 0.12 * (built > 2000)
        + 0.004 * garage_area
        + 0.08 * garage
        + pd.Series(condition).map({"poor": -0.25, "fair": -0.08, "good": 0.0, "excellent": 0.12}).to_numpy()
        + 0.15 * pool * (area > 120)
        + 0.00015 * (sold - pd.Timestamp("2019-01-01")).dt.days.to_numpy()
        + rng.normal(0, 0.12, n)
    )
    x = pd.DataFrame(
        {
            "id": rng.permutation(n) + 10_000,
            "quarter": [f"Q{i:02d}" for i in quarter],
            "area_m2": np.round(area, 1),
            "lot_m2": holes(np.round(lot), rng.random(n) < 0.15),
            "year_built": built,
            "rooms": rooms,
            "garage_m2": holes(garage_area.astype(float), ~garage),
            "condition": holes(condition, rng.random(n) < 0.05),
            "pool": pool,
            "sold": sold.dt.strftime("%Y-%m-%d"),
        }
    )
    return x, np.round(np.exp(log_price)), "regression"


@story
def churn() -> Table:
    """Customers who leave: contract kinds, tenure steps, booleans, a joining date, informative holes."""
    rng, n = np.random.default_rng(2), 7000
    contract = rng.choice(["monthly", "one year", "two years"], n, p=[0.55, 0.25, 0.2])
    tenure = np.where(contract == "monthly", rng.exponential(18, n), rng.exponential(40, n)).clip(0, 72).round()
    fibre, senior, paperless, partner = (rng.random(n) < p for p in (0.45, 0.16, 0.6, 0.5))
    monthly = np.round(20 + 40 * fibre + rng.gamma(2, 10, n), 2)
    payment = rng.choice(["card", "transfer", "electronic check", "mailed check"], n)
    calls = rng.poisson(1.2, n)
    survey = np.clip(np.round(rng.normal(7, 2, n)), 0, 10)
    missing = rng.random(n) < np.where(calls > 2, 0.6, 0.25)
    score = (
        -2.0
        + 1.8 * (contract == "monthly")
        - 0.9 * (contract == "two years")
        - 0.9 * (tenure > 12)
        - 0.6 * (tenure > 36)
        + 0.9 * fibre * (monthly > 75)
        + 0.6 * (payment == "electronic check")
        + 0.9 * (calls >= 3)
        - 0.25 * (survey - 7)
        + 0.4 * senior
        - 0.3 * partner
        + 0.5 * missing
    )
    joined = pd.Timestamp("2024-06-30") - pd.to_timedelta((tenure * 30.4).astype(int), unit="D")
    x = pd.DataFrame(
        {
            "contract": contract,
            "tenure_months": tenure,
            "internet": np.where(fibre, "fibre", "dsl"),
            "senior": np.where(senior, "Yes", "No"),
            "partner": partner,
            "paperless": paperless,
            "monthly_charge": monthly,
            "total_charge": holes(np.round(monthly * tenure, 2), tenure == 0),
            "payment": payment,
            "support_calls": calls,
            "survey": holes(survey, missing),
            "joined": pd.Series(joined).dt.strftime("%d.%m.%Y"),
            "region": rng.choice(list("NESW"), n),
        }
    )
    return x, labels(score, rng), "classification"


@story
def census() -> Table:
    """Income above a line: ordered words, sparse heavy-tailed columns, '?' for unknown, 30 000 rows."""
    rng, n = np.random.default_rng(3), 30_000
    age = np.round(17 + rng.gamma(3, 7.5, n)).clip(17, 90)
    school = rng.integers(0, 16, n)
    names = np.array([f"level {i}" for i in range(16)])
    job = rng.choice(14, n, p=rng.dirichlet(np.ones(14) * 3))
    job_effect = rng.normal(0, 0.8, 14)
    state = rng.choice(41, n, p=np.r_[0.9, np.full(40, 0.1 / 40)])
    hours = np.where(rng.random(n) < 0.5, 40, np.round(rng.normal(40, 12, n))).clip(1, 99)
    married, female = rng.random(n) < 0.47, rng.random(n) < 0.33
    gain = np.where(rng.random(n) < 0.08, np.exp(rng.normal(8, 1.3, n)).round(), 0)
    loss = np.where(rng.random(n) < 0.05, rng.normal(1900, 300, n).round(), 0)
    score = (
        -4.3
        + 2.2 * married
        + 0.28 * (school - 8)
        + job_effect[job]
        + 0.03 * (hours - 40)
        + 2.2 * np.exp(-(((age - 48) / 14) ** 2))
        + 4 * (gain > 5000)
        + 1.0 * (loss > 1800)
        - 0.5 * female
        + 0.6 * married * (school > 11)
    )
    x = pd.DataFrame(
        {
            "age": age,
            "workclass": np.where(rng.random(n) < 0.06, "?", rng.choice(["Private", "Public", "Self"], n)),
            "weight": np.exp(rng.normal(12, 0.5, n)).round(),
            "education": names[school],
            "married": married,
            "occupation": [f"job-{i}" for i in job],
            "sex": np.where(female, "F", "M"),
            "capital_gain": gain,
            "capital_loss": loss,
            "hours": hours,
            "country": [f"C{i}" for i in state],
        }
    )
    return x, labels(score, rng, ("<=50K", ">50K")), "classification"


@story
def insurance() -> Table:
    """Medical charges: a two-way interaction makes most of a heavy-tailed target."""
    rng, n = np.random.default_rng(4), 1338
    age, bmi = rng.integers(18, 65, n), rng.normal(30.6, 6, n).round(2)
    smoker, children = rng.random(n) < 0.2, rng.poisson(1.1, n).clip(0, 5)
    region = rng.choice(["northeast", "northwest", "southeast", "southwest"], n)
    y = (
        1500
        + 3.2 * age**2
        + 450 * children
        + smoker * (12_000 + 350 * (bmi - 25) + 15_000 * (bmi > 30))
        + 300 * (region == "northeast")
        + (rng.random(n) < 0.08) * rng.exponential(9000, n)
        + rng.gamma(2, 500, n)
    )
    x = pd.DataFrame(
        {
            "age": age,
            "sex": rng.choice(["male", "female"], n),
            "bmi": bmi,
            "children": children,
            "smoker": np.where(smoker, "yes", "no"),
            "region": region,
        }
    )
    return x, y.round(2), "regression"


@story
def credit() -> Table:
    """Loans granted by axis-aligned rules; holes that mean something; ten columns that mean nothing."""
    rng, n = np.random.default_rng(5), 5000
    income, debt = np.exp(rng.normal(10.3, 0.6, n)), np.exp(rng.normal(8.5, 1.2, n))
    years, late, score = rng.exponential(6, n), rng.poisson(0.7, n), rng.normal(650, 80, n)
    purpose = rng.choice(["car", "house", "school", "travel", "other"], n)
    unknown = rng.random(n) < np.where(income < 25_000, 0.45, 0.1)
    good = (
        1.6 * (score > 640)
        + 1.2 * (score > 710)
        + 1.4 * (income > 28_000)
        - 1.5 * (debt / income > 0.35)
        - 1.4 * (late >= 2)
        + 1.0 * (years > 2)
        - 1.2 * (purpose == "travel") * (income < 35_000)
        + 0.8 * (purpose == "house") * (years > 5)
        - 0.5 * unknown
    )
    x = pd.DataFrame(
        {
            "income": holes(income.round(-2), unknown),
            "debt": debt.round(),
            "years_employed": years.round(1),
            "late_payments": late,
            "score": score.round(),
            "purpose": purpose,
        }
    )
    for i in range(10):
        x[f"noise{i}"] = rng.normal(size=n).round(3) if i % 2 else rng.exponential(size=n).round(3)
    return x, labels(1.6 * (good - 0.9), rng, ("refused", "granted")), "classification"


@story
def flights() -> Table:
    """Delays in minutes: 300 airports twice, the hour of the day, dates, a long right tail; 100 000 rows."""
    rng, n = np.random.default_rng(6), 100_000
    share = rng.dirichlet(np.ones(300) * 0.5)
    origin, to = rng.choice(300, n, p=share), rng.choice(300, n, p=share)
    carrier = rng.choice(12, n)
    airport, line = rng.gamma(2, 3, 300), rng.normal(0, 5, 12)
    minute = rng.integers(5 * 60, 24 * 60, n)
    day = _dates(rng, n, "2022-01-01", 730)
    distance = np.exp(rng.normal(6.5, 0.6, n)).round()
    season = np.cos(2 * np.pi * (day.dt.day_of_year.to_numpy() - 10) / 365)
    friday = (day.dt.day_of_week == 4).to_numpy()
    y = (
        airport[origin]
        + 0.5 * airport[to]
        + line[carrier]
        + 10 * ((minute - 300) / 1140) ** 2
        + 5 * season * (airport[origin] > 6)
        + 5 * friday * (minute > 15 * 60)
        - 0.002 * distance
        + rng.exponential(12, n)
        - 12
    )
    x = pd.DataFrame(
        {
            "date": day.dt.strftime("%Y-%m-%d"),
            "departure": [f"{m // 60:02d}:{m % 60:02d}" for m in minute],
            "carrier": [f"L{i}" for i in carrier],
            "origin": [f"A{i:03d}" for i in origin],
            "destination": [f"A{i:03d}" for i in to],
            "distance": distance,
            "weekday": day.dt.day_of_week + 1,
            "flight": rng.integers(1, 6000, n),
        }
    )
    return x, y.round(1), "regression"


@story
def bikes() -> Table:
    """Hourly rentals: counts, hour x working day, a time stamp, weather in words."""
    rng, n = np.random.default_rng(7), 10_000
    when = pd.Series(pd.Timestamp("2021-01-01") + pd.to_timedelta(np.sort(rng.choice(17_520, n, False)), unit="h"))
    hour, working = when.dt.hour.to_numpy(), (when.dt.day_of_week < 5).to_numpy()
    temperature = 12 - 11 * np.cos(2 * np.pi * when.dt.day_of_year / 365).to_numpy() + rng.normal(0, 4, n)
    weather = rng.choice(["clear", "cloudy", "rain", "storm"], n, p=[0.55, 0.3, 0.13, 0.02])
    rush = np.exp(-((hour - 8) ** 2) / 2.5) + 1.2 * np.exp(-((hour - 17.5) ** 2) / 4)
    leisure = np.exp(-((hour - 14) ** 2) / 18)
    rate = (
        (20 + 330 * rush * working + 260 * leisure * ~working + 60 * leisure)
        * np.exp(-(((temperature - 23) / 17) ** 2))
        * pd.Series(weather).map({"clear": 1.0, "cloudy": 0.85, "rain": 0.4, "storm": 0.15}).to_numpy()
    )
    rate = rate * (1 + 0.5 * (when.dt.year == 2022).to_numpy())
    y = rng.poisson(rng.gamma(12, rate / 12 + 0.05))
    x = pd.DataFrame(
        {
            "time": when.dt.strftime("%Y-%m-%d %H:%M:%S"),
            "hour": hour,
            "working": working,
            "temperature": holes(temperature.round(1), rng.random(n) < 0.04),
            "weather": weather,
            "humidity": rng.integers(20, 100, n),
            "wind": rng.gamma(2, 6, n).round(1),
        }
    )
    return x, y.astype(float), "regression"


def _grow(rng: np.random.Generator, x: np.ndarray, depth: int) -> np.ndarray:
    """Values of a random axis-aligned tree over the rows of x."""
    if depth == 0 or len(x) < 8:
        return np.full(len(x), rng.normal())
    column = rng.integers(x.shape[1])
    left = x[:, column] <= np.quantile(x[:, column], rng.uniform(0.25, 0.75))
    value = np.empty(len(x))
    value[left], value[~left] = _grow(rng, x[left], depth - 1), _grow(rng, x[~left], depth - 1)
    return value


@story
def steps() -> Table:
    """A sum of random axis-aligned trees: the home ground of boosting."""
    rng, n = np.random.default_rng(8), 5000
    x = rng.lognormal(size=(n, 8))
    y = sum(_grow(rng, x, 3) for _ in range(12))
    return frame(x), y + rng.normal(0, 0.5, n), "regression"


@story
def rules() -> Table:
    """Three classes cut by rules on numbers and categories, 4000 rows, half of the columns idle."""
    rng, n = np.random.default_rng(9), 4000
    a, b, c = rng.uniform(0, 100, n), rng.exponential(10, n), rng.integers(0, 20, n)
    kind = rng.choice(list("abcdefgh"), n)
    y = np.where((a > 40) & (b < 8), 0, np.where(np.isin(kind, list("ace")) & (c > 9), 1, 2))
    y = np.where((a < 15) & np.isin(kind, list("bdf")), 0, y)
    flip = rng.random(n) < 0.08
    y = np.where(flip, rng.integers(0, 3, n), y)
    x = pd.DataFrame(
        {
            "a": a.round(1),
            "b": b.round(2),
            "c": c,
            "kind": kind,
            "u": rng.normal(size=n),
            "v": rng.integers(0, 5, n),
            "w": rng.choice(["x", "y", "z"], n),
            "t": rng.random(n) < 0.5,
        }
    )
    return x, np.array(["low", "middle", "high"])[y], "classification"


@story
def forest() -> Table:
    """Seven kinds of cover from height, slope, distances and 40 soils; 50 000 rows, unbalanced."""
    rng, n = np.random.default_rng(10), 50_000
    height = rng.normal(2950, 280, n)
    aspect, slope = rng.uniform(0, 360, n), rng.gamma(3.5, 4, n).clip(0, 60)
    water, road, fire = rng.exponential(270, n), rng.gamma(2.2, 1000, n), rng.gamma(2.2, 900, n)
    soil, area = rng.choice(40, n, p=rng.dirichlet(np.ones(40))), rng.choice(4, n, p=[0.45, 0.05, 0.43, 0.07])
    taste, home = rng.normal(0, 1.5, (40, 7)), rng.normal(0, 1, (4, 7))
    centre = np.array([3130, 2920, 2400, 2220, 2790, 2420, 3360])
    logits = 3.2 - ((height[:, None] - centre) / 170) ** 2 + taste[soil] + home[area]
    logits[:, 0] += 1.5 * np.cos(np.radians(aspect)) * (slope > 12)
    logits[:, 1] += 1.2 * (road > 2000) - 0.8 * (fire < 900)
    logits[:, 4] += 1.5 * (water < 120)
    logits += rng.gumbel(size=logits.shape)
    x = pd.DataFrame(
        {
            "height": height.round(),
            "aspect": aspect.round(),
            "slope": slope.round(),
            "to_water": water.round(),
            "to_road": road.round(),
            "to_fire": fire.round(),
            "soil": soil + 1,
            "area": np.array(["R", "N", "C", "P"])[area],
        }
    )
    x["soil"] = "type " + x["soil"].astype(str)
    return x, logits.argmax(1) + 1, "classification"


@story
def listings() -> Table:
    """Prices from a line of text: words in a title carry value, beside a few numbers and a seller's name."""
    rng, n = np.random.default_rng(11), 2500
    things = {"bike": 5.2, "sofa": 5.0, "phone": 5.4, "lamp": 3.0, "desk": 4.4, "camera": 5.6, "chair": 3.4, "tv": 5.5}
    qualities = {"new": 0.5, "used": -0.2, "broken": -1.2, "vintage": 0.4, "small": -0.2, "large": 0.2, "": 0.0}
    fillers = ["great", "pick up only", "must go", "urgent", "as seen", "with box", "no returns", ""]
    thing, quality = rng.choice(list(things), n), rng.choice(list(qualities), n)
    brand = rng.choice(120, n, p=rng.dirichlet(np.ones(120)))
    brand_effect = rng.normal(0, 0.3, 120)
    age = rng.exponential(4, n).round(1)
    lines = zip(quality, thing, rng.choice(fillers, n), strict=True)
    title = [" ".join(word for word in line if word) for line in lines]
    y = np.exp(
        np.array([things[t] for t in thing])
        + np.array([qualities[q] for q in quality])
        + brand_effect[brand]
        - 0.07 * age
        + rng.normal(0, 0.2, n)
    )
    x = pd.DataFrame(
        {
            "title": title,
            "brand": [f"brand {i}" for i in brand],
            "age": age,
            "photos": rng.integers(0, 9, n),
            "shipping": rng.random(n) < 0.4,
            "posted": _dates(rng, n).dt.strftime("%m/%d/%Y"),
        }
    )
    return x, y.round(2), "regression"


@story
def patients() -> Table:
    """Three hundred patients, a third of the cells empty, one in four ill."""
    rng, n = np.random.default_rng(12), 300
    age, pressure, sugar = rng.normal(55, 12, n).round(), rng.normal(130, 18, n).round(), rng.exponential(25, n) + 80
    pain = rng.choice(["none", "typical", "atypical"], n, p=[0.5, 0.3, 0.2])
    vessels, slope = rng.poisson(0.7, n).clip(0, 3), rng.choice(["up", "flat", "down"], n)
    score = (
        -3.2
        + 0.05 * (age - 55)
        + 0.03 * (pressure - 130)
        + 0.02 * (sugar - 105)
        + 1.8 * (pain == "typical")
        + 1.3 * vessels
        + 0.9 * (slope == "flat")
    )
    x = pd.DataFrame(
        {
            "age": age,
            "pressure": holes(pressure, rng.random(n) < 0.3),
            "sugar": holes(sugar.round(1), rng.random(n) < 0.3),
            "pain": holes(pain, rng.random(n) < 0.2),
            "vessels": vessels,
            "slope": holes(slope, rng.random(n) < 0.3),
            "sex": rng.choice(["F", "M"], n),
            "smoker": holes(rng.random(n) < 0.3, rng.random(n) < 0.4),
        }
    )
    return x, labels(score * 1.3, rng, ("healthy", "ill")), "classification"


@story
def quality() -> Table:
    """A grade from 3 to 9 out of chemistry: weak signal, skewed columns, 1600 rows."""
    rng, n = np.random.default_rng(13), 1600
    latent = rng.normal(size=(n, 4))
    x = latent @ rng.normal(size=(4, 11)) + rng.normal(0, 0.8, (n, 11))
    g = 0.5 * np.tanh(x[:, 0]) + 0.4 * x[:, 1] * (x[:, 2] > 0) - 0.3 * np.abs(x[:, 3]) + rng.normal(0, 0.6, n)
    x[:, [1, 4, 7]] = np.exp(x[:, [1, 4, 7]] * 0.7)
    return frame(x.round(3)), np.clip(np.round(6 + g), 3, 9), "regression"


@story
def parity() -> Table:
    """An exclusive or of two thresholds under 18 idle columns: interactions without main effects."""
    rng, n = np.random.default_rng(14), 3000
    x = frame(rng.normal(size=(n, 12)).round(3))
    for i in range(6):
        x[f"c{i}"] = rng.choice(["p", "q", "r"], n)
    y = ((x["x0"] > 0) ^ (x["x1"] > 0.3)).to_numpy()
    return x, np.where(rng.random(n) < 0.1, ~y, y).astype(int), "classification"


@story
def events() -> Table:
    """Signal or background: 24 heavy-tailed physical columns and angles; 100 000 rows."""
    rng, n = np.random.default_rng(15), 100_000
    momentum, angle = np.exp(rng.normal(0, 0.7, (n, 6))), rng.uniform(-np.pi, np.pi, (n, 6))
    eta, mass = rng.normal(0, 1.2, (n, 6)), np.exp(rng.normal(0, 0.5, (n, 6)))
    px, py = (momentum * np.cos(angle)).sum(1), (momentum * np.sin(angle)).sum(1)
    pair = np.sqrt(
        2 * momentum[:, 0] * momentum[:, 1] * (np.cosh(eta[:, 0] - eta[:, 1]) - np.cos(angle[:, 0] - angle[:, 1]))
    )
    score = (
        1.5 * np.exp(-(((pair - 2) / 0.8) ** 2))
        - 0.5
        + 0.35 * (np.hypot(px, py) - 2.5)
        + 0.8 * (mass[:, 0] > 1.1)
        - 0.7 * np.abs(eta[:, 2])
        + 0.8 * np.log(mass[:, 1] * momentum[:, 2])
    )
    x = frame(np.concatenate([momentum, angle, eta, mass], 1).astype(np.float32).round(4))
    return x, labels(1.5 * score, rng, ("background", "signal")), "classification"


@story
def codes() -> Table:
    """A thousand shops and numeric-looking codes as categories; 20 000 rows, two classes."""
    rng, n = np.random.default_rng(16), 20_000
    shop = rng.choice(1000, n, p=rng.dirichlet(np.ones(1000)))
    effect, group = rng.normal(0, 1, 1000), rng.integers(0, 5, 1000)
    code, price = rng.integers(0, 30, n), np.exp(rng.normal(3, 1, n)).round(2)
    code_effect = rng.normal(0, 0.7, 30)
    score = effect[shop] + code_effect[code] - 0.5 * np.log(price / 20) + 0.9 * (group[shop] == 2) * (price > 30)
    x = pd.DataFrame(
        {
            "shop": [f"shop {i}" for i in shop],
            "code": code,
            "price": price,
            "day": rng.choice(["mon", "tue", "wed", "thu", "fri"], n),
            "hour": holes(rng.integers(8, 20, n).astype(float), rng.random(n) < 0.1),
        }
    )
    return x, labels(1.3 * score, rng), "classification"
