#!/usr/bin/env python3
"""Writes tests/golden/jinja_cases.jsonl: what jinja2, set up as Hugging Face sets it up, makes of many templates.

usage: make_jinja_golden.py OUT          needs jinja2 3.1 (`pip install jinja2==3.1.6`), nothing else

Each line: `id`, `template`, `variables`, and `expected` (the text) or `fails` ("parse" or "render").
The templates named chat_* have the shape of well-known models' templates; they were written for this file.
"""
import json
import pathlib
import re
import sys

from jinja2 import TemplateSyntaxError, nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    """The `generation` block, which marks what the assistant says and renders as its body."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                         extensions=[Generation, "jinja2.ext.loopcontrols"])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    return made


USER = {"role": "user", "content": "Hi there"}
SYSTEM = {"role": "system", "content": "  You are terse.\n"}
ASSISTANT = {"role": "assistant", "content": "Hello! <think>hmm</think> Fine."}
CHAT = [SYSTEM, USER, ASSISTANT, {"role": "user", "content": "Wie geht's? ünïcode \U0001f600"}]
TOOL = {"type": "function", "function": {
    "name": "get_weather", "description": "Weather \"now\" <here> & there",
    "parameters": {"type": "object", "required": ["place"], "properties": {
        "place": {"type": "string", "description": "Where?"},
        "days": {"type": "array", "items": {"type": "integer"}},
        "unit": {"type": "string", "enum": ["°C", "°F"]}}}}}
CALL = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "abc123def", "type": "function",
     "function": {"name": "get_weather", "arguments": {"place": "Paris", "days": [1, 2.5, True, None]}}}]}
RESULT = {"role": "tool", "tool_call_id": "abc123def", "name": "get_weather", "content": "{\"t\": 21}"}
PARTS = {"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "image"},
                                     {"type": "text", "text": "And that?"}]}
DATA = {"i": 7, "f": 2.5, "z": 0, "neg": -13, "s": "hello world", "e": "", "u": "größe ☃ 😀 ÀÉ", "t": True, "n": None,
        "l": [3, 1, 2], "empty": [], "d": {"b": 2, "a": 1, "C": 3}, "nested": {"x": {"y": [10, 20, {"k": "v"}]}},
        "words": ["banana", "Apple", "cherry", "apple"], "ws": "  \t padded \n ", "big": 123456789012345678,
        "people": [{"name": "Ann", "age": 30, "tags": ["x"]}, {"name": "bob", "age": 25, "tags": []},
                   {"name": "Cy", "age": 30}],
        "html": "<a href=\"x\">'&'</a>", "multi": "one\ntwo\n\nthree", "items_key": {"items": [1, 2], "keys": "k"}}

EXPRESSIONS = r"""
1 + 2 * 3 - 4 / 2
7 // 2 ~ ' ' ~ -7 // 2 ~ ' ' ~ 7 % 3 ~ ' ' ~ -7 % 3 ~ ' ' ~ 7 % -3
2 ** 10 ~ ' ' ~ 2 ** -1 ~ ' ' ~ 2 ** 3 ** 2
-2 ** 2
1.5 + 1, 3.0 * 2, 7 / 2, 6 / 2, 1 - 2.5
-7.5 // 2 ~ ' ' ~ -7.5 % 2 ~ ' ' ~ 7.5 % -2
1e3 ~ ' ' ~ 1.5e-7 ~ ' ' ~ 1e16 ~ ' ' ~ 123456789.125 ~ ' ' ~ 0.1 + 0.2 ~ ' ' ~ 1e22 ~ ' ' ~ 0.0001
1_000 + 1
true ~ True ~ false ~ False ~ none ~ None
true + true
not true or not false and true
1 and 'x' ~ '|' ~ (0 and 'x') ~ '|' ~ (0 or 'y') ~ '|' ~ ('' or none)
1 < 2 < 3, 3 > 2 >= 2 != 1, 1 < 2 > 5, 1 < 2 in [2]
1 == 1.0 ~ '' ~ (true == 1) ~ ('1' == 1) ~ (none == false) ~ ([1] == (1,)) ~ ([1, 2] == [1, 2])
'a' < 'b' ~ '' ~ ('Z' < 'a') ~ ([1, 2] < [1, 3]) ~ ('é' > 'z')
'ell' in s ~ '' ~ ('x' not in s) ~ (1 in l) ~ ('a' in d) ~ (5 in l) ~ (1 in d)
not 1 in [2]
'a' 'b' "c"
'tab\tnl\nq\'dq\"bs\\ nul\x41 \u00e9 \U0001f600 \101 \q'
"it's" ~ 'say "x"'
[1, 'two', 3.0, true, none, [1], (1,), (1, 2), {'k': 'v'}]
['it\'s', 'say "x"', 'both \' and "', 'nl\n', 'é☃', '\x07']
{'a': 1, 'b': [1, 2], 3: 'x', none: none}
{'a': 1, 'a': 2}
()
(1,)
1, 2
[1, 2,]
[1, 2] + [3], (1,) + (2,), 'ab' * 3, [0] * 2, 2 * 'x', 'x' * -1
'x' if true else 'y'
'x' if false
('x' if false else 'y') ~ ('a' if 0 else 'b' if 0 else 'c')
'a' if s is defined else 'b'
i + (f if t else 1)
l[0] ~ l[-1] ~ l[5] ~ '|' ~ s[0] ~ s[-1] ~ u[3]
l[1:] ~ l[:-1] ~ l[::-1] ~ l[::2] ~ l[5:] ~ l[-2:]
s[:5] ~ '|' ~ s[6:] ~ '|' ~ s[::-1] ~ '|' ~ s[-3:-1] ~ '|' ~ u[2:8] ~ '|' ~ s[::3] ~ '|' ~ s[10:2:-2]
(1, 2, 3)[1:] ~ range(10)[2:5] | list
l[none:2] ~ l[:none]
d.a ~ d['b'] ~ d.nope ~ d['nope'] ~ nested.x.y[2].k ~ nested['x']['y'][-1]['k']
l.0 ~ nested.x.y.1
people[0].name ~ people[-1]['age']
nope ~ '|' ~ (d.nope is defined) ~ (d.nope is undefined)
nope is undefined ~ '' ~ (nope == nope2) ~ (nope | length) ~ (nope | list) ~ ('x' in nope)
none.foo ~ '|' ~ (none.foo is defined)
items_key['items'] ~ '|' ~ items_key['keys'] ~ '|' ~ (items_key.items is callable)
s.upper() ~ s.title() ~ s.capitalize() ~ 'ABC'.lower()
"they're bill's friends".title() ~ ("they're bill's friends" | title) ~ ('a-b (c) [d] {e} <f> g.h' | title)
u.upper() ~ u.lower() ~ u.title() ~ 'straße'.upper() ~ ('ÉCOLE' | capitalize)
'[' ~ ws.strip() ~ '][' ~ ws.lstrip() ~ '][' ~ ws.rstrip() ~ ']'
'xxabcxx'.strip('x') ~ 'xyabc'.lstrip('yx') ~ 'abc...'.rstrip('.') ~ ('xxabcxx' | trim('x')) ~ '\u00a0 a\u2003'.strip()
'a,b,,c'.split(',') ~ 'a b  c '.split() ~ 'a b c'.split(' ', 1) ~ '  a  b c'.split(none, 1) ~ ''.split() ~ ''.split(',')
'a.b.c'.rsplit('.', 1) ~ ' a b  c '.rsplit(none, 1) ~ 'abc'.rsplit()
'</think>x</think>y'.split('</think>')[-1]
'one\ntwo\r\nthree\x0bfour\n'.splitlines()
s.startswith('hell') ~ '' ~ s.endswith('world') ~ s.startswith(('x', 'h')) ~ s.startswith('world', 6) ~ s.endswith(('a', 'b'))
s.replace('l', 'L') ~ s.replace('l', 'L', 2) ~ s.replace('', '-') ~ 'aaa'.replace('aa', 'b') ~ 'abc'.replace('', '.', 2)
'-'.join(['a', 'b']) ~ ', '.join('xyz') ~ ''.join([])
s.find('o') ~ ' ' ~ s.find('zz') ~ ' ' ~ s.rfind('o') ~ ' ' ~ s.find('o', 5) ~ ' ' ~ u.find('☃') ~ ' ' ~ s.count('l') ~ ' ' ~ s.index('w') ~ ' ' ~ s.find('o', -4, -1)
'abc'.isalpha() ~ '12'.isdigit() ~ 'a1'.isalnum() ~ ' '.isspace() ~ ''.isalpha() ~ 'AB'.isupper() ~ 'ab1'.islower()
'prefix-x'.removeprefix('prefix-') ~ 'x.py'.removesuffix('.py') ~ 'a=b=c'.partition('=') ~ 'a=b=c'.rpartition('=') ~ 'abc'.partition('=')
'ab'.ljust(5, '.') ~ 'ab'.rjust(5) ~ 'ab'.center(7, '*') ~ 'abc'.center(6, '*') ~ 'abc'.ljust(2)
d.items() | list
d.keys() | list ~ '' ~ d.values() | list ~ d.get('a') ~ d.get('z') ~ d.get('z', 9) ~ d.copy()
d | items | list
d | length ~ '' ~ (d.items() | length) ~ (s | length) ~ (u | length) ~ (l | count) ~ (empty | length)
d | dictsort
d | dictsort(reverse=true) ~ '' ~ (d | dictsort(true)) ~ (d | dictsort(by='value'))
d | tojson
TOOL_ARG | tojson
TOOL_ARG | tojson(indent=2)
TOOL_ARG | tojson(indent=4, sort_keys=true)
[1, 2.0, 1e20, true, none, 'é\n"\\\t\x01\x7f', {}, [], {'a': []}] | tojson
[1, {'a': 2}] | tojson(separators=(',', ':'))
'é😀' | tojson(ensure_ascii=true)
(1, 2) | tojson
{1: 'a', true: 'b', none: 'c', 2.5: 'd'} | tojson
[[], {}, [[]], [{}]] | tojson(indent=1)
[1, [2]] | tojson(indent='--')
l | join(', ') ~ '' ~ (l | join) ~ (people | join('/', attribute='name')) ~ ('abc' | join('.'))
words | sort ~ '' ~ (words | sort(case_sensitive=true)) ~ (l | sort(reverse=true)) ~ (people | sort(attribute='age,name') | map(attribute='name') | list)
words | unique | list ~ '' ~ (words | unique(case_sensitive=true) | list) ~ (people | unique(attribute='age') | map(attribute='name') | list)
words | map('upper') | list ~ '' ~ (words | map('replace', 'a', 'A') | join('|'))
people | map(attribute='name') | join(',') ~ '' ~ (people | map(attribute='zip', default='?') | list)
people | selectattr('age', 'equalto', 30) | map(attribute='name') | list
people | rejectattr('age', 'equalto', 30) | map(attribute='name') | list
people | selectattr('tags') | list | length ~ '' ~ (people | selectattr('tags', 'defined') | list | length) ~ (people | selectattr('age', '>', 26) | list | length)
people | selectattr('name', 'in', ['Ann', 'Cy']) | map(attribute='age') | list
l | select('odd') | list ~ '' ~ (l | reject('odd') | list) ~ ([0, 1, '', 'x'] | select | list) ~ (l | select('>', 1) | list)
l | first ~ '' ~ (l | last) ~ (s | first) ~ (s | last) ~ (d | first) ~ (empty | first) ~ '|' ~ (empty | first is defined)
l | reverse | list ~ '' ~ (s | reverse) ~ (l | sort | last) ~ (l | max) ~ (l | min) ~ (l | sum) ~ (people | sum(attribute='age'))
nope | default('dflt') ~ '' ~ (e | default('x')) ~ (e | default('x', true)) ~ (e | d('y', boolean=true)) ~ (nope | default) ~ (n | default('z'))
'42' | int ~ '' ~ ('x' | int) ~ ('x' | int(-1)) ~ (3.9 | int) ~ ('3.7' | int) ~ ('ff' | int(0, 16)) ~ ('0x1f' | int(base=16)) ~ (none | int) ~ (' 12 ' | int) ~ (-3.9 | int)
'4.5' | float ~ ' ' ~ ('x' | float) ~ ' ' ~ (3 | float) ~ ' ' ~ ('1e3' | float) ~ ' ' ~ ('inf' | float)
-3 | abs ~ ' ' ~ (-2.5 | abs) ~ ' ' ~ (-3) | abs
2.5 | round ~ ' ' ~ (3.5 | round) ~ ' ' ~ (2.567 | round(2)) ~ ' ' ~ (2.1 | round(0, 'ceil')) ~ ' ' ~ (2.9 | round(method='floor')) ~ ' ' ~ (42 | round) ~ ' ' ~ (2.675 | round(2))
3.7 | round | int
html | escape ~ '' ~ ('plain' | safe) ~ ('<' | e)
i | string ~ '' ~ (l | string) ~ (none | string) ~ ('x' | string)
multi | indent ~ '|' ~ (multi | indent(2, true)) ~ '|' ~ (multi | indent(2, blank=true)) ~ '|' ~ (multi | indent('> ', first=true))
multi | replace('\n', ' / ') ~ (5 | replace(5, 6))
s | upper | replace('L', '_') | lower
s | title ~ (s | capitalize) ~ (ws | trim) ~ '|'
s | list
dict(a=1, b='x') ~ '' ~ dict({'q': 1}, r=2) ~ dict()
range(3) | list ~ '' ~ range(1, 4) | list ~ range(10, 0, -3) | list ~ range(0) | list
range(3) ~ '' ~ range(1, 7, 2)
namespace(a=1).a ~ '' ~ namespace({'b': 2}).b
i is number ~ '' ~ (s is string) ~ (t is boolean) ~ (n is none) ~ (d is mapping) ~ (l is iterable) ~ (s is iterable) ~ (i is iterable) ~ (l is sequence) ~ (d is sequence) ~ (i is sequence)
t is number ~ '' ~ (t is integer) ~ (i is integer) ~ (f is float) ~ (f is integer) ~ (t is true) ~ (t is false) ~ (1 is true) ~ (i is odd) ~ (i is even) ~ (i is divisibleby 7) ~ (i is divisibleby(2))
i is eq 7 ~ '' ~ (i is equalto(7)) ~ (i is ne 8) ~ (i is gt 3) ~ (i is lt 3) ~ (i is ge 7) ~ (i is le 6) ~ (1 is in l) ~ ('x' is in s) ~ (i is not eq 7) ~ (9 is not in l)
s is lower ~ '' ~ (s is upper) ~ ('AB' is upper) ~ (l is mapping) ~ (nope is none) ~ (none is defined) ~ (range is callable) ~ ('upper' is filter) ~ ('odd' is test)
x is defined and x.y
s is defined and s is string and not s is none
1 if i is odd and s is string else 2
(l | length > 2) ~ '', l | length > 2
{'a': {'b': {}}}['a']['b']
{'a': 1}.items() | list
[[1, 2], [3]] | map('first') | list ~ '' ~ ([[3, 1], [2]] | map('sort') | list) ~ ([[1, 2], [3]] | map('join', '+') | list)
big * 2 ~ ' ' ~ big % 1000
10 / 4 ~ ' ' ~ 10 // 4.0 ~ ' ' ~ 1 / 3
-i ~ ' ' ~ +i ~ ' ' ~ - -i ~ ' ' ~ -f
'%' ~ '{' ~ '}}' ~ '%}'
'a' ~ 1 ~ none ~ [] ~ {} ~ 1.0
'x' is string is defined
not l | length == 3 or l | first == 3
i + l | length
-3 | abs, - 3 | string
'a' if i > 5 and i < 10 else 'b'
'😀a😀b☃😀'.strip('😀☃'), 'é😀'.rstrip('😀')
'\x0f\x10\x1f\x20\x7e' | tojson
(i, f) == (7, 2.5), not (i == 7), i == 7 == true
3 is odd ~ 4 is even
s | upper ~ '!' if t else 'no'
l | map('string') | join(' ') | upper
words | map('length') | sum
"\
"
l is sameas l ~ '' ~ (none is sameas none) ~ (1 is sameas true)
'ab' in ['ab'] ~ '' ~ ('a' in ['ab']) ~ ([1] in [[1]]) ~ (none in [none])
[1, 2, 3].index(2) ~ ' ' ~ [1, 1, 2].count(1)
(words | sort)[0] ~ (words | list)[1]
'abc'[1:2][0] ~ 'abc'.upper()[0] ~ 'a b'.split()[1].upper()
people[0]['na' ~ 'me']
nested.x['y'][nested.x.y | length - 1].k
""".strip("\n")

TEMPLATES = [  # (template, variables)
    # -- white space ---
    ("a\n{% if true %}\nb\n{% endif %}\nc\n", {}),
    ("a\n  {% if true %}  \n  b\n  {% endif %}\nc\n\n", {}),
    ("  {{ 1 }}\n  {{- 2 }}\n  {{ 3 -}}\n  x", {}),
    ("  {%- if true -%}  y  {%- endif -%}  z", {}),
    ("a {%+ if true %} b {%+ endif %} c", {}),
    ("    {%+ if true +%}\n b {% endif +%}\n c", {}),
    ("a\n  {# comment #}\n  b {# c #} d\n{#- x -#}\n  e", {}),
    ("x {# a\nmulti\nline #}\ny", {}),
    ("{% for i in range(3) %}\n  {{ i }}\n{% endfor %}\n", {}),
    ("{% for i in range(3) -%}\n  {{ i }}\n{%- endfor %}\n", {}),
    ("a\r\nb\rc\r\n{% if 1 %}\r\nd{% endif %}\r\n", {}),
    ("line\n\n\n", {}),
    ("{% raw %}{{ no }} {% if %}{% endraw %}!", {}),
    ("a\n  {%- raw -%}  {{ x }}  {%- endraw -%}  b", {}),
    ("  {% raw %}\n x\n  {% endraw %}\n y", {}),
    ("{{ '{{' }}{{ \"}}\" }}{{ {'a': {'b': 1}}['a']['b'] }}", {}),
    ("{ {x} } {%- set y = 1 %} % } # {", {}),
    ("{{-1}}|{{- 2 -}}|{{ 3}}", {}),
    ("\n\n  {% set x = 1 %}\n\n  {{ x }}", {}),
    ("   {% set x = 1 %}   {% set y = 2 %}\n{{ x }}{{ y }}", {}),
    ("a\u00a0{%- if 1 %}\u2003{% endif -%}\u00a0b", {}),
    ("\t{% if 1 %}x{% endif %}\t\n\t{{ 2 }}\n", {}),
    # -- statements ---
    ("{% if a %}A{% elif b %}B{% else %}C{% endif %}", {"a": 0, "b": 1}),
    ("{% if a %}A{% elif b %}B{% elif c %}C{% endif %}.", {}),
    ("{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}", {}),
    ("{% set x = 1 %}{% for i in [1] %}{{ x }}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}", {}),
    ("{% for i in [1, 2] %}{{ x is defined }}{% set x = i %}{% endfor %}", {}),
    ("{% set ns = namespace(n=0, found=false) %}{% for i in l %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}{{ ns.found }}", DATA),
    ("{% set ns = namespace() %}{% set ns.a = [1] %}{% set ns.a = ns.a + [2] %}{{ ns.a }}{{ ns.b is defined }}", {}),
    ("{% set a, b = 1, 'x' %}{{ a }}{{ b }}{% set (c, d) = [3, 4] %}{{ c + d }}", {}),
    ("{% set x %}  block {{ 1 + 1 }}\n{% endset %}[{{ x }}]", {}),
    ("{% set x | upper | trim %}  block {{ 1 + 1 }}\n{% endset %}[{{ x }}]", {}),
    ("{% set t = 1, 2 %}{{ t }}", {}),
    ("{% for k, v in d.items() %}{{ loop.index }}:{{ k }}={{ v }}{% if not loop.last %}, {% endif %}{% endfor %}", DATA),
    ("{% for k in d %}{{ k }}{% endfor %}{% for c in 'añ😀' %}[{{ c }}]{% endfor %}", DATA),
    ("{% for k, v in d | dictsort %}{{ k }}{{ v }}{% endfor %}{% for k, v in d | items %}{{ k }}{{ v }}{% endfor %}", DATA),
    ("{% for x in [] %}a{% else %}none{% endfor %}{% for x in [1] %}a{% else %}none{% endfor %}", {}),
    ("{% for x in l if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% else %}E{% endfor %}", DATA),
    ("{% for x in l if x > 9 %}{{ x }}{% else %}E{% endfor %}", DATA),
    ("{% for x in 'abc' %}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}", {}),
    ("{% for x in 'abc' %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{{ loop.depth }}{{ loop.cycle('o', 'e') }} {% endfor %}", {}),
    ("{% for a in [1, 2] %}{% for b in [3, 4] %}{{ loop.index }}{{ loop.depth }}{{ a * b }} {% endfor %}{{ loop.index }};{% endfor %}", {}),
    ("{% for a in [1, 2] %}{% set outer = loop %}{% for b in 'xy' %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}", {}),
    ("{% for (a, (b, c)) in [(1, (2, 3)), [4, 'xy']] %}{{ a }}{{ b }}{{ c }};{% endfor %}", {}),
    ("{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}", {}),
    ("{% for i in range(3) %}{% for j in range(3) %}{% if j == 1 %}{% break %}{% endif %}{{ i }}{{ j }} {% endfor %}{% endfor %}", {}),
    ("{% for x in nope %}a{% endfor %}|{{ loop is defined }}", {}),
    ("{% for x in 1, 2 %}{{ x }}{% endfor %}{% for x in (3, 4) %}{{ x }}{% endfor %}", {}),
    ("{% for m in ms[::-1] %}{{ m.role }}{{ loop.index0 }} {% endfor %}{% for m in ms | reverse %}{{ m.role[0] }}{% endfor %}", {"ms": CHAT}),
    ("{% for x in [1, 2] %}{% endfor %}{{ x is defined }}", {}),
    ("{% macro m(a, b=2, c='z') %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}{{ m(1, c='q') }}{{ m() }}", {}),
    ("{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 2) }}", {}),
    ("{% macro f(n) %}{{ n }}{% if n > 0 %},{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}", {}),
    ("{% macro m() %}{{ x }}{% endmacro %}{% set x = 7 %}{{ m() }}{% set x = 8 %}{{ m() }}", {}),
    ("{% macro m() %}{{ x }}{% set x = 1 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}", {"x": 5}),
    ("{% macro m() %} x {% endmacro %}{{ m() | trim }}|{{ m() | length }}|{{ m() is string }}", {}),
    ("{% macro a(x) -%}\n  <{{ x }}>\n{%- endmacro %}\n{% for i in [1, 2] %}{{ a(i) }}{% endfor %}", {}),
    ("{% macro wrap(t) %}<{{ t }}>{{ caller() }}</{{ t }}>{% endmacro %}{% call wrap('b') %}in{{ 1 }}{% endcall %}", {}),
    ("{% macro each(l) %}{% for x in l %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(v) each([1, 2]) %}({{ v }}){% endcall %}", {}),
    ("{% filter upper | trim %}  abc {{ 'd' }} {% endfilter %}!", {}),
    ("{% with a = 1, b = a %}{{ a }}{{ b is defined }}{% endwith %}{{ a is defined }}", {}),
    ("{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}", {}),
    ("{% generation %}{% set q = 1 %}hi {{ x }}{% endgeneration %}{{ q is defined }}", {"x": 3}),
    ("{%- for m in ms %}{%- if m.role == 'assistant' %}{%- generation %}{{ m.content }}{%- endgeneration %}\n{%- endif %}{%- endfor %}", {"ms": CHAT}),
    ("{% set f = 'a'.upper %}{{ f() }}", {}),
    ("{% set ns = namespace(f=none) %}{% macro m() %}M{% endmacro %}{% set ns.f = m %}{{ ns.f() }}", {}),
    ("{% set g = l | map('string') %}{% for x in g %}{{ x }}{% endfor %}|{% for x in g %}{{ x }}{% endfor %}", DATA),
    ("{% if l | select('>', 9) %}truthy{% endif %}{% if l | select('>', 9) | list %}no{% endif %}", DATA),
    ("{% if not people | selectattr('age', 'equalto', 99) | list %}nobody{% endif %}", DATA),
    ("{% set content = m.content %}{% if content is string %}S{% elif content is iterable and content is not mapping %}{% for p in content %}{{ p.text if p.type == 'text' else '<' ~ p.type ~ '>' }};{% endfor %}{% endif %}", {"m": PARTS}),
    ("{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] | trim + '!' %}{{ system_message }}{{ loop_messages | length }}", {"messages": CHAT}),
    ("{{ messages | selectattr('role', 'eq', 'user') | map(attribute='content') | join('\\n') }}", {"messages": CHAT}),
    ("{%- set ns = namespace(last=-1) -%}{%- for m in messages[::-1] -%}{%- set index = (messages | length - 1) - loop.index0 -%}{%- if m.role == 'user' and ns.last < 0 -%}{%- set ns.last = index -%}{%- endif -%}{%- endfor -%}{{ ns.last }}", {"messages": CHAT}),
    ("{% if messages[0]['role'] == 'system' and 'x' not in messages[0]['content'] %}ok{% endif %}", {"messages": CHAT}),
    ("{{ messages[-1].content.split('ü')[0].rstrip() }}{{ (messages[2].content.split('</think>') | last).lstrip('\\n ') }}", {"messages": CHAT}),
    ("{% if '</think>' in messages[2].content %}{% set c = messages[2].content.split('</think>')[-1].lstrip() %}{{ c }}{% endif %}", {"messages": CHAT}),
    ("{% set d2 = dict(d, z=1) %}{{ d2 }}{% for k, v in d2.items() %}{{ k }}{% endfor %}", DATA),
    ("{{ '' if not false }}{{ none }}{{ nope }}{{ true }}{{ 1.0 }}", {}),
    ("{% set x = [] %}{% for i in range(3) %}{% set x = x + [i] %}{% endfor %}{{ x }}", {}),
    ("{{ a }}{% set a = 2 %}{{ a }}", {"a": 1}),
    ("{%set x=1%}{%if x%}{{x}}{%endif%}", {}),
    ("{% if (a or b) and not (a and b) %}xor{% endif %}", {"a": 1}),
    ("{% set tools = tools if tools is not none else [] %}{{ tools }}", {"tools": None}),
    ("{% if not tools is defined %}{% set tools = none %}{% endif %}{{ tools }}{{ tools is none }}", {}),
    ("{% for tool in tools %}{{ tool | tojson }}{% if not loop.last %}\n{% endif %}{% endfor %}", {"tools": [TOOL, TOOL]}),
    ("{% for p, spec in tool.function.parameters.properties.items() %}{{ p }}: {{ spec.type }}{% if 'enum' in spec %} ({{ spec.enum | join(', ') }}){% endif %}{{ ' required' if p in tool.function.parameters.required }}\n{% endfor %}", {"tool": TOOL}),
    ("{% set x = {'a': 1} %}{{ x.a }}{{ x.get('b', {}).get('c', 'dflt') }}", {}),
    ("{{ x\n  + 1\n}}{#\n#}", {"x": 1}),
    ("{{ [1,\n 2] | join(\n'-') }}", {}),
    # -- failures ---
    ("{{ raise_exception('no ' ~ x) }}", {"x": 1}),
    ("{{ nope.x }}", {}), ("{{ nope.x.y }}", {}), ("{{ nope() }}", {}), ("{{ nope + 1 }}", {}), ("{{ 'a' + 1 }}", {}),
    ("{{ 'a' + none }}", {}), ("{{ none + 'a' }}", {}), ("{{ 'a' - 'b' }}", {}), ("{{ 1 / 0 }}", {}), ("{{ 1 % 0 }}", {}),
    ("{{ 1 // 0 }}", {}), ("{{ 1 < 'a' }}", {}), ("{{ none < 1 }}", {}), ("{{ 1 in 5 }}", {}), ("{{ 1 in 'a' }}", {}),
    ("{{ none | length }}", {}), ("{{ 5 | list }}", {}), ("{{ nope | tojson }}", {}), ("{{ range | tojson }}", {}),
    ("{% for x in 5 %}{% endfor %}", {}), ("{% for x in none %}{% endfor %}", {}), ("{% for a, b in [1] %}{% endfor %}", {}),
    ("{% for a, b in [[1]] %}{% endfor %}", {}), ("{% set a, b = [1, 2, 3] %}", {}), ("{{ [1][::0] }}", {}), ("{{ {[1]: 2} }}", {}),
    ("{% set x = 1 %}{% set x.y = 2 %}", {}), ("{{ 5() }}", {}), ("{{ 'a'.join([1]) }}", {}), ("{{ [3, 'a'] | sort }}", {}),
    ("{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", {}), ("{% macro m(a) %}{% endmacro %}{{ m(b=2) }}", {}),
    ("{{ ''.split('') }}", {}), ("{{ 'a'.index('b') }}", {}), ("{{ range(1000000) }}", {}), ("{{ l | map('upper') | length }}", DATA),
    ("{{ (l | map('string'))[0] }}", DATA), ("{{ nope | int }}", {}), ("{{ -'a' }}", {}), ("{{ d.items()[0].x }}", DATA),
    ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", {}),
    ("{{ 1 | nofilter }}", {}), ("{{ 1 is notest }}", {}), ("{% nostatement %}", {}), ("{{ ", {}), ("{% if x %}", {}), ("{% endif %}", {}),
    ("{{ 1 + }}", {}), ("{{ (1 }}", {}), ("{{ 1) }}", {}), ("{{ 'abc }}", {}), ("{# open", {}), ("{% for x %}{% endfor %}", {}),
    ("{% set true = 1 %}", {}), ("{{ a b }}", {}), ("{{ x.1y }}", {}), ("{% raw %}{{", {}), ("{{ }}", {}), ("{% %}", {}),
    ("{{ x | }}", {}), ("{{ f(a=1, 2) }}", {}), ("{{ [1, 2 }}", {}), ("{{ {'a' 1} }}", {}), ("{% else %}", {}),
    ("{% for x in y %}{% elif %}{% endfor %}", {}), ("{{ x[] }}", {}), ("{{ 1 ! 2 }}", {}), ("{% break %}", {}), ("{{ a | map('nofilter') | list }}", {"a": [1]}),
    ("{% if %}{% endif %}", {}), ("{{ x | list[0] }}", {"x": [1]}), ("{% macro m(a=1, b) %}{% endmacro %}", {}), ("{{ '\\x4' }}", {}), ("{% set x %}", {}),
    ("{% set 1 = 2 %}", {}), ("{{ x is }}", {}), ("{{ 'a' if }}", {}), ("{{ not }}", {}),
]

CHATS = {
    "chatml": """{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    "llama2": """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set sys = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set sys = false %}{% endif %}{% for m in loop_messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and sys != false %}{% set content = '<<SYS>>\\n' + sys + '\\n<</SYS>>\\n\\n' + m['content'] %}{% else %}{% set content = m['content'] %}{% endif %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif m['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}""",
    "llama3": """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{#- System message, if there is one. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if tools is not none %}
    {{- "You can call these functions:\\n\\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("Only one tool call at a time!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
        {{- "<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or (message.content is iterable and message.content is not string) %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "mistral": """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}

