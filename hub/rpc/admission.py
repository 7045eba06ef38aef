"""Who may call at all, where other machines can: every call must show a token that the site's owner gave out.

One interceptor stands before all services, so that none can be forgotten. A node that shows a token is trusted with
every profile and may report in any node's name: the token says "one of ours", not which one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeAlias

import grpc
from grpc_health.v1 import health
from typing_extensions import override

from edgewise.errors import InputError
from hub.log import Log
from hub.rpc.guard import Context
from hub.settings import HubSettings, on_loopback

AUTHORIZATION: Final = "authorization"
BEARER: Final = "Bearer "
OPEN: Final = f"/{health.SERVICE_NAME}/"
"""A probe has no token, and learns nothing but whether the hub serves."""
MOST_PEERS: Final = 1_000
"""Refused machines that are remembered, so that each is logged once and not with every attempt."""

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Admission(grpc.aio.ServerInterceptor):
    """Ends every call but a health check with UNAUTHENTICATED unless it shows `authorization: Bearer TOKEN`."""

    def __init__(self, tokens_sha256: Iterable[str], log: Log) -> None:
        self._tokens_sha256 = tuple(tokens_sha256)
        self._log = log
        self._told: set[str] = set()

    @override
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        method = handler_call_details.method
        shown = [value for name, value in handler_call_details.invocation_metadata or () if name == AUTHORIZATION]
        if method.startswith(OPEN) or any(self._is_known(value) for value in shown):
            return await continuation(handler_call_details)

        async def refuse(_: object, context: Context) -> None:
            self._tell(context.peer(), method)
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED,
                f"{'the token that was shown is unknown' if shown else 'no token was shown'}; set enrol_token of this "
                "node to one whose SHA-256 stands in the hub's enrol_tokens_sha256 (`edgewise hub trust` makes one)",
            )

        # A stream on both sides, whatever the method is: it is refused before anything of the request is read.
        return grpc.stream_stream_rpc_method_handler(refuse)

    def _is_known(self, value: str | bytes) -> bool:
        text = value if isinstance(value, str) else value.decode("utf-8", "replace")
        if not text.startswith(BEARER):
            return False
        shown = hashlib.sha256(text.removeprefix(BEARER).encode("utf-8", "replace")).hexdigest()
        fits = [hmac.compare_digest(shown, digest) for digest in self._tokens_sha256]  # all, whichever fits
        return any(fits)

    def _tell(self, peer: str, method: str) -> None:
        machine = peer.rpartition(":")[0]
        if machine in self._told or len(self._told) >= MOST_PEERS:
            return
        self._told.add(machine)
        self._log.warning("calls without a token of ours are refused", peer=machine, method=method)


def admissions(settings: HubSettings, log: Log) -> list[Admission]:
    """The interceptors of a hub's server: none where only this machine can call.

    Raises:
        InputError: other machines can call, and no token is configured.
    """
    if on_loopback(settings.grpc):
        return []
    if not settings.enrol_tokens_sha256:
        raise InputError(
            f"grpc {settings.grpc} can be reached by other machines, so nodes must show a token: set "
            "enrol_tokens_sha256 (or EDGEWISE_HUB_ENROL_TOKENS_SHA256); `edgewise hub trust --out FILE` makes a token "
            "for a node, and prints what to set"
        )
    return [Admission(settings.enrol_tokens_sha256, log)]
