"""process list, recipes, run, show, repeat, accept, discard, cancel."""

from __future__ import annotations

import time
from typing import Any

from console.client import Client
from console.line.patient import path
from console.line.speaking import Arguments, command, noun

_UNDER_WAY = frozenset({"waiting", "queued", "running"})
_LOOK_EVERY = 0.5
_DEEDS = {
    "accept": "file the result beside the raw data",
    "discard": "do without it",
    "cancel": "give up one that waits or runs",
}


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the commands about what is made of images."""
    verbs = noun(commands, "process", "what is made of images: reconstructed, coregistered, fused, measured")
    listing = command(verbs, "list", _list, "processings, the latest first", _say_list)
    listing.add_argument("--exam", metavar="ACCESSION")
    listing.add_argument("--waiting", action="store_true", help="only those that wait to be made or decided on")
    recipes = command(verbs, "recipes", _recipes, "what can be done, and what can be chosen", _say_recipes)
    recipes.add_argument("name", nargs="?")
    _declare_run(verbs)
    show = command(verbs, "show", _show, "one processing", _say)
    show.add_argument("number", type=int)
    repeat = command(verbs, "repeat", _repeat, "do one again with other parameters", _say)
    repeat.add_argument("number", type=int)
    _may_set(repeat)
    for name, text in _DEEDS.items():
        deed = command(verbs, name, _deed, text, _say)
        deed.set_defaults(deed=name)
        deed.add_argument("number", type=int)


def _declare_run(verbs: Any) -> None:  # noqa: ANN401 - argparse's own
    run = command(verbs, "run", _run, "process the images of an exam", _say)
    run.add_argument("exam")
    run.add_argument("--recipe", default="spect", help="as 'process recipes' names it")
    run.add_argument("--input", action="append", default=[], dest="inputs", metavar="UID", help="a series or an object")
    run.add_argument("--over", action="append", default=[], metavar="UID", help="of the other image")
    _may_set(run)


def _may_set(parser: Any) -> None:  # noqa: ANN401 - argparse's own
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the recipe")
    parser.add_argument("--wait", action="store_true", help="return once it is made or has failed")


def _list(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.get("processing", exam=arguments.exam, waiting=arguments.waiting or None)


def _recipes(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    found = client.get("processing/recipes")
    named = [one for one in found if arguments.name in (None, one["name"])]
    if not named:
        msg = f"there is no recipe '{arguments.name}': use {', '.join(one['name'] for one in found)}"
        raise ValueError(msg)
    return named


def _run(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    body = {"recipe": arguments.recipe, "parameters": _parameters(client, arguments.recipe, arguments.set)}
    body |= {"inputs": arguments.inputs, "over": arguments.over}
    return _waited(client, arguments, client.post(f"exams/{path(arguments.exam)}/processing", body))


def _repeat(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    recipe = client.get(f"processing/{arguments.number}")["recipe"]
    body = {"parameters": _parameters(client, recipe, arguments.set)}
    return _waited(client, arguments, client.post(f"processing/{arguments.number}/repeat", body))


def _parameters(client: Client, recipe: str, given: list[str]) -> dict[str, object]:
    """Read NAME=VALUE, each as its parameter's kind asks."""
    forms = {one["name"]: one for one in client.get("processing/recipes")}
    kinds = {one["name"]: one["kind"] for one in forms.get(recipe, {"parameters": []})["parameters"]}
    return {name: _typed(value, kinds.get(name, "text")) for name, value in map(_pair, given)}


def _pair(written: str) -> tuple[str, str]:
    name, sign, value = written.partition("=")
    if not sign:
        msg = f"'{written}' sets nothing: write NAME=VALUE"
        raise ValueError(msg)
    return name.strip().replace("-", "_"), value.strip()


def _typed(value: str, kind: str) -> object:
    if kind == "flag" and value.lower() in {"true", "yes", "on", "false", "no", "off"}:
        return value.lower() in {"true", "yes", "on"}
    return float(value) if kind == "number" else value


def _waited(client: Client, arguments: Arguments, one: Any) -> Any:  # noqa: ANN401 - JSON
    while arguments.wait and one["state"] in _UNDER_WAY:
        time.sleep(_LOOK_EVERY)
        one = client.get(f"processing/{one['id']}")
    return one


def _show(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.get(f"processing/{arguments.number}")


def _deed(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.post(f"processing/{arguments.number}/{arguments.deed}")


# -- said to a person --------------------------------------------------------------------------------------------------


def _say_list(answer: Any) -> str:  # noqa: ANN401 - JSON
    return "\n".join(_line(one) for one in answer) or "none"


def _line(one: dict[str, Any]) -> str:
    so_far = f" {100 * one['done'] // one['total']} %" if one["state"] == "running" and one["total"] else ""
    words = f"{one['id']:>6}  {one['accession']:16}  {one['recipe']:10}  {one['state']}{so_far}"
    return f"{words}  {one['error']}".rstrip()


def _say(answer: Any) -> str:  # noqa: ANN401 - JSON
    said = [_line(answer), *(f"        {text}" for text in answer["said"])]
    said += [f"        warning: {text}" for text in answer["warnings"]]
    said += [
        f"        step {one['name']}: {one['frames']} frames {one['rows']} x {one['columns']}"
        for one in answer["stages"]
    ]
    said += [f"        result {uid}" for uid in answer["results"]]
    return "\n".join(said)


def _say_recipes(answer: Any) -> str:  # noqa: ANN401 - JSON
    return "\n\n".join(f"{one['name']}: {one['title']} of {one['takes']}\n{_say_parameters(one)}" for one in answer)


def _say_parameters(recipe: dict[str, Any]) -> str:
    return "\n".join(f"    {one['name']:20} {_usual(one)}" for one in recipe["parameters"])


def _usual(one: dict[str, Any]) -> str:
    choices = f" of {', '.join(one['choices'])}" if one["choices"] else ""
    bounds = f" from {one['lowest']:g} to {one['highest']:g}" if one["lowest"] is not None else ""
    default = str(one["default"]).lower() if isinstance(one["default"], bool) else one["default"]
    return f"{default} {one['unit']}".strip() + f"{choices}{bounds}"