{#- The roles must alternate, tool messages aside. #}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, conversation roles must alternate user/assistant/user/assistant/...") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}

{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- else %}
                {{- "]" + eos_token }}
            {%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] == "tool_results" or message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {%- set content = message.content.content %}
        {%- else %}
            {%- set content = message.content %}
        {%- endif %}
        {{- '[TOOL_RESULTS] {"content": ' + content|string + ", " }}
        {{- '"call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported, with the exception of an initial optional system message!") }}
    {%- endif %}
{%- endfor %}
""",
    "gemma": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}""",
    "gemma3": """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '

' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '

' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '
' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>
' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model
'}}
{%- endif -%}
""",
    "phi3": """{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}""",
    "zephyr": """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}""",
    "deepseek": """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}{%- for message in messages %}{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<｜User｜>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is none %}{%- set ns.is_tool = false -%}{%- for tool in message['tool_calls']%}{%- if not ns.is_first %}{{'<｜Assistant｜><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>' + tool['type'] + '<｜tool▁sep｜>' + tool['function']['name'] + '\\n' + '```json' + '\\n' + tool['function']['arguments'] | tojson + '\\n' + '```' + '<｜tool▁call▁end｜>'}}{%- set ns.is_first = true -%}{%- else %}{{'\\n' + '<｜tool▁call▁begin｜>' + tool['type'] + '<｜tool▁sep｜>' + tool['function']['name']}}{%- endif %}{%- endfor %}{{'<｜tool▁calls▁end｜><｜end▁of▁sentence｜>'}}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is not none %}{%- if ns.is_tool %}{{'<｜tool▁outputs▁end｜>' + message['content'] + '<｜end▁of▁sentence｜>'}}{%- set ns.is_tool = false -%}{%- else %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}{%- endif %}{%- if message['role'] == 'tool' %}{%- set ns.is_tool = true -%}{%- if ns.is_output_first %}{{'<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>' + message['content'] + '<｜tool▁output▁end｜>'}}{%- set ns.is_output_first = false %}{%- else %}{{'\\n<｜tool▁output▁begin｜>' + message['content'] + '<｜tool▁output▁end｜>'}}{%- endif %}{%- endif %}{%- endfor -%}{% if ns.is_tool %}{{'<｜tool▁outputs▁end｜>'}}{% endif %}{% if add_generation_prompt and not ns.is_tool %}{{'<｜Assistant｜><think>\\n'}}{% endif %}""",
    "qwen3": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "# Tools\\n\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}""",
    "typescript_tools": """{%- macro render_type(spec, required_params, is_nullable=false) -%}
    {%- if spec.type == "array" -%}
        {%- if spec['items'] -%}
            {{- render_type(spec['items'], required_params) + "[]" }}
        {%- else -%}
            {{- "any[]" }}
        {%- endif -%}
    {%- elif spec.type == "object" and spec.properties is defined -%}
        {{- "{\\n" }}
        {%- for name, prop in spec.properties.items() -%}
            {{- name }}{{- "?" if name not in (spec.required or []) }}: {{ render_type(prop, spec.required or []) }}
            {%- if not loop.last %},{{- " // " + prop.description if prop.description }}
            {% endif %}
        {%- endfor %}
        {{- "\\n}" }}
    {%- elif spec.enum is defined -%}
        {{- '"' + spec.enum | join('" | "') + '"' }}
    {%- else -%}
        {{- {"integer": "number", "number": "number"}.get(spec.type, spec.type) }}
    {%- endif -%}
{%- endmacro -%}
{%- macro render_tools(tools) -%}
namespace functions {
{% for tool in tools %}
    {%- set f = tool.function -%}
// {{ f.description | replace('\\n', ' ') }}
type {{ f.name }} = (_: {{ render_type(f.parameters, f.parameters.required) }}) => any;
{% endfor %}
}
{%- endmacro -%}
{{- render_tools(tools or []) }}
{%- for message in messages %}{{ "\\n<" ~ message.role ~ ">" ~ (message.content | default('', true)) }}{% endfor -%}
""",
    "command_r": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% if system_message != false %}{{ '<|START|><|SYSTEM|>' + system_message + '<|END|>' }}{% endif %}{% for message in loop_messages %}{% set content = message['content'] %}{% if message['role'] == 'user' %}{{ '<|START|><|USER|>' + content.strip() + '<|END|>' }}{% elif message['role'] == 'assistant' %}{% generation %}{{ '<|START|><|BOT|>'  + content.strip() + '<|END|>' }}{% endgeneration %}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|START|><|BOT|>' }}{% endif %}""",
}

CONVERSATIONS = {
    "short": {"messages": [USER]},
    "chat": {"messages": CHAT},
    "no_system": {"messages": [USER, ASSISTANT, {"role": "user", "content": " again "}]},
    "two_users": {"messages": [USER, USER]},
    "tools": {"messages": [USER, CALL, RESULT], "tools": [TOOL, TOOL]},
    "parts": {"messages": [SYSTEM, PARTS]},
    "reasoning": {"messages": [USER, {"role": "assistant", "content": "<think>\nlet me\n</think>\n\nok"}, RESULT, ASSISTANT]},
}


def cases():
    for i, line in enumerate(EXPRESSIONS.replace('"\\\n"', "''").split("\n")):
        yield f"expression_{i}", "{{ " + line.replace("TOOL_ARG", "tool") + " }}", DATA | {"tool": TOOL}
    for i, (template, variables) in enumerate(TEMPLATES):
        yield f"template_{i}", template, variables
    for model, template in CHATS.items():
        for name, conversation in CONVERSATIONS.items():
            for generate in (True, False):
                variables = {"tools": None} | conversation | {
                    "add_generation_prompt": generate, "bos_token": "<s>", "eos_token": "</s>"}
                yield f"chat_{model}_{name}_{generate}".lower(), template, variables


def mentioned(template, variables):
    """The variables whose name the template holds."""
    words = set(re.findall(r"\w+", template))
    return {name: v for name, v in variables.items() if name in words}


def outcome(template, variables):
    """The text, or the stage that failed."""
    try:
        parsed = environment().from_string(template)
    except (TemplateSyntaxError, SyntaxError):
        return {"fails": "parse"}
    try:
        return {"expected": parsed.render(**variables)}
    except Exception:  # whatever Python raises, the rendering failed
        return {"fails": "render"}


def main():
    rows = [{"id": name, "template": template, "variables": mentioned(template, variables),
             **outcome(template, mentioned(template, variables))} for name, template, variables in cases()]
    pathlib.Path(sys.argv[1]).write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(len(rows), "cases,", sum("fails" in row for row in rows), "of them fail")


if __name__ == "__main__":
    main()
