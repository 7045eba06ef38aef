"""Proofs for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hub.prove.figure import Proof

COLUMNS: Final = ("scenario", "what", "figure", "must", "")


def in_rows(proof: Proof) -> list[list[str]]:
    """Rows of the table: what ran, then its figures."""
    rows = [[proof.scenario, in_parameters(proof), f"{proof.took_s:,.0f} s", "", _verdict(proof)]]
    if proof.not_run or proof.failed:
        return [*rows, ["", proof.not_run or proof.failed, "", "", ""]]
    rows += [
        ["", figure.what, figure.in_words, "" if figure.must is None else str(figure.must), figure.verdict]
        for figure in proof.figures
    ]
    return rows


def in_parameters(proof: Proof) -> str:
    """`seed 1, kills 300`, as its options are called; a switch says yes or no."""
    return ", ".join(f"{name} {_in_a_word(value)}" for name, value in proof.parameters.items())


def in_a_line(proof: Proof) -> str:
    """What is said as soon as it is known."""
    told = proof.not_run or proof.failed
    return f"{proof.scenario}: {_verdict(proof)}, {proof.took_s:,.0f} s{f': {told}' if told else ''}"


def failures(proofs: Sequence[Proof]) -> list[str]:
    """A sentence for each figure that is not what it must be."""
    lines = []
    for proof in proofs:
        lines += [f"{proof.scenario}: {proof.failed}"] if proof.failed else []
        lines += [
            f"{proof.scenario}: {figure.what}: {figure.in_words}, must be {figure.must}"
            for figure in proof.figures
            if not figure.passed
        ]
        lines += [f"{proof.scenario}: logs are in {proof.logs}"] if proof.logs else []
    return lines


def as_object(proof: Proof) -> dict[str, Any]:
    """For `--json`; `must` is null where nothing is demanded."""
    return {
        "scenario": proof.scenario,
        "parameters": proof.parameters,
        "took_s": proof.took_s,
        "passed": proof.passed,
        "not_run": proof.not_run,
        "failed": proof.failed,
        "logs": proof.logs,
        "figures": [
            {
                "what": figure.what.strip(),
                "value": figure.value,
                "unit": figure.unit,
                "must": None if figure.must is None else str(figure.must),
                "passed": figure.passed,
            }
            for figure in proof.figures
        ],
    }


def _in_a_word(value: float) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else f"{value:g}"


def _verdict(proof: Proof) -> str:
    if proof.not_run:
        return "not run"
    return "pass" if proof.passed else "FAIL"
