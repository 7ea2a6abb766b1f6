"""The demo's training script, as a team would write it: a data set in, a model file out.

python -m fairlead.faces.demo.train --data rows.parquet --out folder
"""

from __future__ import annotations

import argparse
from pathlib import Path

TARGET = "is_canceled"
CATEGORIES = (
    "hotel",
    "meal",
    "market_segment",
    "distribution_channel",
    "reserved_room_type",
    "deposit_type",
    "customer_type",
)
NUMBERS = (
    "lead_time",
    "stays_in_weekend_nights",
    "stays_in_week_nights",
    "adults",
    "children",
    "babies",
    "is_repeated_guest",
    "previous_cancellations",
    "previous_bookings_not_canceled",
    "adr",
    "total_of_special_requests",
)
FEATURES = (*CATEGORIES, *NUMBERS)


def train(data: Path, out: Path) -> Path:
    """Fits gradient-boosted trees on the features and writes `out/model.skops`."""
    import pandas as pd
    import skops.io
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    rows = pd.read_parquet(data)
    features = rows[list(FEATURES)].astype(dict.fromkeys(NUMBERS, "float64") | dict.fromkeys(CATEGORIES, "object"))
    model = Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(CATEGORIES)),
                        ("numbers", "passthrough", list(NUMBERS)),
                    ]
                ),
            ),
            ("trees", HistGradientBoostingClassifier(max_iter=100, random_state=0)),
        ]
    )
    model.fit(features, rows[TARGET])
    out.mkdir(parents=True, exist_ok=True)
    path = out / "model.skops"
    skops.io.dump(model, path)
    return path


def main() -> None:
    """Reads the arguments and trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    print(train(arguments.data, arguments.out))


if __name__ == "__main__":
    main()
