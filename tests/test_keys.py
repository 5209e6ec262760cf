"""Rules of values, and the walk over a configuration."""

from dataclasses import dataclass
from typing import Any

import pytest

from study.errors import ConfigError
from study.keys import Rule, check, hashed, key, walk


@dataclass
class Inner:
    size: int = key("how large", at_least=1)
    place: str = key("where it is written", hashed=False)


@dataclass
class Checked(Inner):
    def check(self, name: str) -> None:
        if self.size == 13:
            raise ConfigError(f"{name}.size", "must not be unlucky", self.size)


@dataclass
class Outer:
    depth: float = key("how deep", above=0, below=1)
    inner: Inner = key("a section")
    named: dict[str, Inner] = key("sections by name")
    free: dict[str, Any] = key("anything")
    entries: list[Any] = key("a list")


def outer(**changes: Any) -> Outer:
    values = {
        "depth": 0.5,
        "inner": Inner(1, "here"),
        "named": {"first": Inner(2, "a"), "second": Checked(3, "b")},
        "free": {"x": [1, {"y": None}]},
        "entries": [Inner(4, "c"), 5],
    }
    return Outer(**{**values, **changes})


@pytest.mark.parametrize(
    ("rule", "kept", "broken", "words"),
    [
        (Rule(at_least=2), 2, 1, "must be at least 2"),
        (Rule(above=0), 1e-300, 0.0, "must be above 0"),
        (Rule(at_most=2**63 - 1), 2**63 - 1, 2**63, "must be at most 9223372036854775807"),
        (Rule(below=0.5), 0.49, 0.5, "must be below 0.5"),
        (Rule(choices=("a", "b")), "b", "c", "must be one of a, b"),
        (Rule(length=2), [1, 0], [1], "must have 2 entries"),
        (Rule(length=2), [1, 0], [1, 2, 3], "must have 2 entries"),
        (Rule(increasing=True), [-1.0, 2.0], [0.0, 0.0], "must increase from entry to entry"),
        (Rule(increasing=True), [3], [1, 3, 2], "must increase from entry to entry"),
        (Rule(at_least=1), [1, 2], [1, 0], "must be at least 1"),
        (Rule(choices=("a",)), ["a", "a"], ["a", "b"], "must be one of a"),
        (Rule(), 1e308, float("inf"), "must be finite"),
        (Rule(), -1e308, float("-inf"), "must be finite"),
        (Rule(at_least=0), 0, float("nan"), "must be finite"),
        (Rule(), [0.0], [0.0, float("nan")], "must be finite"),
    ],
)
def test_a_rule_says_in_words_what_breaks_it(rule, kept, broken, words):
    assert rule.broken_by(kept) is None
    assert rule.broken_by(broken) == words


@pytest.mark.parametrize("rule", [Rule(at_least=5), Rule(length=2), Rule(choices=("a",)), Rule(above=1)])
def test_null_breaks_no_rule(rule):
    assert rule.broken_by(None) is None


def test_a_switch_is_no_number():
    assert Rule(at_least=2).broken_by(True) is None


def test_every_limit_of_a_rule_is_in_its_words():
    assert Rule().words() == ""
    assert Rule(at_least=1, below=2.5).words() == "at least 1, below 2.5"
    assert Rule(above=0, at_most=7, length=2).words() == "above 0, at most 7, 2 entries"
    assert Rule(choices=("a", "b")).words() == "one of a, b"


def test_walk_gives_a_section_before_its_keys_and_leaves_free_dicts_whole():
    assert [name for name, _own, _value in walk(outer())] == [
        "depth",
        "inner",
        "inner.size",
        "inner.place",
        "named",
        "named.first",
        "named.first.size",
        "named.first.place",
        "named.second",
        "named.second.size",
        "named.second.place",
        "free",
        "entries",
    ]


def test_walk_gives_fields_with_their_values():
    found = {name: (own, value) for name, own, value in walk(outer())}
    own, value = found["named.second.size"]
    assert own.metadata["meaning"] == "how large"
    assert value == 3
    assert found["named.first"][0] is None  # a name is the user's, so nothing is said of it


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 1.0}, "depth must be below 1, got 1.0"),
        ({"inner": Inner(0, "x")}, "inner.size must be at least 1, got 0"),
        ({"named": {"only": Inner(-1, "x")}}, "named.only.size must be at least 1, got -1"),
        ({"inner": Checked(13, "x")}, "inner.size must not be unlucky, got 13"),
        ({"named": {"only": Checked(13, "x")}}, "named.only.size must not be unlucky, got 13"),
    ],
)
def test_check_names_key_rule_and_value(changes, message):
    check(outer())
    with pytest.raises(ConfigError) as refused:
        check(outer(**changes))
    assert str(refused.value) == message


def test_check_asks_the_configuration_itself():
    with pytest.raises(ConfigError, match=r"^\.size must not be unlucky, got 13$"):
        check(Checked(13, "x"))


def test_hashed_leaves_out_what_changes_no_number_at_every_depth():
    assert hashed(outer()) == {
        "depth": 0.5,
        "inner": {"size": 1},
        "named": {"first": {"size": 2}, "second": {"size": 3}},
        "free": {"x": [1, {"y": None}]},
        "entries": [{"size": 4}, 5],
    }
