"""Which models the engines serve: where edits that name none go, what is refused, how long a queue takes (J1)."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from nanobana.keyspace.claims import engines
from nanobana.keyspace.keys import FamilyKeys
from nanobana.protocol.errors import BadInput
from nanobana.protocol.jobs import EngineBeat
from nanobana.protocol.parameters import EditParams, ModelFacts
from nanobana_server.store import Store


class Served:
    """What one look at the engines found; the answer is the same on every server.

    Args:
        beats: of the engines that live.
    """

    def __init__(self, beats: Sequence[EngineBeat]) -> None:
        staying = sorted((beat for beat in beats if not beat.draining), key=lambda beat: beat.worker)
        self._ready = [beat for beat in staying if not beat.loading]
        self._lists = [frozenset(facts.name for facts in beat.models) for beat in self._ready]
        self.loading = next((beat.loading for beat in staying if beat.loading), "")
        """What an engine waits for before it takes work."""
        self.models = _merged(self._ready)
        """The one of edits that name none first, the others by name."""

    def __contains__(self, model: str) -> bool:
        return any(model in served for served in self._lists)

    @property
    def count(self) -> int:
        """Engines that take work."""
        return len(self._ready)

    @property
    def default(self) -> str:
        """The model of edits that name none: what most engines have first. Empty while there is no engine."""
        return self.models[0].name if self.models else ""

    def share_an_engine(self, one: str, other: str) -> bool:
        """Whether edits of two models wait for each other; those of no model ("") wait with all that are served."""
        if one == other:
            return True
        if not one or not other:
            return not self.models or (one or other) in self
        return any({one, other} <= served for served in self._lists)

    def edits_per_s(self, model: str) -> float:
        """That the engines of a model have ended lately while more waited; 0 where none has."""
        rates = (
            1.0 / beat.each_s
            for beat, served in zip(self._ready, self._lists, strict=True)
            if beat.each_s > 0.0 and (not model or model in served)
        )
        return sum(rates)

    def routed(self, edit: EditParams) -> EditParams:
        """The edit with the model that it will run on; None where any engine will do, as for erasing.

        Raises:
            BadInput: ``model_away``: engines are there, and none serves what it names.
        """
        if edit.mode == "erase":
            return msgspec.structs.replace(edit, model=None)
        if edit.model is not None and self.models and edit.model not in self:
            raise BadInput(self.refusal(edit.model), code="model_away")
        return msgspec.structs.replace(edit, model=edit.model or self.default or None)

    def refusal(self, model: str) -> str:
        """A sentence for people who asked for a model that nobody serves."""
        names = ", ".join(facts.name for facts in self.models)
        soon = f" An engine is {self.loading}." if self.loading else ""
        return f"No engine serves the model {model!r} now.{soon} Choose one that is here: {names}."


async def look(store: Store, family: FamilyKeys | None = None) -> Served:
    """The engines that live now.

    Raises:
        Unavailable: nobody can say.
    """
    return Served(await engines(store.client, family or FamilyKeys()))


def _merged(ready: Sequence[EngineBeat]) -> list[ModelFacts]:
    """Every model once: styles and LoRAs that all its engines have, its quickest time, loaded where it is anywhere."""
    firsts = Counter(beat.models[0].name for beat in ready if beat.models)
    names = sorted({facts.name for beat in ready for facts in beat.models})
    default = max(names, key=firsts.__getitem__, default="")  # of several the first by name
    names.sort(key=lambda name: name != default)
    return [_joined([facts for beat in ready for facts in beat.models if facts.name == name]) for name in names]


def _joined(found: list[ModelFacts]) -> ModelFacts:
    first, *others = found
    return msgspec.structs.replace(
        first,
        styles=[style for style in first.styles if all(style in other.styles for other in others)],
        loras=[lora for lora in first.loras if all(lora in other.loras for other in others)],
        seconds=min((facts.seconds for facts in found if facts.seconds > 0.0), default=0.0),
        loaded=any(facts.loaded for facts in found),
    )
