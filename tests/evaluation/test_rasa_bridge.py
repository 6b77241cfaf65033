from __future__ import annotations

import os
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from kefu.errors import DataError, ModelCorrupt, ModelError, ModelNotFound
from kefu.rasa_bridge import RasaModel, newest_archive
from kefu.strategy import History, Message, Scores
from kefu.strategy.decisions import Decision

CONFIG = """
recipe: default.v1
assistant_id: bridge-test
language: en
pipeline:
- name: WhitespaceTokenizer
- name: KeywordIntentClassifier
policies:
- name: RulePolicy
  enable_fallback_prediction: false
"""
DOMAIN = """
version: "3.1"
intents: [greet, thank]
actions: [action_reply]
"""
DATA = """
version: "3.1"
nlu:
- intent: greet
  examples: "- hello\\n- hi"
- intent: thank
  examples: "- thanks\\n- cheers"
rules:
- rule: r
  steps:
  - intent: greet
  - action: action_reply
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without our components: a keyword classifier and rules."""
    from rasa.model_training import train

    folder = tmp_path_factory.mktemp("project")
    for name, text in {"config.yml": CONFIG, "domain.yml": DOMAIN, "data.yml": DATA}.items():
        (folder / name).write_text(text, encoding="utf-8")
    files = [str(folder / name) for name in ("domain.yml", "config.yml", "data.yml")]
    trained = train(files[0], files[1], [files[2]], output=str(folder / "models"))
    return Path(str(trained.model))


@pytest.fixture(scope="module")
def model(archive: Path) -> RasaModel:
    return RasaModel.load(archive)


def test_it_parses_and_tells_the_time(model: RasaModel) -> None:
    parsed = model.parse("hello", context="Good day")
    assert parsed.intent == "greet" and parsed.intent_confidence == 1.0
    assert parsed.emotion is None and parsed.emotion_ranking == ()
    assert parsed.latency_ms > 0


def test_the_matter_in_hand_is_the_last_that_was_named(model: RasaModel, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed, matter = model.read([("user", "hello"), ("agent", "Yes?"), ("user", "thanks")])
    assert parsed.intent == "thank" and matter is None, "neither names a matter of business"
    monkeypatch.setattr("kefu.strategy.history.WITHOUT_MATTER", frozenset({"thank"}))
    parsed, matter = model.read([("user", "hello"), ("agent", "Yes?"), ("user", "thanks")])
    assert parsed.intent == "thank" and matter is not None and (matter.intent, matter.request) == ("greet", "hello")
    with pytest.raises(DataError, match="'user'"):
        model.read([("agent", "Yes?")])


async def test_it_may_be_called_where_a_loop_runs(model: RasaModel) -> None:
    assert model.parse("thanks").intent == "thank"


def test_a_folder_means_its_newest_model(archive: Path, tmp_path: Path) -> None:
    for name, age in (("old.tar.gz", 100), ("new.tar.gz", 0)):
        (tmp_path / name).write_bytes(archive.read_bytes())
        os.utime(tmp_path / name, (1_700_000_000 - age, 1_700_000_000 - age))
    assert newest_archive(tmp_path).name == "new.tar.gz"


def test_a_model_without_the_policy_says_so(model: RasaModel) -> None:
    with pytest.raises(ModelError, match="StrategyPolicy"):
        model.strategies([("user", "hello")])


def test_the_policy_is_given_logged_moments(model: RasaModel, monkeypatch: pytest.MonkeyPatch) -> None:
    history = History([Message("user", "hello", {"greet": 1.0}, {"neutral": 1.0})], observed=False)
    seen = []

    def score(moment: History, replies_left: int) -> SimpleNamespace:
        seen.append((moment.users[-1].text, replies_left))
        return SimpleNamespace(best="suggest")

    policy = SimpleNamespace(model=SimpleNamespace(score=score, learned={"why": "kept"}))
    monkeypatch.setattr(model, "_policy", lambda: policy)
    logged = Decision("k", "c", 0.0, history, 1, "inform", 0.9, ("inform", "suggest"), 1.0)
    assert model.choices([logged.as_dict()]) == ["suggest"]
    assert seen == [("hello", 1)]
    assert model.learned() == {"why": "kept"}
    with pytest.raises(DataError, match="no decision"):
        model.choices([{}])


def test_an_unknown_speaker_is_named(model: RasaModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "_policy", lambda: None)
    with pytest.raises(DataError, match="bot"):
        model.strategies([("bot", "hello")])


def test_the_policy_is_given_the_conversation_and_the_facts(model: RasaModel, monkeypatch: pytest.MonkeyPatch) -> None:
    from rasa.shared.core.events import BotUttered, UserUttered

    seen = []

    class Policy:
        def rank(self, tracker: object, observed: bool, habit: object = None) -> list[tuple[str, float]]:
            assert habit is None
            seen.append((tracker, observed))
            return [("inform", 1.0)]

    monkeypatch.setattr(model, "_policy", Policy)
    context = [("user", "hello"), ("agent", "Good day"), ("user", "thanks")]
    assert model.strategies(context) == [("inform", 1.0)]
    assert model.strategies(context, facts={})[0][0] == "inform"
    assert [observed for _, observed in seen] == [False, True]
    events = list(seen[0][0].events)
    assert [e.text for e in events if isinstance(e, (UserUttered, BotUttered))] == ["hello", "Good day", "thanks"]
    assert [e.intent_name for e in events if isinstance(e, UserUttered)] == ["greet", "thank"]
    assert all("strategy" not in (e.metadata or {}) for e in events if isinstance(e, BotUttered))


def test_a_choice_is_explained_as_it_is_made(model: RasaModel, monkeypatch: pytest.MonkeyPatch) -> None:
    class Policy:
        def explain(self, tracker: object, observed: bool) -> tuple[Scores, dict[str, float]]:
            assert not observed
            return Scores({"inform": 0.71234, "other": 0.28766}, 0.0, ("rule",), ()), {"intent": 0.4}

    monkeypatch.setattr(model, "_policy", Policy)
    scores = {"inform": 0.7123, "other": 0.2877}
    why = {"strategy": "inform", "scores": scores, "rules": ["rule"], "mattered": {"intent": 0.4}}
    assert model.explain([("user", "hello")]) == why


def test_missing_models_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.tar.gz"):
        with pytest.raises(ModelNotFound, match=path.name):
            RasaModel.load(path)


def test_broken_models_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tar.gz"
    broken.write_text("not an archive", encoding="utf-8")
    with pytest.raises(ModelCorrupt, match="broken"):
        RasaModel.load(broken)
    hollow = tmp_path / "hollow.tar.gz"
    with tarfile.open(hollow, "w:gz") as file:
        file.add(broken, "readme")
    with pytest.raises(ModelCorrupt, match="hollow") as caught:
        RasaModel.load(hollow)
    assert "\n" not in str(caught.value)
