"""Threads that hand items on: in order, never too many, and never left waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from videoinr_cli.render.channel import Channel

PATIENCE_SECONDS = 10.0


def in_thread(target: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def wait_for(thread: threading.Thread) -> None:
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive(), "a thread was left waiting"


@pytest.mark.parametrize("capacity", [1, 3])
def test_items_arrive_in_order_and_few_are_under_way(capacity: int) -> None:
    channel: Channel[int] = Channel(capacity)
    sent = 0

    def produce() -> None:
        nonlocal sent
        for sent in range(1, 101):
            channel.put(sent)
        channel.finish()

    producer = in_thread(produce)
    received = []
    for item in channel:
        if item % 20 == 0:
            time.sleep(0.01)  # let the producer run as far ahead as it can
        # One more may be on its way into `put`, and one is in our hands.
        assert sent <= item + capacity + 1
        received.append(item)
    wait_for(producer)
    assert received == list(range(1, 101))


def test_a_failed_producer_ends_its_consumer_at_once() -> None:
    channel: Channel[int] = Channel(3)
    channel.put(1)
    channel.fail(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        next(iter(channel))


def test_a_failed_consumer_ends_a_waiting_producer() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(1)
    seen: list[BaseException] = []

    def produce() -> None:
        try:
            channel.put(2)
        except ValueError as error:
            seen.append(error)

    producer = in_thread(produce)
    time.sleep(0.05)
    assert producer.is_alive(), "the channel is full"
    error = ValueError("broken")
    channel.fail(error)
    wait_for(producer)
    assert seen == [error]


def test_a_waiting_consumer_is_ended() -> None:
    channel: Channel[int] = Channel(1)
    seen: list[BaseException] = []

    def consume() -> None:
        try:
            list(channel)
        except KeyboardInterrupt as error:
            seen.append(error)

    consumer = in_thread(consume)
    channel.fail(KeyboardInterrupt())
    wait_for(consumer)
    assert len(seen) == 1


def test_the_first_error_counts() -> None:
    channel: Channel[int] = Channel(1)
    channel.check()
    channel.fail(ValueError("first"))
    channel.fail(ValueError("second"))
    with pytest.raises(ValueError, match="first"):
        channel.check()


def test_what_was_put_before_finishing_is_delivered() -> None:
    channel: Channel[int] = Channel(2)
    channel.put(1)
    channel.put(2)
    channel.finish()
    assert list(channel) == [1, 2]


def test_nothing_delivered_is_held_on_to() -> None:
    """A frame is large: the channel and its iterator let go of one before they wait for the next."""
    alive = 0

    class Item:
        def __init__(self) -> None:
            nonlocal alive
            alive += 1

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    channel: Channel[Item] = Channel(1)

    def deliver(items: Iterator[Item]) -> None:
        next(items)

    items = iter(channel)
    channel.put(Item())
    deliver(items)
    consumer = in_thread(lambda: next(items, None))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while alive and time.monotonic() < deadline:
        time.sleep(0.01)
    assert alive == 0
    channel.finish()
    wait_for(consumer)
