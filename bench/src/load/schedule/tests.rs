use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::{Alarm, Schedule};
use crate::clock;
use crate::load::calls;
use crate::load::client::Client;
use crate::load::request::{Progress, Shape, Template};
use crate::load::window::Window;
use crate::wire::Wire;

const MS: u64 = 1_000_000;

fn schedule(per_second: f64, warm_up_ms: u64, measured_ms: u64) -> Schedule {
    let ms = Duration::from_millis;
    Schedule::new(clock::now_ns(), per_second, ms(warm_up_ms), ms(measured_ms))
}

#[test]
fn requests_are_due_at_a_fixed_rate_and_the_warm_up_does_not_count() {
    let schedule = Schedule::new(7, 1000.0, Duration::from_millis(2), Duration::from_millis(3));
    let taken: Vec<_> = std::iter::from_fn(|| schedule.take()).map(|due| (due.ns - 7, due.counts)).collect();
    assert_eq!(taken, [(0, false), (MS, false), (2 * MS, true), (3 * MS, true), (4 * MS, true)]);
}

#[test]
fn a_delay_counts_from_when_the_request_was_due() {
    let schedule = Schedule::new(0, 1000.0, Duration::ZERO, Duration::from_millis(3));
    // All three are answered at 10 ms, as if the first had blocked the only connection.
    let delays: Vec<_> = std::iter::from_fn(|| schedule.take()).map(|due| due.delay_ns(10 * MS) / MS).collect();
    assert_eq!(delays, [10, 9, 8]);
}

#[tokio::test]
async fn the_alarm_is_neither_early_nor_a_timer_tick_late() {
    let mut alarm = Alarm::new().expect("Linux has timerfd");
    let mut late_ns = Vec::new();
    for _ in 0..20 {
        let due_ns = clock::now_ns() + MS / 2;
        alarm.at(due_ns).await.expect("it can be set");
        late_ns.push(clock::now_ns().checked_sub(due_ns).expect("not before it is due"));
    }
    late_ns.sort_unstable();
    assert!(late_ns[5] < MS / 2, "the better ones are exact: {late_ns:?}");
}

/// Answers each request at once, but the tenth after `stall`.
async fn stalling_server(stall: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
    let url = format!("http://{}/file", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client comes");
        let mut wire = Wire::new(stream).expect("the socket is new");
        let mut count = 0;
        while let Ok(Some(_)) = wire.request().await {
            count += 1;
            if count == 10 {
                // No waiting for something: the stall is what is measured.
                tokio::time::sleep(stall).await;
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            if wire.send(answer).await.is_err() {
                break;
            }
        }
    });
    url
}

fn client(url: &str) -> Client {
    let template = Template {
        target: url.parse().expect("a URL"),
        key: None,
        tool: String::new(),
        shape: Shape::File,
        progress: Progress::Untold,
        text: String::new(),
        answer_bytes: Some(0),
    };
    Client::new(Arc::new(template), 0)
}

#[tokio::test]
async fn a_stall_is_felt_by_all_that_was_due_meanwhile() {
    let url = stalling_server(Duration::from_millis(200)).await;
    let open = calls::follow(client(&url), Arc::new(schedule(1000.0, 0, 400))).await;
    assert_eq!((open.errors, open.delays.len()), (0, 400), "nothing is left out: {:?}", open.first_error);
    let [p75] = open.delays.quantiles_ms([0.75]);
    assert!(p75 > 50.0, "half of what was due waited, the 75th percentile {p75} ms");
}

#[tokio::test]
async fn a_closed_loop_hardly_notices_the_same_stall() {
    let url = stalling_server(Duration::from_millis(200)).await;
    let window = Arc::new(Window::new());
    let load = tokio::spawn(calls::repeat(client(&url), window.clone()));
    let none = crate::process::Processes::with_children(&[]).expect("/proc is readable");
    window.measure(Duration::ZERO, Duration::from_millis(400), &none).await.expect("there is nothing to read");
    let closed = load.await.expect("the load ends");
    let [p75] = closed.delays.quantiles_ms([0.75]);
    assert!(p75 < 50.0, "one answer of many was slow, the 75th percentile {p75} ms");
}
