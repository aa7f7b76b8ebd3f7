"""Chat templates: Jinja programs from files of strangers, rendered in a process of their own.

`renderer` is the user's end of the line; `worker` the other one, the only place where a template
runs. What comes back says whose each stretch of the text is.
"""
