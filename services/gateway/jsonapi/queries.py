"""Query parameters of JSON:API as those of the flat interface, and what is left to do with the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import parse_qsl, quote, urlencode

from services.gateway.jsonapi.places import Place
from services.gateway.jsonapi.refusals import BadQueryError
from services.gateway.jsonapi.resources import BY_TYPE, Held, Resource
from shared.errors import did_you_mean

#: Relationship -> what is included of its resources.
Tree: TypeAlias = dict[str, "Tree"]
#: Parameters of the flat interface that JSON:API has no family for.
PASSED = frozenset({"wait", "to", "format", "publish"})
#: Of a page; the flat interface has the same names.
PAGE = ("limit", "after")

_FAMILY = re.compile(r"(filter|page|fields)\[([^\[\]]*)\]")


@dataclass
class Wish:
    """What a query asks for."""

    #: Query of the flat request.
    flat: list[tuple[str, str]] = field(default_factory=list)
    #: Flat name -> the name that the client knows it by.
    names: dict[str, str] = field(default_factory=dict)
    include: Tree = field(default_factory=dict)
    #: Type -> the fields that are shown of it; of other types all.
    fields: dict[str, frozenset[str]] = field(default_factory=dict)

    @property
    def flat_query(self) -> str:
        return urlencode(self.flat)


def read_query(query: str, place: Place) -> Wish:
    """Raises BadQueryError at the first parameter that is unknown or not possible here, with what is."""
    wish = Wish()
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "include":
            _include(wish, value, place)
        elif name == "sort":
            _sort(wish, value, place)
        elif found := _FAMILY.fullmatch(name):
            _member(wish, found[1], found[2], value, place)
        elif name in PASSED:
            wish.flat.append((name, value))
        else:
            hint = did_you_mean(name, PASSED)
            raise BadQueryError(name, f"The parameter '{name}' is not known.{hint} {_possible(possible(place))}")
    return wish


def own_link(path: str, query: str) -> str:
    """What was asked, with all that needs it escaped."""
    return _link(path, parse_qsl(query, keep_blank_values=True))


def page_link(path: str, query: str, after: object = None) -> str:
    """The same list on the page behind `after`; its first page without."""
    kept = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != "page[after]"]
    return _link(path, kept if after is None else [*kept, ("page[after]", str(after))])


def _link(path: str, pairs: Sequence[tuple[str, str]]) -> str:
    place = quote(path, safe="/:")
    return f"{place}?{urlencode(pairs, safe=',:')}" if pairs else place


def possible(place: Place) -> list[str]:
    """All that a query may say here besides what is passed on, as it is written."""
    found = [f"include={','.join(paths)}"] if (paths := _paths(place)) else []
    if orders := _orders(place):
        found.append(f"sort={'|'.join(orders)}")
    for family in ("filter", "page"):
        found += [f"{family}[{member}]" for member in _members(family, place)]
    return [*found, "fields[TYPE]"] if place.answers is not None else found


def includable(place: Place) -> dict[str, Held]:
    """The relationships whose resources the flat answer can hold."""
    return {
        name: relation
        for name, relation in _held(place.answers).items()
        if (relation.in_lists or not place.is_list)
        and (not relation.on_request or (place.is_read and not place.is_action))
    }


def _held(resource: Resource | None) -> dict[str, Held]:
    relations: Mapping[str, object] = resource.relations if resource is not None else {}
    return {name: relation for name, relation in relations.items() if isinstance(relation, Held)}


def _include(wish: Wish, value: str, place: Place) -> None:
    for path in filter(None, value.split(",")):
        possible, tree = includable(place), wish.include
        for number, name in enumerate(path.split(".")):
            relation = possible.get(name)
            if relation is None:
                raise BadQueryError("include", f"'{path}' cannot be included here. {_possible(_paths(place))}")
            if number == 0 and relation.on_request and name not in tree:
                wish.flat.append(("include", relation.field))
            tree = tree.setdefault(name, {})
            possible = _held(BY_TYPE[relation.type])


def _paths(place: Place) -> list[str]:
    """What can be included; no more than two relationships follow each other."""
    found = []
    for name, relation in includable(place).items():
        found += [name, *(f"{name}.{inner}" for inner in _held(BY_TYPE[relation.type]))]
    return found


def _orders(place: Place) -> tuple[str, ...]:
    return place.answers.orders if place.answers is not None and place.is_list else ()


def _sort(wish: Wish, value: str, place: Place) -> None:
    orders = _orders(place)
    if value not in orders:
        raise BadQueryError("sort", f"Sorting by '{value}' is not possible here. {_possible(orders)}")
    if len(orders) > 1:
        wish.flat.append(("sort", value))


def _members(family: str, place: Place) -> tuple[str, ...]:
    """What `filter` or `page` may name in a list; nothing where there is none."""
    if place.answers is None or not place.is_list:
        return ()
    if family == "filter":
        return place.answers.filters
    return PAGE if place.answers.is_paged else ()


def _member(wish: Wish, family: str, member: str, value: str, place: Place) -> None:
    name = f"{family}[{member}]"
    if family == "fields":
        if member not in BY_TYPE:
            raise BadQueryError(name, f"There is no type '{member}'. {_possible(sorted(BY_TYPE))}")
        wish.fields[member] = _fields(name, value, BY_TYPE[member])
        return
    members = _members(family, place)
    if member not in members:
        what = "Filtering" if family == "filter" else "Paging"
        raise BadQueryError(
            name, f"{what} by '{member}' is not possible here. {_possible([f'{family}[{x}]' for x in members])}"
        )
    wish.flat.append((member, value))
    wish.names[member] = name


def _fields(name: str, value: str, resource: Resource) -> frozenset[str]:
    """Those that are named; one that there is not would be left out without a word."""
    wanted = frozenset(filter(None, value.split(",")))
    for one in sorted(wanted - resource.fields):
        hint = did_you_mean(one, resource.fields)
        raise BadQueryError(name, f"'{resource.type}' has no field '{one}'.{hint} {_possible(sorted(resource.fields))}")
    return wanted


def _possible(names: Sequence[str]) -> str:
    return f"Possible: {', '.join(names)}." if names else "Leave it out."
