//! A thread's idle connections. They have no task and no lock each: whoever takes one looks whether it is
//! still good, and one sweep a second closes those that nobody takes.

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use pingora::protocols::Stream;
use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::task::unconstrained;

/// Over all endpoints; fewer than the concurrency would mean connecting for every call.
const IDLE_MAX: usize = 1024;

const SWEEP: Duration = Duration::from_secs(1);

thread_local! {
    // Data threads do not steal work from each other, so each keeps its connections to itself.
    static IDLE: RefCell<Idle> = RefCell::default();
}

#[derive(Default)]
struct Idle {
    /// By endpoint, those that were used last at the end.
    connections: HashMap<u64, Vec<Kept>>,
    count: usize,
    is_swept: bool,
}

struct Kept {
    stream: Stream,
    until: Instant,
}

/// A connection on which nothing has happened since it was kept.
pub(super) fn take(endpoint: u64, is_tls: bool) -> Option<Stream> {
    IDLE.with_borrow_mut(|idle| {
        let now = Instant::now();
        let kept = idle.connections.get_mut(&endpoint)?;
        loop {
            let mut last = kept.pop()?;
            idle.count -= 1;
            if last.until > now && is_quiet(&mut last.stream, is_tls) {
                return Some(last.stream);
            }
        }
    })
}

/// Keeps a connection for so long.
pub(super) fn keep(endpoint: u64, stream: Stream, idle_max: Duration) {
    let begin = IDLE.with_borrow_mut(|idle| {
        if idle.count >= IDLE_MAX {
            return false;
        }
        idle.count += 1;
        idle.connections.entry(endpoint).or_default().push(Kept { stream, until: Instant::now() + idle_max });
        !std::mem::replace(&mut idle.is_swept, true)
    });
    if begin {
        tokio::spawn(sweep());
    }
}

async fn sweep() {
    loop {
        tokio::time::sleep(SWEEP).await;
        let is_empty = IDLE.with_borrow_mut(|idle| {
            let now = Instant::now();
            idle.connections.retain(|_, kept| {
                kept.retain(|kept| kept.until > now);
                !kept.is_empty()
            });
            idle.count = idle.connections.values().map(Vec::len).sum();
            idle.is_swept = idle.count > 0;
            idle.count == 0
        });
        if is_empty {
            return;
        }
    }
}

/// Neither closed nor with bytes that nobody asked for. The system is asked: what the reactor knows may be
/// older than the end of the connection.
fn is_quiet(stream: &mut Stream, is_tls: bool) -> bool {
    if is_tls {
        // There what belongs to TLS itself is no news.
        let mut byte = [0; 1];
        let mut context = Context::from_waker(Waker::noop());
        return pin!(unconstrained(stream.read(&mut byte))).poll(&mut context).is_pending();
    }
    let peeked = recv(stream.id(), &mut [0; 1], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT);
    matches!(peeked, Err(Errno::EAGAIN))
}
