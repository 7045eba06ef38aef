"""Downloads from the hub for code that blocks: `tuf.ngclient` runs in a thread, gRPC in the agent's event loop.

Each chunk is asked for when the thread wants it, so that a reader who stops at a limit stops the sender as well.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import hashlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final, TypeVar

import grpc
from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient import FetcherInterface
from typing_extensions import override

from edge.agent.link import Line
from edgewise.clock import Clock
from edgewise.errors import BundleRefused, UnavailableError
from edgewise.v1.distribution_pb2 import FetchRequest, FetchResponse
from edgewise.v1.distribution_pb2_grpc import DistributionStub

SLOWEST_BYTES_PER_S: Final = 16 << 10
GRACE_MS: Final = 30_000
"""Whoever sends less than the rate above over this time drips on purpose (TUF's slow retrieval attack)."""
NOT_FOUND: Final = 404
RESUMPTIONS: Final = 3

T = TypeVar("T")
_Fetch = grpc.aio.UnaryStreamCall[FetchRequest, FetchResponse]


class HubFetcher(FetcherInterface):
    """`tuf.ngclient`'s seam, over `Distribution.Fetch`. To be used in a thread other than the loop's.

    `line` is asked anew for each download, because the connection may have been renewed.
    """

    def __init__(self, line: Callable[[], Line], loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._line = line
        self._loop = loop
        self._clock = clock

    @override
    def _fetch(self, url: str) -> Iterator[bytes]:
        return self.stream(url, 0)

    def stream(self, path: str, offset: int) -> Iterator[bytes]:
        """The bytes of a resource from `offset` on, as the hub sends them; the caller bounds their number.

        Raises:
            DownloadHTTPError: 404, the hub does not have it.
            SlowRetrievalError: it comes too slowly.
            DownloadError: the connection failed.
        """
        call = self._in_loop(self._open(path, offset))
        started_ms, received = self._clock.monotonic_ms(), 0
        ended = False
        try:
            while True:
                left_ms = GRACE_MS + received * 1_000 / SLOWEST_BYTES_PER_S - (self._clock.monotonic_ms() - started_ms)
                data = self._in_loop(self._read(call), most_ms=left_ms)
                if data is None:
                    ended = True
                    return
                received += len(data)
                yield data
        finally:
            if not ended:
                # Also when the caller stops at a limit: no read is under way then that a cancellation could leak.
                self._loop.call_soon_threadsafe(call.cancel)

    def blob(self, sha256: str, size_bytes: int) -> bytes:
        """A bundle's resource by its digest, at most as long as the manifest says.

        Raises:
            BundleRefused: `missing`, `too_large` or `digest_mismatch`.
            UnavailableError: the hub cannot be reached, or sends too slowly.
        """
        received = bytearray()
        for attempt in range(RESUMPTIONS):
            try:
                for chunk in self.stream(f"blobs/{sha256}", len(received)):
                    received += chunk
                    if len(received) > size_bytes:
                        raise BundleRefused(
                            "too_large", f"blob {sha256[:12]}: more than the {size_bytes} bytes announced"
                        )
                break
            except DownloadHTTPError as missing:
                raise BundleRefused("missing", f"the hub has no blob {sha256}") from missing
            except SlowRetrievalError as slow:
                raise UnavailableError(str(slow)) from slow
            except DownloadError as failed:
                if attempt == RESUMPTIONS - 1:
                    raise UnavailableError(f"blob {sha256[:12]}: {failed}") from failed
        found = hashlib.sha256(received).hexdigest()
        if len(received) != size_bytes or found != sha256:
            raise BundleRefused(
                "digest_mismatch",
                f"blob {sha256}: {len(received)} bytes of {size_bytes} came, their SHA-256 is {found}",
            )
        return bytes(received)

    async def _open(self, path: str, offset: int) -> _Fetch:
        line = self._line()
        stub = DistributionStub(line.channel)  # type: ignore[no-untyped-call]  # generated
        call: _Fetch = stub.Fetch(FetchRequest(path=path, offset=offset), metadata=line.metadata)
        return call

    @staticmethod
    async def _read(call: _Fetch) -> bytes | None:
        answer = await call.read()
        return answer.data if isinstance(answer, FetchResponse) else None

    def _in_loop(self, work: Coroutine[Any, Any, T], *, most_ms: float = GRACE_MS) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(max(0.0, most_ms) / 1_000)
        except concurrent.futures.TimeoutError as slow:
            raise SlowRetrievalError(f"less than {SLOWEST_BYTES_PER_S} bytes a second over {GRACE_MS} ms") from slow
        except grpc.aio.AioRpcError as failed:
            detail = f"{failed.code().name}: {failed.details()}"
            if failed.code() is grpc.StatusCode.NOT_FOUND:
                raise DownloadHTTPError(detail, NOT_FOUND) from failed
            raise DownloadError(detail) from failed
        except concurrent.futures.CancelledError as cut:
            raise DownloadError("the connection was closed") from cut
