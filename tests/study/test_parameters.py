"""Parameters: what is accepted from a card, a command line, a file, a sweep and a notebook."""

from __future__ import annotations

import math

import pytest

from medrepro.study.errors import InputError
from medrepro.study.parameters import (
    Parameter,
    ParameterTable,
    expand_sweep,
    parameters_in_cell,
    parse_assignment,
    read_parameter_file,
    read_parameters,
)

TABLE = ParameterTable.parse(
    "01_tiny",
    [
        {"name": "n_latents", "type": "int", "min": 2, "max": 1024, "embedded": 16, "paper": 128},
        {"name": "lr", "type": "float", "min": 0, "embedded": 1e-3},
        {"name": "epsilon", "type": "float", "min": 0, "embedded": math.inf},
        {"name": "deep", "type": "bool", "embedded": True},
        {"name": "cap", "type": "float", "nullable": True, "embedded": None},
        {"name": "sizes", "type": "list[int]", "min": 1, "embedded": [1, 2]},
        {"name": "task", "type": "str", "choices": ["two_class", "neighbour"], "embedded": "two_class"},
        {"name": "token_dropout", "type": "float", "min": 0, "max": 0.95, "embedded": 0.5},
    ],
)


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("n_latents", "32", 32),
        ("n_latents", "1e2", 100),
        ("n_latents", 64.0, 64),
        ("lr", "1e-3", 0.001),
        ("lr", 1, 1.0),
        ("epsilon", "inf", math.inf),
        ("deep", "false", False),
        ("deep", "True", True),
        ("cap", "null", None),
        ("cap", "None", None),
        ("cap", "0.5", 0.5),
        ("sizes", "[3, 4]", [3, 4]),
        ("sizes", (5,), [5]),
        ("task", "neighbour", "neighbour"),
    ],
)
def test_values_are_coerced_by_the_cards_type(name, raw, value):
    found = TABLE.resolve("embedded", {name: raw})[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("n_latents", "abc"),
        ("n_latents", "1.5"),
        ("n_latents", "inf"),
        ("n_latents", True),
        ("n_latents", "1"),
        ("n_latents", "2000"),
        ("lr", "nan"),
        ("lr", "-1"),
        ("lr", None),
        ("deep", "1"),
        ("deep", 1),
        ("cap", "x"),
        ("sizes", "3"),
        ("sizes", "[]"),
        ("sizes", "[1, 0]"),
        ("sizes", "[1, 2"),
        ("task", "two"),
        ("task", 3),
    ],
)
def test_a_wrong_value_is_one_line_with_name_value_and_what_is_allowed(name, raw):
    with pytest.raises(InputError) as caught:
        TABLE.resolve("embedded", {name: raw})
    text = str(caught.value)
    assert text.startswith("01_tiny: ")
    assert f"{name} = {raw!r}" in text
    assert f"allowed is {TABLE[name].allowed}" in text
    assert "\n" not in text


def test_an_unknown_parameter_or_preset_names_the_nearest_right_one():
    with pytest.raises(InputError, match="unknown parameter 'n_latent'; did you mean 'n_latents'"):
        TABLE.resolve("embedded", {"n_latent": 3})
    with pytest.raises(InputError, match="unknown preset 'embeded'; did you mean 'embedded'"):
        TABLE.resolve("embeded")


def test_a_preset_changes_only_what_the_card_states():
    embedded, paper = TABLE.resolve("embedded"), TABLE.resolve("paper")
    assert {name for name in embedded if embedded[name] != paper[name]} == {"preset", "n_latents"}


@pytest.mark.parametrize("name", ["api_key", "hf_token", "token", "password", "access_token", "client_secret"])
def test_a_secret_looking_parameter_name_is_refused(name):
    with pytest.raises(InputError, match="looks like a secret"):
        Parameter.parse({"name": name, "type": "str", "embedded": "x"})


