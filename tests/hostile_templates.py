"""Chat templates that mean harm or are broken: each has to end in one sentence.

Names are what is wrong with them. Those of SLOW end only because they are ended.
"""

from __future__ import annotations

_CHAT = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
_RANGE = "{% for a in range(99999) %}"
_MACRO = "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}"

SLOW = {
    "nested ranges": f"{_RANGE * 3}{{% endfor %}}{{% endfor %}}{{% endfor %}}",
    "nested ranges in a set block": "{% set x %}"
    + f"{_RANGE * 2}{{% endfor %}}{{% endfor %}}{{% endset %}}",
    "a loop in a filter": "{{ range(99999) | map('string') | list | join | length }}" * 500
    + f"{_RANGE * 2}{{% endfor %}}{{% endfor %}}",
    "powers": "{{ (10 ** (10 ** 8)) % 7 }}",
    "powers of powers": "{% set ns = namespace(x=3) %}{% for i in range(40) %}"
    "{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "a number as text": "{% set ns = namespace(x=7) %}{% for i in range(60000) %}"
    "{% set ns.x = ns.x * 1000003 %}{% endfor %}"
    "{% for i in range(9999) %}{{ ns.x % 7 }}{% endfor %}",
    "a tree of calls": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}"
    "{% endmacro %}{{ f(60) }}",
    "a recursive loop": "{% for a in [[1, 1, 1]] recursive %}{% for b in range(30) %}"
    "{{ loop.parent }}{% endfor %}{% endfor %}" + f"{_RANGE * 2}{{% endfor %}}{{% endfor %}}",
    "sorting": f"{_RANGE}{{% set x = range(99999) | list | sort(reverse=true) %}}{{% endfor %}}",
}

REFUSED = {
    # -- memory and size
    "multiplied text": "{% set x = 'a' * 10**10 %}{{ x | length }}",
    "multiplied output": "{{ 'a' * 10**9 }}",
    "doubled text": "{% set ns = namespace(x='a') %}{% for i in range(60) %}"
    "{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x | length }}",
    "doubled list": "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}"
    "{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x | length }}",
    "multiplied list": "{{ ([1] * 10**10) | length }}",
    "endless output": f"{_RANGE}aaaaaaaaaaaaaaaaaaaaaaaa{{% endfor %}}",
    "output of a macro": "{% macro f() %}"
    + f"{_RANGE}aaaaaaaaaaaaaaaa{{% endfor %}}{{% endmacro %}}{{{{ f() }}}}",
    "joined": "{{ range(99999) | join('-' * 5000) }}",
    "padded by a format": "{{ '%2000000000d' | format(1) }}",
    "padded by the other format": "{{ '{:2000000000}'.format(1) }}",
    "centred": "{{ 'a'.center(10**10) }}",
    "indented": "{{ ('a\\n' * 9999) | indent(10**6) }}",
    "replaced": "{{ ('a' * 99999).replace('a', 'b' * 99999) }}",
    "a power": "{{ (2 ** (10 ** 11)) % 7 }}",
    "lorem ipsum": "{{ lipsum(n=100000) }}",
    "a long source": _CHAT + " " * 500_001,
    # -- depth
    "a macro that calls itself": _MACRO,
    "two macros that call each other": "{% macro f() %}{{ g() }}{% endmacro %}"
    "{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
    "nested parentheses": "{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}",
    "nested lists": "{{ " + "[" * 5_000 + "]" * 5_000 + " }}",
    "nested conditions": "{% if 1 %}" * 3_000 + "x" + "{% endif %}" * 3_000,
    "nested loops": "{% for a in [1] %}" * 60 + "x" + "{% endfor %}" * 60,
    "a long sum": "{{ " + "+".join(["1"] * 20_000) + " }}",
    "many nots": "{{ " + "not " * 20_000 + "1 }}",
    "a long chain of filters": "{{ 'a'" + " | upper" * 20_000 + " }}",
    # -- the sandbox
    "classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals of a function": "{{ raise_exception.__globals__['os'].system('id') }}",
    "builtins": "{{ namespace.__init__.__globals__.__builtins__.open('/etc/passwd').read() }}",
    "an attribute by a filter": "{{ (messages | attr('__class__')).__mro__[1] }}",
    "an attribute by a format": "{{ '{0.__class__.__mro__[9]}'.format(messages) }}",
    "an attribute by map": "{{ (messages | map(attribute='__class__') | list)[0].__base__ }}",
    "a method's function": "{{ messages[0]['content'].strip.__func__.__globals__ }}",
    "a generator's frame": "{{ (messages | map('upper')).gi_frame.f_globals['x'] }}",
    "the environment": "{{ self._TemplateReference__context.environment.x() }}",
    "a change of the chat": "{{ messages.append({'role': 'system', 'content': 'x'}) }}",
    "a change of a message": "{{ messages[0].update({'content': 'x'}) }}",
    # -- files
    "an include": "{% include '/etc/passwd' %}",
    "an import": "{% import 'os' as os %}{{ os.system('id') }}",
    "a parent": "{% extends 'base.html' %}",
    # -- what is no template
    "an open block": "{% for m in messages %}{{ m['content'] }}",
    "an open expression": "{{ messages[0]",
    "an open text": "{{ 'abc }}",
    "an open comment": "{# abc",
    "an unknown block": "{% frobnicate %}",
    "an unknown filter": "{{ messages | frobnicate }}",
    "an unknown test": "{{ messages is frobnicate }}",
    "a stray end": "{% endfor %}",
    "an open generation": "{% generation %}" + _CHAT,
    "a break outside of a loop": "{% break %}",
    "Python that is none": "{{ messages[0] if }}",
    "an assignment to a keyword": "{% set None = 1 %}",
    "the same argument twice": "{% macro f(a, a) %}{% endmacro %}{{ f(1, 2) }}",
    "a duplicated block": "{% block a %}{% endblock %}{% block a %}{% endblock %}",
    # -- errors of all kinds
    "a division by zero": "{{ 1 // 0 }}",
    "an undefined name": "{{ nothing.at.all }}",
    "a call of a text": "{{ 'a'() }}",
    "a sum of text and number": "{{ 'a' + 1 }}",
    "an overflow": "{{ 10.0 ** 1000 }}",
    "a wrong number": "{{ '%d' | format('x') }}",
    "a long complaint": "{{ raise_exception('\\u202e\\x1b[31m\\x00no\\n' * 9999) }}",
    "a complaint that is no text": "{{ raise_exception([messages, 1]) }}",
    "a long undefined name": "{{ messages[0]['" + "x" * 99_999 + "'].y }}",
    "a surrogate complaint": "{{ raise_exception('\\ud800\\udfff') }}",
    "a wrong date": "{{ strftime_now(5) }}",
    # -- what can't be followed
    "the whole list": "{{ messages }}",
    "a random answer": "{{ range(99999) | random }}" * 8 + _CHAT,
    "a look at the string": _CHAT
    + "{{ messages[0].content is sameas messages[0].content.strip() }}",
    # -- no chat
    "nothing": "{{ '' }}",
    "a null byte": "\0",
    "spaces": " \n\t",
    "other text": "Hello.",
}
"""Refused, each for what its name says."""

ODD = {
    "control characters": "\x1b]0;title\x07\x1b[2J" + _CHAT,
    "reordered text": "\u202e{{ messages[0]['content'] }}\u2066",
    "a null byte in front": "\0" + _CHAT,
    "lone surrogates": "{{ '\\ud800' }}" + _CHAT,
    "carriage returns": "\r\n" + _CHAT + "\r\n",
}
"""Rendered, for a context may hold such text; what is shown of it is another matter."""
