"""Weeks of one Redis server in virtual time: a shop with its traffic, what goes wrong in it, and the score.

`traffic` says how busy the shop is, `clients` how connection pools answer, `world` what the server shows and
what a poll of it holds, `scenarios` which weeks are played and what truly happened, `score` what a judge of
those polls got right, `populations` what CLIENT LIST would say. `python -m tests.bench.simulation` prints the
tables. Nothing here knows how the judge works: it is told polls, and its notifications are read.
"""
