"""The loop as a hub's settings describe it; secrets come from the environment, or from the keys of the data folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edgewise.errors import InputError
from hub.learning.alerts import Alerts, Way, by_mail, by_webhook
from hub.learning.gate import GatePlan
from hub.learning.plan import LearnPlan
from hub.settings import HubSettings, host_port

WEBHOOK_SECRET: Final = "EDGEWISE_LEARN_WEBHOOK_SECRET"  # noqa: S105  # the name of a variable
SMTP_PASSWORD: Final = "EDGEWISE_LEARN_SMTP_PASSWORD"  # noqa: S105  # as above


def plan_of(settings: HubSettings) -> LearnPlan:
    """How the loop goes about it."""
    return LearnPlan(
        judge_share=settings.learn_judge_share,
        incremental=settings.learn_incremental,
        canary_share=settings.learn_canary_share,
        canary_hours=settings.learn_canary_hours,
        canary_decisions=settings.learn_canary_decisions,
        gate=GatePlan(
            alpha=settings.learn_alpha,
            fewest_new=settings.learn_fewest,
            least_ess=settings.learn_least_ess,
            stale_hours=settings.learn_stale_hours,
        ),
    )


def alerts_of(settings: HubSettings, data_dir: Path, environment: Mapping[str, str]) -> Alerts:
    """The ways that are configured; none is one, too.

    Raises InputError for a way that cannot be used as it is configured: nobody should find that out when it is needed.
    """
    ways: dict[str, Way] = {}
    if settings.learn_webhook:
        secret = _secret(environment, WEBHOOK_SECRET, data_dir / "keys" / "learn-webhook.secret")
        ways["webhook"] = by_webhook(settings.learn_webhook, secret.encode())
    if settings.learn_mail_to:
        login = None
        if settings.learn_smtp_user:
            password = _secret(environment, SMTP_PASSWORD, data_dir / "keys" / "learn-smtp.secret")
            login = (settings.learn_smtp_user, password)
        ways["mail"] = by_mail(
            host_port(settings.learn_smtp),
            settings.learn_mail_from,
            settings.learn_mail_to,
            login=login,
            starttls=settings.learn_smtp_starttls,
        )
    return Alerts(ways)


def _secret(environment: Mapping[str, str], variable: str, path: Path) -> str:
    text = environment.get(variable, "")
    if not text:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as missing:
            raise InputError(f"no secret: neither the variable {variable} nor the file {path} has one") from missing
    return text.strip()
