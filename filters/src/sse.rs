//! Server-sent events, read incrementally (WHATWG HTML, 9.2.6): used where the gateway itself reads
//! a stream, and writes it anew. Streams that pass through are not parsed.

/// Collects events from chunks that split where they like.
#[derive(Debug, Default)]
pub struct Events {
    line: Vec<u8>,
    event: Event,
    after_carriage_return: bool,
    /// The first line is behind, which may begin with a byte order mark.
    begun: bool,
}

/// One event. What a stream says of itself (`id`, `retry`) may come without data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub name: Option<String>,
    pub id: Option<String>,
    /// Milliseconds, as digits.
    pub retry: Option<String>,
    pub data: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than {0} bytes")]
pub struct TooLarge(pub usize);

impl Events {
    /// Takes a chunk and gives each event that it completes.
    pub fn push(&mut self, chunk: &[u8], event_bytes_max: usize) -> Result<Vec<Event>, TooLarge> {
        let mut complete = Vec::new();
        for &byte in chunk {
            match byte {
                b'\n' if self.after_carriage_return => self.after_carriage_return = false,
                b'\n' | b'\r' => {
                    self.after_carriage_return = byte == b'\r';
                    complete.extend(self.end_line());
                }
                _ => {
                    self.after_carriage_return = false;
                    self.line.push(byte);
                }
            }
            if self.line.len() + self.event.bytes() > event_bytes_max {
                return Err(TooLarge(event_bytes_max));
            }
        }
        Ok(complete)
    }

    fn end_line(&mut self) -> Option<Event> {
        let mut line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        if !std::mem::replace(&mut self.begun, true) && line.starts_with('\u{feff}') {
            line.remove(0);
        }
        if line.is_empty() {
            return Some(std::mem::take(&mut self.event)).filter(|event| *event != Event::default());
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        self.event.take(field, value.strip_prefix(' ').unwrap_or(value));
        None
    }
}

impl Event {
    /// A message of JSON-RPC, as every MCP server sends it.
    pub fn message(data: impl Into<String>) -> Event {
        Event { name: Some("message".to_owned()), data: Some(data.into()), ..Event::default() }
    }

    pub fn bytes(&self) -> usize {
        [&self.name, &self.id, &self.retry, &self.data].into_iter().flatten().map(String::len).sum()
    }

    fn take(&mut self, field: &str, value: &str) {
        match field {
            "event" => self.name = Some(value.to_owned()),
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => self.retry = Some(value.to_owned()),
            "data" => match &mut self.data {
                None => self.data = Some(value.to_owned()),
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
            },
            _ => {}
        }
    }

    /// The event as it is sent. A line of data ends wherever a reader would end it.
    pub fn write(&self) -> String {
        let mut out = String::with_capacity(self.bytes() + 64);
        let mut line = |field: &str, value: &str| {
            out.push_str(field);
            out.push_str(": ");
            out.push_str(value);
            out.push('\n');
        };
        for (field, value) in [("event", &self.name), ("id", &self.id), ("retry", &self.retry)] {
            if let Some(value) = value {
                line(field, value);
            }
        }
        let unified = self.data.as_ref().map(|data| data.replace("\r\n", "\n").replace('\r', "\n"));
        for data in unified.iter().flat_map(|data| data.split('\n')) {
            line("data", data);
        }
        out.push('\n');
        out
    }
}

/// An event of our own.
pub fn event(name: &str, data: &str) -> String {
    Event { name: Some(name.to_owned()), data: Some(data.to_owned()), ..Event::default() }.write()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_split_anywhere() {
        let stream = b"\xEF\xBB\xBFdata: 0\n\n: hello\r\nevent: message\ndata: {\"a\":1}\n\nid: 7\rdata:x\rdata: y\r\rretry: 5\n\ndata\n\n";
        for size in 1..=stream.len() {
            let mut events = Events::default();
            let mut seen = Vec::new();
            for chunk in stream.chunks(size) {
                seen.extend(events.push(chunk, 1_000).unwrap());
            }
            let said = |name: Option<&str>, id: Option<&str>, retry: Option<&str>, data: Option<&str>| {
                let own = |text: Option<&str>| text.map(str::to_owned);
                Event { name: own(name), id: own(id), retry: own(retry), data: own(data) }
            };
            let expected = [
                said(None, None, None, Some("0")),
                said(Some("message"), None, None, Some("{\"a\":1}")),
                said(None, Some("7"), None, Some("x\ny")),
                said(None, None, Some("5"), None),
                said(None, None, None, Some("")),
            ];
            assert_eq!(seen, expected, "in chunks of {size}");
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let priming = Event { id: Some("0".into()), retry: Some("500".into()), data: Some("".into()), name: None };
        assert_eq!(priming.write(), "id: 0\nretry: 500\ndata: \n\n");
        for event in [priming, Event::message("{\"a\":\n1}"), Event { id: Some("9".into()), ..Event::default() }] {
            assert_eq!(Events::default().push(event.write().as_bytes(), 1_000).unwrap(), [event]);
        }
    }

    #[test]
    fn an_event_has_a_bound() {
        let mut events = Events::default();
        assert_eq!(events.push(&[b'x'; 100], 64), Err(TooLarge(64)));
    }
}
