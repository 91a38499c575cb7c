//! Limits: the sizes, counts and waits of the gateway as a whole, each with its default and its range.

use super::quantity::{DAY, GIB, KIB, MIB, MILLISECOND, Spelled, SpelledSize};
use super::section::Section;
use super::{Discovery, Drain, Limits, Session};
use std::time::Duration;

const LIMITS: &[&str] = &[
    "head_bytes",
    "head_fields",
    "body_bytes",
    "buffered_bytes_total",
    "response_bytes",
    "event_bytes",
    "stream_bytes",
    "socket_bytes",
    "head_timeout",
    "body_timeout",
    "idle_timeout",
    "write_timeout",
    "page",
    "heartbeat",
];

pub(super) fn limits(root: &Section<'_>) -> Limits {
    let section = root.child("limits", LIMITS);
    let wait = |key, seconds| section.or(key, Duration::from_secs(seconds), |place| place.duration(MILLISECOND..=DAY));
    let limits = Limits {
        head_bytes: section.or("head_bytes", 32 * KIB, |place| place.size(KIB..=MIB)),
        head_fields: section.or("head_fields", 100, |place| place.count(10..=1000)),
        body_bytes: section.or("body_bytes", 4 * MIB, |place| place.size(KIB..=GIB)),
        buffered_bytes_total: section.or("buffered_bytes_total", 256 * MIB, |place| place.size(MIB..=1024 * GIB)),
        response_bytes: section.or("response_bytes", 16 * MIB, |place| place.size(KIB..=GIB)),
        event_bytes: section.or("event_bytes", MIB, |place| place.size(KIB..=GIB)),
        stream_bytes: section.or("stream_bytes", 256 * KIB, |place| place.size(KIB..=GIB)),
        socket_bytes: section.or("socket_bytes", 128 * KIB, |place| place.size(4 * KIB..=GIB)),
        head_timeout: wait("head_timeout", 10),
        body_timeout: wait("body_timeout", 30),
        idle_timeout: wait("idle_timeout", 60),
        write_timeout: wait("write_timeout", 30),
        page: section.or("page", 1000, |place| place.count(1..=100_000)),
        heartbeat: wait("heartbeat", 15),
    };
    if limits.body_bytes > limits.buffered_bytes_total {
        let key = if section.find("body_bytes").is_some() { "body_bytes" } else { "buffered_bytes_total" };
        section.refuse_at(
            key,
            format_args!(
                "one body (`body_bytes`, {}) may be larger than all together (`buffered_bytes_total`, {}); raise the latter",
                SpelledSize(limits.body_bytes),
                SpelledSize(limits.buffered_bytes_total)
            ),
        );
    }
    limits
}

pub(super) fn discovery(root: &Section<'_>) -> Discovery {
    let section = root.child("discovery", &["interval", "timeout", "start_wait"]);
    Discovery {
        interval: section.or("interval", Duration::from_secs(15), |place| place.duration(MILLISECOND..=DAY)),
        timeout: section.or("timeout", Duration::from_secs(5), |place| place.duration(MILLISECOND..=DAY)),
        start_wait: section.or("start_wait", 250 * MILLISECOND, |place| place.duration(Duration::ZERO..=DAY)),
    }
}

pub(super) fn session(root: &Section<'_>) -> Session {
    let section = root.child("session", &["max_age", "idle", "count"]);
    Session {
        max_age: section.or("max_age", DAY, |place| place.duration(MILLISECOND..=30 * DAY)),
        idle: section.or("idle", Duration::from_secs(60 * 60), |place| place.duration(MILLISECOND..=30 * DAY)),
        count: section.or("count", 100_000, |place| place.count(1..=10_000_000)),
    }
}

pub(super) fn drain(root: &Section<'_>) -> Drain {
    let section = root.child("drain", &["accept", "exit"]);
    let drain = Drain {
        accept: section.or("accept", Duration::from_secs(5), |place| place.duration(Duration::ZERO..=DAY)),
        exit: section.or("exit", Duration::from_secs(25), |place| place.duration(Duration::ZERO..=DAY)),
    };
    if drain.accept > drain.exit {
        let key = if section.find("exit").is_some() { "exit" } else { "accept" };
        let (accept, exit) = (Spelled(drain.accept), Spelled(drain.exit));
        section.refuse_at(key, format_args!("`accept` ({accept}) is longer than `exit` ({exit}); raise `exit`"));
    }
    drain
}