@pytest.mark.parametrize("name", ["token_dropout", "n_tokens", "key_frames", "tokens"])
def test_tokens_of_a_model_are_no_secrets(name):
    Parameter.parse({"name": name, "type": "int", "embedded": 1})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"name": "a b", "type": "int", "embedded": 1}, "must be an identifier"),
        ({"name": "a", "type": "number", "embedded": 1}, "type must be one of"),
        ({"name": "a", "type": "int"}, "has no embedded value"),
        ({"name": "a", "type": "int", "embedded": 1, "minimum": 0}, "unknown key 'minimum'"),
        ({"name": "a", "type": "int", "embedded": 0, "min": 1}, "a = 0: allowed is int, at least 1"),
        ({"name": "a", "type": "int", "embedded": 1, "paper": "many"}, "a = 'many'"),
        ({"name": "seed", "type": "int", "embedded": 1}, "listed twice"),
    ],
)
def test_a_wrong_row_of_a_card_is_named(row, message):
    with pytest.raises(InputError, match=message):
        ParameterTable.parse("01_tiny", [row])


def test_a_sweep_is_a_grid_of_checked_values():
    points = expand_sweep(TABLE, ["lr=1e-3;0.01", "seed=0..2"])
    assert len(points) == 6
    assert points[0] == {"lr": 0.001, "seed": 0}
    assert points[-1] == {"lr": 0.01, "seed": 2}
    assert [p["epsilon"] for p in expand_sweep(TABLE, ["epsilon=1;inf"])] == [1.0, math.inf]
    assert [p["cap"] for p in expand_sweep(TABLE, ["cap=null;2"])] == [None, 2.0]
    assert [p["sizes"] for p in expand_sweep(TABLE, ["sizes=[1];[2, 3]"])] == [[1], [2, 3]]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("lr=1e-3;abc", "lr = 'abc'"),
        ("lrr=1", "did you mean 'lr'"),
        ("seed=3..1", "must rise"),
        ("lr", "name=value"),
    ],
)
def test_a_wrong_sweep_is_refused_before_anything_runs(spec, message):
    with pytest.raises(InputError, match=message):
        expand_sweep(TABLE, [spec])


def test_an_assignment_keeps_equal_signs_in_the_value():
    assert parse_assignment("a=b=c") == ("a", "b=c")
    with pytest.raises(InputError, match="name=value"):
        parse_assignment("1a=3")


def test_a_parameter_file_is_a_mapping(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("lr: 1e-3\nepsilon: .inf\ncap: null\nsizes: [2]\ndeep: false\n")
    values = TABLE.resolve("embedded", read_parameter_file(path))
    assert (values["lr"], values["epsilon"], values["cap"]) == (0.001, math.inf, None)
    assert values["sizes"] == [2]
    assert values["deep"] is False
    path.write_text("- 1\n")
    with pytest.raises(InputError, match="must be a mapping"):
        read_parameter_file(path)
    path.write_text("a: [\n")
    with pytest.raises(InputError, match="cannot be read as YAML"):
        read_parameter_file(path)
    with pytest.raises(InputError, match="no such parameter file"):
        read_parameter_file(tmp_path / "absent.yaml")


def test_a_parameters_cell_holds_literals_only():
    assert parameters_in_cell("a = 1\nb = float('inf')\nc = [1, -2]") == {"a": 1, "b": math.inf, "c": [1, -2]}
    with pytest.raises(InputError, match="a must be a literal"):
        parameters_in_cell("a = max(1, 2)")
    with pytest.raises(InputError, match="only 'name = literal'"):
        parameters_in_cell("import os")


NAMESPACE = {
    "preset": "embedded", "seed": 0, "n": 50, "effect": 1.0, "arms": ["a"], "cap": None, "verbose": False,
    "math": math, "_hidden": 3, "In": [],
}  # fmt: skip


def test_a_notebooks_parameters_become_one_frozen_object(tiny):
    p = read_parameters("01_tiny", NAMESPACE)
    assert (p.n, p.arms) == (50, ("a",))
    with pytest.raises(AttributeError):
        p.n = 3


def test_a_misspelt_name_in_a_notebook_is_never_a_silent_default(tiny):
    with pytest.raises(InputError, match="unknown parameter 'efect'; did you mean 'effect'"):
        read_parameters("01_tiny", {**NAMESPACE, "efect": 2.0})
    with pytest.raises(InputError, match="lacks n"):
        read_parameters("01_tiny", {k: v for k, v in NAMESPACE.items() if k != "n"})
    with pytest.raises(InputError, match="n = 1: allowed is int from 2 to 1000"):
        read_parameters("01_tiny", {**NAMESPACE, "n": 1})
