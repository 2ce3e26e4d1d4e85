"""How the spec of a kind is written, found and refused: one mechanism for every family.

A spec is a model with an explicit `kind`. It is found among the entry points of its family, so that a distribution
outside the repository adds one and every service and the command line parse it. A mistake gives one error that names
the place, the wrong word and the nearest right one, however many kinds there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, core_schema

from capstan_contracts.base import Spec
from capstan_contracts.kinds.family import BrokenKind, Family, UnknownKind, nearest

Place = tuple[int | str, ...]
KIND: Final = "kind"


class KindSpec(Spec):
    """Base of the spec of one kind. `kind` is a Literal in each, the name under which its entry point stands."""

    kind: str


S = TypeVar("S", bound=KindSpec)


@dataclass(frozen=True)
class Spelled:
    """What a user wrote, in the long spelling, and where in it the fields stand that the user spelled otherwise."""

    value: Any
    place: Place = ()


def mistake(place: Place, sentence: str, value: Any = None) -> ValidationError:
    """The one error of a mistyped spec; `place` is relative to the spec."""
    return _errors([(place, sentence, value)])


def _errors(mistakes: Sequence[tuple[Place, str, Any]]) -> ValidationError:
    lines = [
        InitErrorDetails(type=PydanticCustomError("kind", "{sentence}", {"sentence": sentence}), loc=place, input=value)
        for place, sentence, value in mistakes
    ]
    return ValidationError.from_exception_data("spec", lines)


def name_alone(value: Any) -> Spelled:
    """The before-validator of families whose kinds need no settings: `csv` is `{kind: csv}`."""
    return Spelled({KIND: value} if isinstance(value, str) else value)


def names_alone(names: Sequence[str]) -> list[JsonSchemaValue]:
    """The JSON schema of what `name_alone` takes."""
    return [{"type": "string", "enum": list(names)}]


class OneOfKinds(Generic[S]):
    """The annotation of a field that holds one kind of a family: `Gate = Annotated[GateSpec, OneOfKinds(...)]`.

    `spell` is the family's one before-validator: it turns a short spelling into the long one, or raises `mistake`.
    `short` are the JSON schemas of the short spellings that the schemas of the kinds do not cover. `advice` is a
    sentence for who wrote a kind that there is not. The entry points are read when the first spec is parsed or
    described, not on import.
    """

    def __init__(
        self,
        base: type[S],
        specs: Family[type[S]],
        *,
        noun: str,
        spell: Callable[[Any], Spelled] = Spelled,
        short: Callable[[Sequence[str]], list[JsonSchemaValue]] = lambda names: [],
        advice: str = "",
    ) -> None:
        self.base, self.specs, self.noun, self.advice = base, specs, noun, advice
        self._spell, self._short = spell, short

    def parse(self, value: Any) -> S:
        """The spec that `value` spells. ValidationError with places relative to it."""
        if isinstance(value, self.base):
            return value
        spelled = self._spell(value)
        if not isinstance(spelled.value, Mapping):
            raise mistake(spelled.place, f"a {self.noun} is a mapping of fields", value)
        if not isinstance(spelled.value.get(KIND), str):
            raise mistake((KIND,), f"a {self.noun} names its `kind`; there are: {', '.join(self.specs.names)}", value)
        model = self.model(spelled.value[KIND])
        check_words(model, spelled.value, f"a {self.noun} of kind {spelled.value[KIND]!r}", spelled.place)
        try:
            return model.model_validate(spelled.value)
        except ValidationError as error:
            raise _errors(
                [((*spelled.place, *item["loc"]), _sentence(item), item["input"]) for item in error.errors()]
            ) from None

    def model(self, kind: str) -> type[S]:
        """The spec's class by the name of its kind. ValidationError at `kind`."""
        try:
            spec_class = self.specs.get(kind)
        except UnknownKind as error:
            sentence = _no_such(f"kind of {self.noun}", kind, error.known)
            raise mistake((KIND,), f"{sentence}. {self.advice}" if self.advice else sentence, kind) from None
        except BrokenKind as error:
            raise mistake((KIND,), str(error), kind) from None
        if (fault := self.fault(kind, spec_class)) is not None:
            raise mistake((KIND,), fault, kind)
        return spec_class

    def usable(self) -> list[type[S]]:
        """The specs of all kinds that are installed and can be imported; a service names the others when it starts."""
        classes = []
        for kind in self.specs.names:
            try:
                classes.append(self.model(kind))
            except ValidationError:
                continue
        return classes

    def fault(self, kind: str, loaded: object) -> str | None:
        """Why what an entry point gave cannot be the spec of this kind; None when it can."""
        if not (isinstance(loaded, type) and issubclass(loaded, self.base)):
            return f"the kind {kind!r} cannot be used: its entry point is no subclass of {self.base.__name__}"
        if (named := loaded.model_fields[KIND].default) != kind:
            return f"the kind {kind!r} cannot be used: its spec calls itself {named!r}"
        return None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Parsed by us; written as whatever model it is."""
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """`oneOf` the kinds that are installed and can be imported."""
        kinds = [handler(model.__pydantic_core_schema__) for model in self.usable()]
        return {"oneOf": [*kinds, *self._short(self.specs.names)]}


def check_words(model: type[Spec], value: Mapping[Any, Any], what: str, place: Place = ()) -> None:
    """Raise one `mistake` for the first word of `value` that is no field of the model, with the nearest that is one."""
    names = {name: field.alias or name for name, field in model.model_fields.items()}
    fields = tuple(names.values())
    for word in value:
        if word not in fields and word not in names:
            close = nearest(str(word), fields)
            hint = f"did you mean {close!r}? It has" if close else "it has"
            raise mistake(
                (*place, str(word)), f"{word!r} is no field of {what}; {hint}: {', '.join(fields)}", value[word]
            )


def _no_such(what: str, word: str, names: Sequence[str]) -> str:
    close = nearest(word, tuple(names))
    hint = f"did you mean {close!r}? There are" if close else "there are"
    return f"no {what} is called {word!r}; {hint}: {', '.join(names)}"


def _sentence(item: ErrorDetails) -> str:
    """What pydantic found, in words of a spec: a wrong word gets the nearest right one."""
    if item["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", item["ctx"]["expected"])
        return _no_such(str(item["loc"][-1]), str(item["input"]), choices)
    return item["msg"].removeprefix("Value error, ")
