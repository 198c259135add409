"""Templates that mean harm, each with how it must end."""

from __future__ import annotations

from collections.abc import Iterator

#: Not accepted when it is saved.
REFUSED = "refused"
#: Accepted, and fails with words.
FAILS = "template_error"
#: Ends within the child's limits.
TOO_EXPENSIVE = "template_too_expensive"
TOO_LARGE = "output_too_large"

#: What an attack is -> template -> how it ends; `=text` is what it gives when it is harmless.
ATTACKS: dict[str, dict[str, str]] = {
    "attributes": {
        "{{ ''.__class__.__mro__[1].__subclasses__() }}": REFUSED,
        "{{ input.__class__ }}": REFUSED,
        "{{ input.__init__.__globals__['os'].environ }}": REFUSED,
        "{{ nodes.a.text.__class__ }}": REFUSED,
        "{{ range.__globals__ }}": REFUSED,
        "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}": REFUSED,
        "{{ ''['__class__'] }}": FAILS,
        "{{ (1)['__class__'] }}": FAILS,
        "{{ ['__class__', 1][0] }}": "=__class__",
        "{{ input['__init__'] }}": FAILS,
        "{{ run['__class__']['__mro__'] }}": REFUSED,
        "{{ input['__cl' ~ 'ass__'] }}": FAILS,
        "{{ nodes.a['__class__'] }}": FAILS,
        "{{ ''.join }}": FAILS,
        "{{ input.items }}": FAILS,
        "{{ input.get }}": FAILS,
        "{{ ([1] | select).gi_frame.f_globals }}": FAILS,
        "{{ ([1] | map('upper')).gi_code }}": FAILS,
        "{{ range(3).count }}": FAILS,
        "{% for x in [1] %}{{ loop['_iterable'] }}{% endfor %}": FAILS,
        "{% for x in [1] %}{{ loop }}{% endfor %}": FAILS,
        "{% for x in [1] %}{{ loop.cycle }}{% endfor %}": FAILS,
        "{% for x in [1] %}{{ [loop.changed] | tojson }}{% endfor %}": FAILS,
        "{{ missing.__class__ }}": REFUSED,
        "{{ missing['__class__'] }}": FAILS,
        "{{ self._TemplateReference__context }}": REFUSED,
        "{{ self['_TemplateReference__context'] }}": REFUSED,
    },
    "attributes by filters": {
        "{{ '' | attr('__class__') }}": REFUSED,
        "{{ [''] | map('attr', '__class__') | list }}": FAILS,
        "{{ [''] | map(attribute='__class__') | list }}": FAILS,
        "{{ [''] | map(attribute='__class__.__mro__.1') | list }}": FAILS,
        "{{ [1, 2] | sort(attribute='__class__') }}": FAILS,
        "{{ [''] | groupby('__class__') }}": FAILS,
        "{{ [1] | sum(attribute='__class__') }}": FAILS,
        "{{ [''] | selectattr('__class__') | list }}": FAILS,
        "{{ [''] | selectattr('__class__', 'callable') | list }}": FAILS,
        "{{ [''] | unique(attribute='__class__') | list }}": FAILS,
        "{{ [''] | max(attribute='__class__') }}": "=",
        "{{ '' | jmespath('__class__') }}": "=",
        "{{ input | jmespath('__class__.__mro__') }}": "=",
        "{{ ('a' | string).__class__ }}": REFUSED,
    },
    "format strings": {
        "{{ '{0.__class__}'.format(1) }}": REFUSED,
        "{{ '{0.__class__}'.format_map(input) }}": REFUSED,
        "{{ '{0.__class__}' | format(1) }}": REFUSED,
        "{{ '%s' | format(range) }}": REFUSED,
        "{{ '%(secret)s' % input }}": "=s3cret of the run",
        "{{ '%s' % range }}": "=range",
        "{{ '%1000000000d' % 1 }}": TOO_EXPENSIVE,
        "{{ '%999999999d' is odd }}": FAILS,
    },
    "calls, macros and other templates": {
        "{{ lipsum() }}": REFUSED,
        "{{ lipsum.__globals__ }}": REFUSED,
        "{{ cycler }}": FAILS,
        "{{ namespace(x=1) }}": REFUSED,
        "{{ dict(a=1) }}": REFUSED,
        "{{ joiner() }}": REFUSED,
        "{{ input.x() }}": REFUSED,
        "{{ (range)(3) }}": "=[0,1,2]",
        "{% set range = input.x %}{{ range(3) }}": FAILS,
        "{% set loop = input %}{{ loop.x() }}": FAILS,
        "{{ super() }}": REFUSED,
        "{{ caller() }}": REFUSED,
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}": REFUSED,
        "{% call input.x() %}{% endcall %}": REFUSED,
        "{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}": REFUSED,
        "{% include '/etc/passwd' %}": REFUSED,
        "{% include input.x %}": REFUSED,
        "{% import 'os' as os %}": REFUSED,
        "{% from 'os' import environ %}": REFUSED,
        "{% extends input.x %}": REFUSED,
        "{% block a %}{{ self.a() }}{% endblock %}": REFUSED,
        "{% do input.clear() %}": REFUSED,
        "{% debug %}": REFUSED,
        "{{ env }}": REFUSED,
        "{{ environ }}": FAILS,
        "{{ environment }}": FAILS,
        "{{ context }}": FAILS,
        "{{ config }}": FAILS,
        "{{ os }}": FAILS,
    },
    "much out of little": {
        "{{ 'x' * 10 ** 10 }}": TOO_EXPENSIVE,
        "{{ 'x' * 2000000 }}": TOO_LARGE,
        "{{ ('x' * 2000000) | size }}": "=2000000",
        "{{ [0] * 10 ** 9 }}": TOO_EXPENSIVE,
        "{{ 'x' | center(1000000000) }}": TOO_EXPENSIVE,
        "{{ 'x' | center(2000000) }}": TOO_LARGE,
        "{{ ['x'] | map('center', 10 ** 10) | list }}": TOO_EXPENSIVE,
        "{{ ('a\\n' * 1000) | indent(1000000) }}": TOO_EXPENSIVE,
        "{{ [1] | batch(10 ** 9, 'x') | list }}": TOO_EXPENSIVE,
        "{{ 'x y' | wordwrap(1, true, 'x' * 2000000) }}": TOO_LARGE,
        "{{ 'x' | replace('x', 'y' * 2000000) }}": FAILS,
        "{% for x in range(100000) %}{{ 'x' * 100 }}{% endfor %}": TOO_LARGE,
        "{% set x = 'x' * 1000000 %}{% for i in range(99999) %}{{ x }}{% endfor %}": TOO_LARGE,
        "{{ '<' | escape" + " | replace('&', '&&&&&&&&&&')" * 20 + " }}": FAILS,
        "{{ ('x' * 700000)" + " | base64_encode" * 9 + " | size }}": FAILS,
        "{{ 'x'" + " | tojson" * 21 + " | size }}": FAILS,
        "{{ [0] | jmespath('" + "|".join(["[@,@][]"] * 240) + "') | size }}": TOO_EXPENSIVE,
        "{{ 'x' | jmespath('" + "|".join(["to_string([@,@])"] * 100) + "') | size }}": TOO_EXPENSIVE,
    },
    "long calculations": {
        "{{ 9 ** (9 ** 9) }}": TOO_EXPENSIVE,
        "{{ 10 ** 5000 }}": FAILS,
        "{{ 1 | round(1000000000) }}": FAILS,
        "{{ range(100001) | list }}": FAILS,
        "{{ range(10 ** 12) }}": FAILS,
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}": TOO_EXPENSIVE,
        "{{ (('<' * 1000000) | strip_html) | size }}": "=1000000",
        "{{ ('a ' * 3000) | wordwrap(1) | size }}": "=5999",
    },
    "deep and huge": {
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}": REFUSED,
        "{{ " + "[" * 3000 + "1" + "]" * 3000 + " }}": REFUSED,
        "{{ " + "-" * 3000 + "1 }}": REFUSED,
        "{{ " + "not " * 900 + "1 }}": FAILS,
        "{{ 1" + " + 1" * 2000 + " }}": FAILS,
        "{{ input" + ".x" * 30_000 + " }}": FAILS,
        "{% if x %}" * 3000 + "{% endif %}" * 3000: REFUSED,
        "{% for x in [1] %}" * 25 + "x" + "{% endfor %}" * 25: FAILS,
        "{{ " + "9" * 60_000 + " }}": REFUSED,
        "{{ 0x" + "f" * 60_000 + " }}": FAILS,
        "{{ 1e999 }}": REFUSED,
        "{{ 1e308 + 1e308 }}": FAILS,
        "{{ '" + "x" * 70_000 + "' }}": REFUSED,
        "{{ x" + " | upper" * 9000 + " }}": REFUSED,
    },
}


def cases() -> Iterator[tuple[str, str, str]]:
    """Which attack, its template, its end."""
    for kind, attacks in ATTACKS.items():
        for source, end in attacks.items():
            yield kind, source, end
