"""Replay: telling the pipeline again what it was told, and what to make of the answers.

    tape · Prometheus · CSV ─▶ entries ─▶ the same Pipeline ─▶ notifications ─▶ told incidents ─▶ judged ─▶ pages

There is one pipeline and one loop; nothing of what a live daemon decides is written down here a second time.

    loop.py         tells a pipeline a tape, and notes what was seen on the way
    judge.py        incidents as they would have been told: leads, pages a week, false ones by labels
    jobs.py         one tape on several cores
    sources/        other histories as tapes: Prometheus, CSV
    words.py · page.py   the same for people: text, and one HTML file
    record.py       makes a tape without a daemon

`loop`, `judge`, `words` and `page` are pure. Must not know receivers: whoever would have been told, nobody is.
"""
