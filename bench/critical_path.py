"""The least time that a rehearsed run could have taken, read from its events alone.

Every step is cut at its waits into pieces of work. A piece can begin when the piece before it in its lane is
done and, after a wait for another step, when that step is done. Pieces inside a *span* (a board's USB bus, say)
also exclude each other; in which order is the engine's choice, so waits for a span bind nothing here. Instead,
any set of pieces of one span needs at least: the earliest that one of them can begin, all their lengths, and
the least that comes after one of them. The bound is the greatest such sum, or the longest chain if that is greater.
"""

import collections
import json


class Pieces:
    """Pieces of work in the order in which they began, with what each has to wait for."""

    def __init__(self):
        self.ms = []
        self.after = []

    def add(self, ms, after):
        self.ms.append(ms)
        self.after.append([piece for piece in after if piece is not None])
        return len(self.ms) - 1



def span_of(event):
    """What a span event is about, as a key."""
    return json.dumps(event["span"], sort_keys=True)


def lower_bound(events):
    """(the bound, the longest chain alone), in milliseconds, of the first pass in `events` that acts."""
    pieces, spans = cut(applied(events))
    head, tail = heads(pieces), tails(pieces)
    longest = max((start + ms for start, ms in zip(head, pieces.ms)), default=0)
    bound = longest
    for members in spans.values():
        # A member is (first piece, last piece, length): what precedes the first, what follows the last.
        jobs = [(head[first], ms, tail[last]) for first, last, ms in members]
        for earliest in {job[0] for job in jobs}:
            for least in {job[2] for job in jobs}:
                among = [job[1] for job in jobs if job[0] >= earliest and job[2] >= least]
                if among:
                    bound = max(bound, earliest + sum(among) + least)
    return bound, longest


def applied(events):
    """The events of the first pass that acts."""
    inside = False
    for event in events:
        if event.get("event") == "run_started":
            if inside:
                return
            inside = event.get("pass") == "apply"
        if inside:
            yield event
            if event.get("event") == "run_ended":
                return


def cut(events):
    """The pieces, and for each span the stretches that held it: (first piece, last piece, work done)."""
    events = list(events)
    spans_of = collections.defaultdict(set)
    for event in events:
        if event["event"] == "span_taken":
            spans_of[event["step"]].add(span_of(event))

    pieces, spans = Pieces(), collections.defaultdict(list)
    # Of a step: its lane, when its piece began, what that piece waited for, its last piece once it has ended.
    lane_of, since, waited_for, ended, needs = {}, {}, {}, {}, {}
    last_of_lane, held = {}, {}

    def close(step, at):
        """Ends the piece that a step is in at `at`, and begins the next."""
        lane = lane_of[step]
        # What it needs has ended before it begins to work, whether or not it had to wait for it.
        needed = [ended.get(label, last_of_lane.get(label)) for label in needs[step]]
        piece = pieces.add(
            max(0, at - since[step]), [last_of_lane.get(lane), ended.get(waited_for.pop(step, None)), *needed]
        )
        last_of_lane[lane], since[step] = piece, at
        for (holder, _), stretch in held.items():
            if holder == step:
                stretch.append(piece)
        return piece

    for event in events:
        kind, at, step = event["event"], event["at"], event.get("step")
        if kind == "step_started":
            lane_of[step], since[step], needs[step] = event["lane"], at, event.get("needs", ())
        elif step not in lane_of:
            continue
        elif kind == "waited" and "freed_by" in event:
            # Up to the wait it worked; the wait is nobody's work.
            close(step, at - event["ms"])
            since[step] = at
            # Two that want one span wait in an order that was chosen.
            if not spans_of[step] & spans_of[event["freed_by"]]:
                waited_for[step] = event["freed_by"]
        elif kind == "span_taken":
            close(step, at)
            held[step, span_of(event)] = []
        elif kind == "span_released" and (step, span_of(event)) in held:
            close(step, at)
            stretch = held.pop((step, span_of(event)))
            spans[span_of(event)].append((stretch[0], stretch[-1], sum(pieces.ms[piece] for piece in stretch)))
        elif kind == "step_ended":
            ended[step] = close(step, at)
    return pieces, spans


def heads(pieces):
    """The earliest that each piece can begin."""
    head = []
    for after in pieces.after:
        head.append(max((head[piece] + pieces.ms[piece] for piece in after), default=0))
    return head


def tails(pieces):
    """The least that comes after each piece."""
    tail = [0] * len(pieces.ms)
    for piece in reversed(range(len(pieces.ms))):
        for before in pieces.after[piece]:
            tail[before] = max(tail[before], tail[piece] + pieces.ms[piece])
    return tail
