//! Server-sent events, read incrementally (WHATWG HTML, 9.2.6): used where the gateway itself reads
//! a stream. Streams that pass through are not parsed.

/// Collects the `data` of events from chunks that split where they like.
#[derive(Debug, Default)]
pub struct Events {
    line: Vec<u8>,
    data: String,
    after_carriage_return: bool,
    has_data: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than {0} bytes")]
pub struct TooLarge(pub usize);

impl Events {
    /// Takes a chunk and gives the data of each event that it completes.
    pub fn push(&mut self, chunk: &[u8], event_bytes_max: usize) -> Result<Vec<String>, TooLarge> {
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
            if self.line.len() + self.data.len() > event_bytes_max {
                return Err(TooLarge(event_bytes_max));
            }
        }
        Ok(complete)
    }

    fn end_line(&mut self) -> Option<String> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return std::mem::take(&mut self.has_data).then_some(data);
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        if field == "data" {
            if std::mem::replace(&mut self.has_data, true) {
                self.data.push('\n');
            }
            self.data.push_str(value.strip_prefix(' ').unwrap_or(value));
        }
        None
    }
}

/// An event of our own. A line of data ends wherever a reader would end it.
pub fn event(name: &str, data: &str) -> String {
    let mut event = format!("event: {name}\n");
    let unified = data.replace("\r\n", "\n").replace('\r', "\n");
    for line in unified.split('\n') {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_split_anywhere() {
        let stream = b": hello\r\nevent: message\ndata: {\"a\":1}\n\nid: 7\rdata:x\rdata: y\r\rretry: 5\n\ndata\n\n";
        for size in 1..=stream.len() {
            let mut events = Events::default();
            let mut seen = Vec::new();
            for chunk in stream.chunks(size) {
                seen.extend(events.push(chunk, 1_000).unwrap());
            }
            assert_eq!(seen, ["{\"a\":1}", "x\ny", ""], "in chunks of {size}");
        }
    }

    #[test]
    fn an_event_has_a_bound() {
        let mut events = Events::default();
        assert_eq!(events.push(&[b'x'; 100], 64), Err(TooLarge(64)));
    }
}
