"""Pieces of work that threads share with the caller."""

from threading import Barrier, get_ident
from time import sleep

import pytest

from sqhw.sim.threads import share

SECONDS = 20


def test_each_piece_is_taken_once():
    taken = []
    share(range(100), 3, taken.extend)
    assert sorted(taken) == list(range(100))


def test_one_thread_is_the_callers():
    threads = set()
    share(range(5), 1, lambda pieces: [threads.add(get_ident()) for _ in pieces])
    assert threads == {get_ident()}


@pytest.mark.parametrize("callers", [True, False])
def test_a_piece_that_fails_on_any_thread_is_the_callers_error(callers):
    both = Barrier(2)

    def work(pieces):
        for piece in pieces:
            if piece < 2:
                both.wait(SECONDS)  # one piece for each thread
            if (get_ident() == caller) == callers:
                raise ValueError("this piece")

    caller = get_ident()
    with pytest.raises(ValueError, match="this piece"):
        share(range(10), 2, work)


def test_pieces_are_left_out_after_a_failure():
    both, begun, caller = Barrier(2), [], get_ident()

    def work(pieces):
        for piece in pieces:
            begun.append(piece)
            if piece < 2:
                both.wait(SECONDS)
            if get_ident() == caller:
                raise ValueError("this piece")
            sleep(0.01)  # the caller has failed long before the last piece

    with pytest.raises(ValueError, match="this piece"):
        share(range(200), 2, work)
    assert len(begun) < 100
