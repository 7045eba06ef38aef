"""`edgewise train`: one sub-command for each kind of model."""

from __future__ import annotations

import typer

from hub.commands.train_items import items
from hub.commands.train_ranker import ranker
from hub.commands.train_recommend import recommend
from hub.commands.train_score import score
from hub.commands.train_scoring import scoring
from hub.commands.train_topics import topics

app = typer.Typer(help="Train a model, judge it, export it to ONNX.", no_args_is_help=True)
app.command("scoring")(scoring)
app.command("recommend")(recommend)
app.command("ranker")(ranker)
app.command("items")(items)
app.command("score")(score)
app.command("topics")(topics)
