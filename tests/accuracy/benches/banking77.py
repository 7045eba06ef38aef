"""What customers ask a bank about: the exported topic model on Banking77, run where there is only the C locale."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from pyarrow import csv

from accuracy.claim import Claim
from accuracy.ground import Ground
from accuracy.parity_claims import parity_claim
from edgewise.errors import ModelRefused
from hub.tables import read_table
from hub.train.scoring.judging import over_rows
from hub.train.scoring.metrics import accuracy, f1_macro
from hub.train.topics import TopicsPlan, train_topics

FOLDER = "banking77"
SOURCE = "Casanueva et al. 2020: .9336 with USE and ConveRT; fine-tuned BERT .926-.937"
PROTOCOL = (
    "train on 10,003 questions of 77 intents, judge on the 3,080 of test.csv.gz (40 an intent) by `edgewise score "
    "onnx` of the exported file under LC_ALL=C; bootstrap over the questions"
)


def measure(ground: Ground) -> list[Claim]:
    """Accuracy of the file that is shipped, not of the pipeline in memory."""
    train, test = (ground.shared(f"{FOLDER}/{part}.csv.gz") for part in ("train", "test"))
    trained = train_topics(TopicsPlan(table=train, text="text", target="category", test=test), say=ground.terminal.note)
    model, out = ground.folder / "topics.onnx", ground.folder / "scores.csv"
    model.write_bytes(trained.onnx)
    ground.terminal.note("scoring the test questions where there is only the C locale")
    _score(model, test, out)
    classes = trained.report.classes
    scores = np.stack([csv.read_csv(out).column(f"score_{name}").to_numpy() for name in classes], axis=1)
    numbered = {name: number for number, name in enumerate(classes)}
    truth = np.array([numbered[name] for name in read_table(test).column("category").to_pylist()])
    found = over_rows({"accuracy": accuracy, "macro F1": f1_macro}, truth, scores, seed=0)
    return [
        *(
            Claim(
                what=f"{name}, exported tf-idf and logistic regression, Banking77",
                value=held.mean,
                low=held.ci_low,
                high=held.ci_high,
                at_least=0.88 if name == "accuracy" else None,
                source=SOURCE if name == "accuracy" else "",
                protocol=PROTOCOL,
            )
            for name, held in found.items()
        ),
        parity_claim(
            "topics of Banking77",
            trained.report.parity,
            tried="4,000 texts of the table, mixed ones, texts of nothing known",
        ),
    ]


def _score(model: Path, table: Path, out: Path) -> None:
    """As somebody on a bare machine would: no locale but C, which string operators of a graph do not load in."""
    command = [
        Path(sys.executable).parent / "edgewise",
        "score",
        "onnx",
        model,
        "--table",
        table,
        "--out",
        out,
        "--quiet",
    ]
    bare = {name: value for name, value in os.environ.items() if not name.startswith("LC_") and name != "LANG"}
    done = subprocess.run(
        [str(word) for word in command], env=bare | {"LC_ALL": "C"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ModelRefused("locale", f"under LC_ALL=C the model is not scored: {done.stderr.strip()[-300:]}")
