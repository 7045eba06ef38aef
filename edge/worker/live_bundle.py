"""The bundle that a worker answers with: one reference, replaced whole while requests go on.

A request takes the reference once and answers with that, so nothing ever mixes two releases, or two versions of live
facts. A new bundle is loaded, its golden rows scored and its models warmed in a thread; what fails leaves the old one
serving, and says why. New live facts are compiled over the bundle in a thread as well; they wait for no bundle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from copy import copy
from typing import Final, NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.log import Log
from edge.node.bundles import BundleStore
from edge.node.facts_file import FactsFile
from edge.scoring.scorer import OnnxScorer
from edge.worker.identity import Access
from edgewise.admission.load import Bundle, load_bundle
from edgewise.bundle.facts import FactSheet
from edgewise.bundle.golden import RELATIVE_TOLERANCE, unpack, worst_error
from edgewise.errors import BundleRefused, EdgewiseError, RefusedError
from edgewise.features.compile import Matrix
from edgewise.ids import ItemId, ModelName
from edgewise.live_facts import LiveFacts

POLL_MS: Final = 50
WARMING_ROWS: Final = 100


class Served:
    """A bundle with a session for each of its models, ready to answer."""

    def __init__(self, bundle: Bundle) -> None:
        """Make the sessions, score the golden rows, and warm up.

        Raises:
            BundleRefused: `golden` when this machine's scores are not those of the trained model.
            ScorerError: ONNX Runtime refuses a model.
        """
        self.bundle = bundle
        self.facts = LiveFacts(bundle, None)
        """What is in force beside it."""
        site = bundle.policy.site
        self.access = Access(frozenset(site.write_key_sha256), frozenset(site.origins))
        self._scorers = {
            name: OnnxScorer(model.onnx, outputs=model.entry.outputs) for name, model in bundle.models.items()
        }
        self._attributors = {
            name: OnnxScorer(model.attribution)
            for name, model in bundle.models.items()
            if model.attribution is not None
        }
        self._packed: dict[tuple[ItemId, str, str], tuple[bytes, msgspec.Raw]] = {}
        """The last content as JSON, and the same as MessagePack."""
        for name, scorer in self._scorers.items():
            self._check(name, scorer)

    def under(self, sheet: FactSheet | None) -> Self:
        """The same bundle and sessions with these live facts, in place of those before."""
        made = copy(self)
        made.facts = LiveFacts(self.bundle, sheet)
        return made

    def score(self, model: ModelName, matrix: Matrix) -> NDArray[np.float32]:
        """Scores (rows,), or (rows, classes), of a float32 matrix (rows, features).

        May raise anything; the answer then degrades.
        """
        return self._scorers[model].score(matrix)

    def content(
        self, item: ItemId, variant: str = "", format_name: str = "", *, now_ms: int, packed: bool
    ) -> msgspec.Raw:
        """The approved content, that of a variant, or the representation of a format, to be pasted into an answer.

        JSON, or MessagePack if `packed`; its numbers are those of a moment, where the site shows live ones.
        """
        content = self.facts.at(now_ms).content_json(item, variant, format_name)
        if not packed:
            return msgspec.Raw(content)
        key = (item, variant, format_name)
        known = self._packed.get(key)
        if known is not None and known[0] is content:
            return known[1]
        made = msgspec.Raw(msgspec.msgpack.encode(msgspec.json.decode(content)))
        if self.bundle.item(item) is not None:
            self._packed[key] = content, made
        return made

    def attribute(self, model: ModelName, matrix: Matrix) -> Matrix:
        """Path attributions (rows, features + 1); KeyError for a model without."""
        return self._attributors[model].attribute(matrix)

    def _check(self, name: ModelName, scorer: OnnxScorer) -> None:
        golden = self.bundle.golden.models.get(name)
        if golden is not None:
            matrix, expected = unpack(golden)
            error = worst_error(expected, scorer.score(matrix))
            if error > RELATIVE_TOLERANCE:
                raise BundleRefused(
                    "golden",
                    f"model {name}: a golden row is off by {error:.2g}, at most {RELATIVE_TOLERANCE:g} is allowed",
                )
        # The first run of a session allocates; that is not to happen inside a request.
        rows = np.zeros((WARMING_ROWS, scorer.features), np.float32)
        scorer.score(rows)
        if name in self._attributors:
            self._attributors[name].attribute(rows)


class Refused(NamedTuple):
    """A bundle that cannot be served, and why."""

    digest: str
    code: str
    detail: str
    """With the code before it."""


class LiveBundle:
    """Holds what is served, and follows the store's `current` and the node's live facts."""

    def __init__(self, store: BundleStore, facts: FactsFile | None = None, *, log: Log) -> None:
        """`facts` None: this node takes none, whatever the hub says."""
        self.sheet: FactSheet | None = None
        """The node's live facts, halted ones too; None where there are none."""
        self._facts = facts
        self._facts_generation: object = None
        self._taking = asyncio.Lock()
        self.served: Served | None = None
        self.refused: Refused | None = None
        self._store = store
        self._log = log
        self._generation: object = None
        self._beyond = 0

    @property
    def digest(self) -> str | None:
        """Of the bundle that is served."""
        return None if self.served is None else self.served.bundle.digest

    def load_now(self) -> None:
        """Serve what the store points at, with the facts that are here; before any request."""
        if self._facts is not None:
            self._facts_generation = self._facts.generation()
            self.sheet = self._facts.sheet()
        self._generation = self._store.generation()
        loaded = self._load()
        self._settle(loaded.under(self.sheet) if isinstance(loaded, Served) else loaded)

    async def follow(self, on_change: Callable[[], None]) -> None:
        """Swap whenever the store points at something else, until cancelled; `on_change` after each attempt."""
        while True:
            await asyncio.sleep(POLL_MS / 1_000)
            generation = self._store.generation()
            if generation != self._generation:
                # Before loading: if `current` is replaced meanwhile, the next round loads again.
                self._generation = generation
                loaded = await asyncio.to_thread(self._load)
                async with self._taking:
                    if isinstance(loaded, Served):
                        loaded = await asyncio.to_thread(loaded.under, self.sheet)
                    self._settle(loaded)
                on_change()

    async def follow_facts(self) -> None:
        """Take new live facts over as they come, until cancelled; older ones never replace newer ones."""
        while self._facts is not None:
            await asyncio.sleep(POLL_MS / 1_000)
            generation = self._facts.generation()
            if generation != self._facts_generation:
                self._facts_generation = generation
                sheet = await asyncio.to_thread(self._facts.sheet)
                if sheet is not None and (self.sheet is None or sheet.version > self.sheet.version):
                    await self._take(sheet)

    async def _take(self, sheet: FactSheet) -> None:
        async with self._taking:
            self.sheet = sheet
            if self.served is not None:
                try:
                    self.served = await asyncio.to_thread(self.served.under, sheet)
                    self._look_at_bounds()
                except Exception:  # noqa: BLE001  # an error of ours here must not stop what serves
                    self._log.error("live facts cannot be taken over", version=sheet.version, exc_info=True)

    def _load(self) -> Served | Refused | None:
        """What is to be served; None for nothing."""
        digest = self._store.current()
        if digest is None:
            return None
        if self.served is not None and self.served.bundle.digest == digest:
            return self.served
        try:
            return Served(load_bundle(*self._store.read(digest)))
        except EdgewiseError as refused:
            code = refused.code if isinstance(refused, RefusedError) else "scorer"
            return Refused(digest, code, f"{code}: {refused}")
        except Exception as failed:  # noqa: BLE001  # an error of ours in a loader must not stop what serves
            return Refused(digest, "internal", f"internal: {failed!r}")

    def _settle(self, loaded: Served | Refused | None) -> None:
        if isinstance(loaded, Refused):
            self.refused = loaded
            self._log.error("a bundle cannot be served", **loaded._asdict(), serves=self.digest)
        else:
            self.refused = None
            digest = loaded and loaded.bundle.digest
            if digest != self.digest:
                self._log.info("serves another bundle", digest=digest, before=self.digest)
            self.served = loaded
            self._look_at_bounds()

    def _look_at_bounds(self) -> None:
        """Say how many shown numbers are not believed, whenever there are more of them or fewer."""
        facts = None if self.served is None else self.served.facts
        beyond = 0 if facts is None else facts.beyond
        if facts is not None and beyond != self._beyond:
            self._log.warning("live facts beyond their bounds are not shown", version=facts.version, numbers=beyond)
        self._beyond = beyond
