"""The audit: one look at a server that says how far it is from trouble, and what nobody would notice until then.

    look.py      asks: INFO, a handful of CONFIG GETs, CLIENT LIST once, and where the job systems' registries lie
    clients.py   rows of CLIENT LIST to groups and to the cohort that was never used again
    checks.py    facts to remarks, each ok, attention or danger, with what to do
    words.py     remarks for a terminal, Markdown or JSON
    start.py     a configuration to begin with

Reads only, and little: no key is read but the registries of job systems, and CLIENT LIST, the one command that costs
anything (4 to 18 ms at 5,000 clients), is asked once. Must not know the daemon, and keeps nothing.
"""
