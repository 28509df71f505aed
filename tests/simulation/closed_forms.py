"""Exact latencies of queues, times in units of the caller (rates per the same unit)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammainc, gammaincc, gammaln


def quantile(tail: Callable[[float], float], share: float, mean: float) -> float:
    """Return t with P(T > t) = 1 - share."""
    high = mean
    while tail(high) > 1 - share:
        high *= 2
    return float(brentq(lambda t: tail(t) - (1 - share), 0.0, high, xtol=1e-12 * mean))


def mm1(load: float, rate: float) -> tuple[float, float]:
    """Mean and 95th percentile of the time in an M/M/1 queue: exponential with rate - load."""
    return 1 / (rate - load), -math.log(0.05) / (rate - load)


def erlang_c(servers: int, offered: float) -> float:
    """Return the probability that an arrival at M/M/c waits (Erlang's delay formula)."""
    terms = np.exp(np.arange(servers) * math.log(offered) - gammaln(np.arange(servers) + 1))
    last = math.exp(servers * math.log(offered) - gammaln(servers + 1)) * servers / (servers - offered)
    return float(last / (terms.sum() + last))


def mmc(load: float, rate: float, servers: int) -> tuple[float, float]:
    """Mean and 95th percentile for M/M/c: an atom at zero plus an exponential wait, then service."""
    delayed, drain = erlang_c(servers, load / rate), servers * rate - load

    def tail(t: float) -> float:
        both = (drain * math.exp(-rate * t) - rate * math.exp(-drain * t)) / (drain - rate)
        return (1 - delayed) * math.exp(-rate * t) + delayed * both

    mean = 1 / rate + delayed / drain
    return mean, quantile(tail, 0.95, mean)


def md1(load: float, service: float) -> tuple[float, float]:
    """Mean and 95th percentile for M/D/1 (Erlang's series for the distribution of the wait)."""
    rho = load * service

    def wait_tail(t: float) -> float:
        terms = 0.0
        for j in range(math.floor(t / service) + 1):
            x = load * (j * service - t)
            terms += x**j / math.factorial(j) * math.exp(-x)
        return 1 - (1 - rho) * terms

    mean = service + rho * service / (2 * (1 - rho))
    return mean, service + quantile(wait_tail, 0.95, mean)


def mg1_mean(load: float, service_mean: float, service_second_moment: float) -> float:
    """Mean time in M/G/1 (Pollaczek and Khinchine)."""
    return service_mean + load * service_second_moment / (2 * (1 - load * service_mean))


def tandem(load: float, rates: tuple[float, float]) -> tuple[float, float]:
    """Mean and 95th percentile for two M/M/1 in series: independent exponentials (Burke, Reich)."""
    a, b = rates[0] - load, rates[1] - load
    return 1 / a + 1 / b, quantile(
        lambda t: (b * math.exp(-a * t) - a * math.exp(-b * t)) / (b - a), 0.95, 1 / a + 1 / b
    )


def fork_join_two_queues_mean(load: float, rate: float) -> float:
    """Mean time until both halves have passed two separate M/M/1 queues (Nelson and Tantawi 1988)."""
    return (12 - load / rate) / 8 / (rate - load)


def fork_join_shared_queue(load: float, rate: float) -> tuple[float, float]:
    """Mean and 95th percentile of the time until both pieces are done by two servers that share one FIFO
    queue.

    The number n of pieces found follows from the cuts: load (p[n] + p[n-1]) = min(n + 1, 2) rate p[n+1].
    The later piece starts after n departures at 2 rate. Then it runs beside the earlier piece (always when
    n = 0, else with probability 1/2) or beside an older one: until both are done pass Erlang(k, 2 rate) +
    Exp(rate), k = n + 1 or n.
    """
    p = [1.0, load / rate]
    while p[-1] > 1e-18:
        p.append(load * (p[-1] + p[-2]) / (2 * rate))
    found = np.array(p) / sum(p)
    weights = np.zeros(found.size + 1)
    weights[1:] += found / 2
    weights[:-1] += found / 2
    weights[1] += weights[0]
    k = np.arange(1, weights.size)
    weights = weights[1:]

    def tail(t: float) -> float:
        last = np.exp(k * math.log(2) - rate * t) * gammainc(k, rate * t)
        return float(weights @ (gammaincc(k, 2 * rate * t) + last))

    mean = float(weights @ k) / (2 * rate) + 1 / rate
    return mean, quantile(tail, 0.95, mean)


def bulk_service_mean(load: float, rate: float, largest_batch: int) -> float:
    """Mean time in a queue whose server takes up to ``largest_batch`` waiting queries at once, one at
    least.

    With q waiting behind a busy server, P(q) = P(0) r^q, where rate r^(b+1) - (load + rate) r + load = 0;
    an idle server has rate / load P(0) (Gross and Harris, partial-batch M/M[K]/1).
    """
    b = largest_batch
    r = brentq(lambda x: rate * x ** (b + 1) - (load + rate) * x + load, 0.0, 1 - 1e-9)
    empty = 1 / (rate / load + 1 / (1 - r))
    waiting = empty * r / (1 - r) ** 2
    return 1 / rate + waiting / load


def largest_of(servers: int, rate: float) -> tuple[float, float]:
    """Mean and 95th percentile of the largest of independent exponentials."""
    mean = sum(1 / k for k in range(1, servers + 1)) / rate
    return mean, -math.log(1 - 0.95 ** (1 / servers)) / rate
