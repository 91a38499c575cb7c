//! One line of the access log as JSON. Written by hand, because every exchange pays for it; what is not
//! plain text goes through the library all the same.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;
use tollbridge_filters::date::rfc3339;
use tollbridge_filters::json;

/// One exchange.
pub struct Line<'l> {
    /// Seconds since 1970.
    pub time: u64,
    pub request_id: &'l str,
    pub client: Option<SocketAddr>,
    pub principal: &'l str,
    pub lane: &'static str,
    pub verb: &'l str,
    pub path: &'l str,
    pub era: &'static str,
    pub method: &'l str,
    pub server: &'l str,
    pub tool: &'l str,
    pub endpoint: Option<SocketAddr>,
    pub status: u16,
    pub outcome: &'l str,
    pub request_bytes: usize,
    pub response_bytes: usize,
    pub total: Duration,
    pub upstream: Duration,
}

impl Line<'_> {
    pub(super) fn write(&self, out: &mut String) {
        let mut out = Object(out);
        with_date(self.time, |date| out.text(r#"{"time":"#, date));
        out.text(r#","request_id":"#, self.request_id);
        out.address(r#","client":"#, self.client);
        out.text(r#","principal":"#, self.principal);
        out.plain(r#","lane":"#, self.lane);
        out.text(r#","verb":"#, self.verb);
        out.text(r#","path":"#, self.path);
        out.plain(r#","era":"#, self.era);
        out.text(r#","method":"#, self.method);
        out.text(r#","server":"#, self.server);
        out.text(r#","tool":"#, self.tool);
        out.address(r#","endpoint":"#, self.endpoint);
        out.number(r#","status":"#, self.status.into());
        out.text(r#","outcome":"#, self.outcome);
        out.number(r#","request_bytes":"#, self.request_bytes as u64);
        out.number(r#","response_bytes":"#, self.response_bytes as u64);
        out.millis(r#","total_ms":"#, self.total);
        out.millis(r#","upstream_ms":"#, self.upstream);
        out.0.push_str("}\n");
    }
}

/// A second is written once, however many lines it has.
fn with_date(second: u64, put: impl FnOnce(&str)) {
    thread_local! {
        static LAST: RefCell<(u64, String)> = RefCell::default();
    }
    LAST.with_borrow_mut(|(known, date)| {
        if *known != second || date.is_empty() {
            (*known, *date) = (second, rfc3339(second));
        }
        put(date);
    });
}

/// What is written so far; keys come with what stands around them.
struct Object<'o>(&'o mut String);

impl Object<'_> {
    fn text(&mut self, key: &str, text: &str) {
        self.0.push_str(key);
        json::put_quoted(self.0, text);
    }

    /// A word of ours.
    fn plain(&mut self, key: &str, word: &'static str) {
        for part in [key, "\"", word, "\""] {
            self.0.push_str(part);
        }
    }

    fn number(&mut self, key: &str, number: u64) {
        self.0.push_str(key);
        self.0.push_str(itoa::Buffer::new().format(number));
    }

    /// With three digits behind the point.
    fn millis(&mut self, key: &str, span: Duration) {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        self.number(key, micros / 1000);
        // The first digit only keeps the zeros behind it.
        let mut digits = itoa::Buffer::new();
        self.0.push('.');
        self.0.push_str(digits.format(1000 + micros % 1000).get(1..).unwrap_or_default());
    }

    fn address(&mut self, key: &str, address: Option<SocketAddr>) {
        let Some(SocketAddr::V4(v4)) = address else {
            return self.text(key, &address.map(|address| address.to_string()).unwrap_or_default());
        };
        self.0.push_str(key);
        let mut mark = '"';
        for octet in v4.ip().octets() {
            self.0.push(std::mem::replace(&mut mark, '.'));
            self.0.push_str(itoa::Buffer::new().format(octet));
        }
        self.0.push(':');
        self.0.push_str(itoa::Buffer::new().format(v4.port()));
        self.0.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_whatever_it_says() {
        let mut line = Line {
            time: 951_827_696,
            request_id: "r",
            client: "127.0.0.1:80".parse().ok(),
            principal: "app",
            lane: "carry",
            verb: "POST",
            path: "/mcp/\"\\\u{7f}é\n",
            era: "modern",
            method: "tools/call",
            server: "s",
            tool: "t",
            endpoint: "[::1]:65535".parse().ok(),
            status: 200,
            outcome: "ok",
            request_bytes: 0,
            response_bytes: 12,
            total: Duration::from_nanos(1_002_345_678),
            upstream: Duration::from_micros(9),
        };
        let read = |line: &Line<'_>| {
            let mut text = String::new();
            line.write(&mut text);
            serde_json::from_str::<serde_json::Value>(&text).unwrap()
        };
        let wanted = serde_json::json!({
            "time": "2000-02-29T12:34:56Z", "request_id": "r", "client": "127.0.0.1:80", "principal": "app",
            "lane": "carry", "verb": "POST", "path": "/mcp/\"\\\u{7f}é\n", "era": "modern", "method": "tools/call",
            "server": "s", "tool": "t", "endpoint": "[::1]:65535", "status": 200, "outcome": "ok",
            "request_bytes": 0, "response_bytes": 12, "total_ms": 1002.345, "upstream_ms": 0.009,
        });
        assert_eq!(read(&line), wanted);
        (line.client, line.time) = (None, 0);
        assert_eq!((&read(&line)["client"], &read(&line)["time"]), (&"".into(), &"1970-01-01T00:00:00Z".into()));
    }
}
