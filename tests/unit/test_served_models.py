"""What servers make of the engines' beats: models offered, in one order, with what holds wherever an edit goes (J1)."""

from __future__ import annotations

from nanobana.protocol.parameters import ModelFacts
from nanobana_engine.worker.turnover import Turnover
from nanobana_server.jobs.served import Served
from support.desk import engine

NANO, SDXL = ModelFacts(name="nano"), ModelFacts(name="sdxl")


def test_j1_every_server_offers_the_same_models_in_the_same_order() -> None:
    beats = [engine("b", SDXL, NANO), engine("a", NANO), engine("c", NANO), engine("old", NANO, draining=True)]
    for order in (beats, beats[::-1]):
        served = Served(order)
        assert [facts.name for facts in served.models] == ["nano", "sdxl"]
        assert (served.count, served.default) == (3, "nano")
    assert Served([engine("b", SDXL), engine("a", NANO)]).default == "nano", "as many have each first: by name"
    waiting = Served([engine("x", loading="downloading sdxl: 3 %")])
    assert (waiting.count, waiting.models, waiting.loading) == (0, [], "downloading sdxl: 3 %")


def test_a_model_of_several_engines_is_offered_with_what_all_of_them_have() -> None:
    rich = ModelFacts(name="sdxl", styles=["Ink", "Oil"], loras=["toy"], seconds=9.0)
    poor = ModelFacts(name="sdxl", styles=["Oil"], loras=["toy", "grain"], loaded=True, seconds=3.0)
    told = Served([engine("a", rich), engine("b", poor), engine("c", SDXL)]).models
    assert told == [ModelFacts(name="sdxl", loaded=True, seconds=3.0)]
    assert Served([engine("a", rich), engine("b", poor)]).models[0].styles == ["Oil"]


def test_j1_how_often_an_engine_takes_a_ticket_is_told_by_ends_between_which_it_was_full() -> None:
    turnover = Turnover(slots=4)
    for at, in_hand in ((0.0, 4), (5.0, 3), (6.0, 4), (20.0, 1)):
        turnover.ended(in_hand, at)
    assert turnover.each_s == 0.0, "it was not full at both"
    for at in (30.0, 32.0, 34.0):
        turnover.ended(4, at)
    assert turnover.each_s == 2.0
