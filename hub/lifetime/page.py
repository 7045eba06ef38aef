"""The report of a lifetime value as a page with plots."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from hub.lifetime.calibration import Calibration, Group, Held
from hub.lifetime.trial import CustomerForecast, LtvReport
from hub.report_page import Line, heading, in_table, lines, page, sentence, sentences

BEST_SHOWN = 20


def ltv_page(report: LtvReport) -> str:
    """HTML 5, to be encoded as UTF-8."""
    unit = report.unit.value
    parts = [
        sentence(
            f"{len(report.customers):,} customers with {report.purchases:,} purchases (one a customer and day) from "
            f"{report.first_day} to {report.calibration_end}. In the {report.horizon:g} {unit}s after that they are "
            f"expected to buy {report.expected_purchases:,.1f} times for {report.expected_value:,.2f}."
        ),
        sentences(report.warnings),
        heading("Buying: BG/NBD"),
        in_table(
            ["parameter", "estimate", "95 % from", "to"],
            [
                [name, f"{value:.5g}", *(_known(end) for end in report.parameter_intervals[name])]
                for name, value in report.parameters.items()
            ],
        ),
        sentence(f"Log-likelihood {report.log_likelihood:,.2f}; alpha is in {unit}s."),
    ]
    if report.value_parameters is not None:
        rows = [[name, f"{value:.5g}"] for name, value in report.value_parameters.items()]
        parts += [heading("Spending: Gamma-Gamma"), in_table(["parameter", "estimate"], rows)]
    if report.trees is not None:
        rows = [[name, str(count)] for name, count in report.trees.items()]
        parts += [
            heading("Corrections"),
            sentence("LightGBM's trees on top; where there is none the baseline stays, because no tree helped."),
            in_table(["of", "trees"], rows),
        ]
    if report.calibration is not None:
        parts += _calibration(report, report.calibration)
    best = sorted(report.customers, key=lambda of: -of.expected_value)[:BEST_SHOWN]
    parts += [heading("The most valuable customers"), in_table(_COLUMNS, [_row(of) for of in best])]
    return page(f"Lifetime value ({report.model.value})", *parts)


def customers_csv(customers: Sequence[CustomerForecast]) -> str:
    """One line a customer, under the names of the JSON."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CustomerForecast.__struct_fields__)
    for of in customers:
        writer.writerow(["" if value is None else value for value in map(of.__getattribute__, of.__struct_fields__)])
    return text.getvalue()


def comparison(calibration: Calibration, baseline: Calibration | None) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the table of what was forecast against what came."""
    both = [calibration, *([] if baseline is None else [baseline])]
    rows = [
        ["purchases expected / actual", *(f"{of.purchases_expected:,.1f} / {of.purchases_actual:,.0f}" for of in both)],
        ["their ratio [95 %]", *(_held(of.purchases_ratio) for of in both)],
        ["value expected / actual", *(f"{of.value_expected:,.0f} / {of.value_actual:,.0f}" for of in both)],
        ["their ratio [95 %]", *(_held(of.value_ratio) for of in both)],
        ["purchases, RMSE a customer", *(f"{of.purchases_rmse:.4f}" for of in both)],
        ["value, mean absolute error a customer", *(f"{of.value_mae:,.2f}" for of in both)],
        ["value, rank correlation", *(f"{of.value_rank:.4f}" for of in both)],
        ["actual value of the best tenth", *(f"{of.value_best_decile:.1%}" for of in both)],
        ["churn, AUC [95 %]", *(_held(of.churn_auc) for of in both)],
        ["churn, Brier score", *(f"{of.churn_brier:.4f}" for of in both)],
        ["churn, calibration error", *(f"{of.churn_error:.4f}" for of in both)],
    ]
    return ["", "this model", *([] if baseline is None else ["BG/NBD"])], rows


def _calibration(report: LtvReport, found: Calibration) -> list[str]:
    baseline = report.baseline_calibration
    span = f"{report.calibration_end} to {report.last_day}"
    parts = [
        heading("Forecast against what came"),
        sentence(
            f"Everything was fitted on what was known on {report.calibration_end}; {found.customers:,} customers are "
            f"judged by all that they bought after it, up to {report.last_day}."
        ),
        in_table(*comparison(found, baseline)),
    ]
    kinds = [
        ("Churn risk", "risk", "share that bought nothing", "by_churn"),
        ("Purchases by forecast", "expected purchases", "actual purchases", "by_purchases"),
        ("Value by forecast", "expected value", "actual value", "by_value"),
    ]
    for title, x_label, y_label, name in kinds:
        drawn = [_line("this model", getattr(found, name))]
        if baseline is not None:
            drawn.append(_line("BG/NBD", getattr(baseline, name)))
        said = f"{y_label} over {x_label} in ten groups of customers, {span}; on the diagonal the forecast is right"
        parts += [heading(title), lines(said, x_label, y_label, drawn, diagonal=True), _groups(getattr(found, name))]
    often = found.by_frequency
    drawn = [
        Line("expected", [(at, group.expected) for at, group in enumerate(often)]),
        Line("actual", [(at, group.actual.value) for at, group in enumerate(often)]),
    ]
    said = f"expected and actual purchases by how often customers had come back, {span}"
    parts += [heading("Purchases by past purchases"), lines(said, "repeat purchases", "purchases", drawn)]
    return [*parts, _groups(often)]


def _line(name: str, groups: Sequence[Group]) -> Line:
    return Line(name, [(group.expected, group.actual.value) for group in groups])


def _groups(groups: Sequence[Group]) -> str:
    columns = ["group", "customers", "expected", "actual", "95 % from", "to"]
    return in_table(
        columns,
        [
            [
                group.name,
                f"{group.customers:,}",
                f"{group.expected:,.4f}",
                *(f"{end:,.4f}" for end in (group.actual.value, group.actual.ci_low, group.actual.ci_high)),
            ]
            for group in groups
        ],
    )


_COLUMNS = ["customer", "repeats", "alive", "churn risk", "expected purchases", "expected value"]


def _row(of: CustomerForecast) -> list[str]:
    return [
        of.customer,
        str(of.frequency),
        f"{of.p_alive:.3f}",
        f"{of.churn_risk:.3f}",
        f"{of.expected_purchases:.2f}",
        f"{of.expected_value:,.2f}",
    ]


def _known(value: float) -> str:
    """A dash where the data do not tell."""
    return "-" if math.isnan(value) else f"{value:.5g}"


def _held(of: Held) -> str:
    return f"{of.value:.4f} [{of.ci_low:.4f}, {of.ci_high:.4f}]"
