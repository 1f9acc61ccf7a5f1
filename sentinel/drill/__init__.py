"""Drill: trouble made on purpose, against a server that may be hurt.

`background` is the ordinary life of a shop's Redis, `leak` is what goes wrong in it, `receiver` is who hears of it,
`daemon` is Sentinel itself as a child process, `clients` how all connect, `terminal` how it is told; `demo` is the
story that uses them all.

`scenarios` are the troubles that `sentinel drill` makes, `victim` the server that they are made on, `proxy` the
network before it, `watching` what a Sentinel says, `exercise` the judgement, `stage` all of it on a server of our own.

Nothing here is part of a daemon that watches, and nothing here may be pointed at a server
that others use.
"""
