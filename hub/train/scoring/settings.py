"""The hyper-parameters that can be set, and what each may be.

They are checked here, before anything is read: LightGBM checks them late, and prints its own source's line about it.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from edgewise.errors import InputError, ModelRefused
from hub.train.scoring.choices import ModelName

Setting = int | float | bool | str
_ENDLESS: Final = math.inf


class _Whole(NamedTuple):
    """A whole number between two, inclusive."""

    least: float = -_ENDLESS
    most: float = _ENDLESS

    def accepts(self, setting: Setting) -> bool:
        return isinstance(setting, int) and not isinstance(setting, bool) and self.least <= setting <= self.most

    def expected(self) -> str:
        return f"a whole number{_range(self.least, self.most)}"


class _Real(NamedTuple):
    """A finite number between two; the lower one itself only where it is `inclusive`."""

    least: float
    most: float = _ENDLESS
    inclusive: bool = True

    def accepts(self, setting: Setting) -> bool:
        if isinstance(setting, bool | str) or not math.isfinite(setting):
            return False
        return (self.least <= setting if self.inclusive else self.least < setting) and setting <= self.most

    def expected(self) -> str:
        return f"a number{_range(self.least, self.most, 'from' if self.inclusive else 'above')}"


class _Word(NamedTuple):
    """One of some words; any, where none are listed."""

    words: tuple[Setting, ...] = ()

    def accepts(self, setting: Setting) -> bool:
        return not self.words or any(type(setting) is type(word) and setting == word for word in self.words)

    def expected(self) -> str:
        return f"one of {', '.join(str(word).lower() for word in self.words)}"


_NOT_NEGATIVE: Final = _Real(0)
_POSITIVE: Final = _Real(0, inclusive=False)
_SHARE: Final = _Real(0, 1, inclusive=False)
_SWITCH: Final = _Word((True, False))
_LIGHTGBM: Final[Mapping[str, _Whole | _Real | _Word]] = {
    **dict.fromkeys(("alpha", "learning_rate", "scale_pos_weight"), _POSITIVE),
    **dict.fromkeys(("cat_l2", "cat_smooth", "lambda_l1", "lambda_l2", "reg_alpha", "reg_lambda"), _NOT_NEGATIVE),
    **dict.fromkeys(("min_child_weight", "min_split_gain", "path_smooth"), _NOT_NEGATIVE),
    **dict.fromkeys(("colsample_bytree", "feature_fraction_bynode", "subsample"), _SHARE),
    **dict.fromkeys(("extra_trees", "is_unbalance"), _SWITCH),
    **dict.fromkeys(("max_cat_threshold", "max_cat_to_onehot", "min_data_per_group"), _Whole(1)),
    **dict.fromkeys(("n_estimators", "subsample_for_bin"), _Whole(1)),
    **dict.fromkeys(("min_child_samples", "min_data_in_leaf", "subsample_freq"), _Whole(0)),
    **dict.fromkeys(("max_depth", "n_jobs"), _Whole()),
    "boosting_type": _Word(("gbdt", "dart")),
    "max_bin": _Whole(2, 65_535),
    "num_leaves": _Whole(2, 131_072),
    "objective": _Word(),  # which ones, the kind of score says
    "tweedie_variance_power": _Real(1, 1.999_999),
}
_LOGISTIC: Final[Mapping[str, _Whole | _Real | _Word]] = {
    "C": _POSITIVE,
    "class_weight": _Word(("balanced",)),
    "max_iter": _Whole(1),
    "tol": _POSITIVE,
}
_REFUSED: Final = {
    "linear_tree": ("linear-tree", "linear_tree=true puts a regression into each leaf, which is not exported"),
    "zero_as_missing": ("zero-as-missing", "zero_as_missing=true is not exported"),
}


def settings_of(model: ModelName, assignments: Sequence[str]) -> dict[str, Setting]:
    """`KEY=VALUE` hyper-parameters, each checked.

    Raises:
        InputError: no `=`, a key that the model does not have, or a value that it cannot have.
        ModelRefused: a setting whose models cannot be exported, by name.
    """
    chosen: dict[str, Setting] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not value:
            raise InputError(f"{assignment!r}; expected KEY=VALUE")
        setting = _value(value)
        if key in _REFUSED and setting is not False:
            raise ModelRefused(*_REFUSED[key])
        if (key, setting) in {("boosting_type", "rf"), ("boosting", "rf")}:
            raise ModelRefused("random-forest", "boosting=rf averages its trees, which is not exported: use gbdt")
        check_setting(model, key, setting)
        chosen[key] = setting
    return chosen


def check_setting(model: ModelName, key: str, setting: Setting) -> None:
    """Raise InputError for a key that the model does not have, or a value that it cannot have."""
    known = _LIGHTGBM if model is ModelName.LIGHTGBM else _LOGISTIC
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        meant = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(sorted(known))}"
        raise InputError(f"{model.value} has no setting {key!r}{meant}")
    if not known[key].accepts(setting):
        raise InputError(f"{key}={setting}; expected {known[key].expected()}")


def _value(text: str) -> Setting:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _range(least: float, most: float, opening: str = "from") -> str:
    lower = "" if least == -_ENDLESS else f" {opening} {least}"
    return lower + ("" if most == _ENDLESS else f" to {most}")
