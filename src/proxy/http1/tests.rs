use super::head::{Bad, Head, may_end, skip_empty_lines};
use super::{Framing, Rest};
use crate::framing::Chunk;
use crate::proxy::caller::{Head as AnswerHead, Length};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Version};

/// As a connection reads it that gets these pieces; and what is left behind it.
fn read<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Result<Option<(Head, Vec<u8>)>, Bad> {
    let (mut input, mut seen) = (BytesMut::new(), 0);
    let mut pieces = pieces.into_iter();
    while let Some(piece) = pieces.next() {
        input.extend_from_slice(piece);
        if skip_empty_lines(&mut input) > 0 {
            seen = 0;
        }
        if may_end(&input, seen)
            && let Some(head) = Head::take(&mut input, None)?
        {
            input.extend(pieces.flatten());
            return Ok(Some((head, input.to_vec())));
        }
        seen = input.len();
    }
    Ok(None)
}

fn post(lines: &str) -> String {
    format!("POST /mcp HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

#[test]
fn heads_that_can_be_read_in_two_ways_are_refused() {
    let chunked = "Transfer-Encoding: chunked\r\n";
    #[rustfmt::skip]
    let table = [
        ("two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n")),
        ("a list of two lengths", post("Content-Length: 5, 6\r\n")),
        ("a list with nothing in it", post("Content-Length: 5,\r\n")),
        ("a signed length", post("Content-Length: +5\r\n")),
        ("a length beyond 64 bits", post("Content-Length: 18446744073709551616\r\n")),
        ("another coding", post("Transfer-Encoding: gzip\r\n")),
        ("two codings", post("Transfer-Encoding: gzip, chunked\r\n")),
        ("chunked twice", post(&format!("{chunked}{chunked}"))),
        ("a coding of HTTP/1.0", post(chunked).replace("HTTP/1.1", "HTTP/1.0")),
        ("a space before the colon", post("Content-Length : 5\r\n")),
        ("a folded field", post("X: a\r\n b\r\n")),
        ("a NUL in a field", post("X: \0\r\n")),
        ("two hosts", post("Host: b\r\n")),
        ("no host", post("").replace("Host: a\r\n", "")),
        ("a host in the target only", post("").replace("Host: a\r\n", "").replace("/mcp", "http://a/mcp")),
        ("another host in the target", post("").replace("/mcp", "http://b/mcp")),
        ("a user in the host", post("").replace("Host: a", "Host: u@a")),
        ("a target with a space", post("").replace("/mcp", "/m cp")),
        ("HTTP/2 in clear text", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        ("a line end that is none before it", format!("\r\r\n{}", post(""))),
        ("no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned()),
        ("too many fields", post(&"X: y\r\n".repeat(1100))),
    ];
    for (what, bytes) in table {
        assert!(read([bytes.as_bytes()]).is_err(), "{what}");
    }
}

#[test]
fn heads_are_read_however_they_come() {
    let chunked = Framing::Chunked(Chunk::Size);
    #[rustfmt::skip]
    let table = [
        ("no body", post(""), Framing::Sized(0), true),
        ("a length", post("content-length: 5\r\n"), Framing::Sized(5), true),
        ("the same length twice", post("Content-Length: 5, 5\r\nContent-Length: 5\r\n"), Framing::Sized(5), true),
        ("chunks", post("Transfer-Encoding: Chunked\r\n"), Framing::Chunked(Chunk::Size), true),
        ("chunks and a length", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), chunked, false),
        ("a connection that ends", post("Connection: x, Close\r\n"), Framing::Sized(0), false),
        ("HTTP/1.0", post("").replace("HTTP/1.1", "HTTP/1.0"), Framing::Sized(0), false),
        ("HTTP/1.0 that goes on", post("Connection: keep-alive\r\n").replace("HTTP/1.1", "HTTP/1.0"), Framing::Sized(0), true),
        ("lines that end with LF", post("X: y\r\n").replace("\r\n", "\n"), Framing::Sized(0), true),
        ("empty lines before it", format!("\r\n\r\n{}", post("")), Framing::Sized(0), true),
        ("as many fields as can be allowed", post(&"X: y\r\n".repeat(1000)), Framing::Sized(0), true),
        ("a head as long as can be allowed", post(&format!("X: {}\r\n", "y".repeat(1024 * 1024))), Framing::Sized(0), true),
        ("a whole target", post("").replace("/mcp", "http://a/mcp"), Framing::Sized(0), true),
        ("a host in other letters", post("").replace("/mcp", "http://A/mcp"), Framing::Sized(0), true),
    ];
    for (what, bytes, body, keeps) in table {
        let behind = b"hello";
        let bytes = [bytes.as_bytes(), behind].concat();
        for size in [1, 2, 3, 7, bytes.len()] {
            let (head, left) = read(bytes.chunks(size)).unwrap().unwrap_or_else(|| panic!("{what}, pieces of {size}"));
            assert_eq!((&head.body, head.read.keeps, head.read.parts.uri.path()), (&body, keeps, "/mcp"), "{what}");
            assert_eq!(left, behind, "{what}, pieces of {size}: behind it");
            // Whoever reads on must not find a length that does not count.
            let says_length = head.read.parts.headers.contains_key(CONTENT_LENGTH);
            assert!(!says_length || !matches!(head.body, Framing::Chunked(_)), "{what}");
        }
    }
}

#[test]
fn a_head_is_known_again_only_where_it_is_the_same() {
    let first = post("Content-Length: 12\r\nX: y\r\n");
    #[rustfmt::skip]
    let table = [
        ("the same", first.clone(), true, Some(12)),
        ("another length", first.replace("12", "7"), true, Some(7)),
        ("a longer length", first.replace("12", "1000"), true, Some(1000)),
        ("a length that is none", first.replace("12", "x"), false, None),
        ("no length", first.replace("12", ""), false, None),
        ("a signed length", first.replace("12", "+12"), false, None),
        ("two lengths", first.replace("12", "12, 13"), false, None),
        ("a length beyond 64 bits", first.replace("12", "18446744073709551616"), false, None),
        ("the same length twice", first.replace("12", "12, 12"), false, Some(12)),
        ("another value", first.replace("X: y", "X: z"), false, Some(12)),
        ("a longer value", first.replace("X: y", "X: yy"), false, Some(12)),
        ("a field behind", first.replace("X: y", "X: y\r\nZ: z"), false, Some(12)),
        ("another length behind", first.replace("X: y", "X: y\r\nContent-Length: 13"), false, None),
        ("chunks behind", first.replace("X: y", "X: y\r\nTransfer-Encoding: chunked"), false, None),
        ("another path", first.replace("/mcp", "/mcp/x"), false, Some(12)),
    ];
    let take = |text: &str, last: Option<&Head>| {
        let mut input = BytesMut::from(text);
        let head = Head::take(&mut input, last.map(|last| &last.read));
        head.map(|head| (head.expect("it is whole"), input.to_vec()))
    };
    let (known, _) = take(&first, None).unwrap();
    for (what, text, is_known, length) in table {
        let again = take(&format!("{text}hello"), Some(&known));
        let alone = take(&format!("{text}hello"), None);
        let (Ok((again, left)), Ok((alone, _))) = (&again, &alone) else {
            assert_eq!((again.is_err(), alone.is_err(), length), (true, true, None), "{what}");
            continue;
        };
        assert_eq!(std::sync::Arc::ptr_eq(&again.read, &known.read), is_known, "{what}");
        assert_eq!((&again.body, left.as_slice()), (&alone.body, &b"hello"[..]), "{what}: as if read anew");
        assert_eq!(again.body, length.map_or(Framing::Chunked(Chunk::Size), Framing::Sized), "{what}");
    }
    // What is not the same each time, or long, is read each time.
    let long = format!("X: {}\r\n", "y".repeat(5000));
    for (what, text) in [("chunks", post("Transfer-Encoding: chunked\r\n")), ("a long one", post(&long))] {
        let (known, _) = take(&text, None).unwrap();
        let (again, _) = take(&text, Some(&known)).unwrap();
        assert!(!std::sync::Arc::ptr_eq(&again.read, &known.read) && !known.read.is_known(), "{what}");
    }
    let (bare, _) = take(&post(""), None).unwrap();
    let (again, left) = take(&format!("{}hello", post("")), Some(&bare)).unwrap();
    assert!(std::sync::Arc::ptr_eq(&again.read, &bare.read) && again.body == Framing::Sized(0) && left == b"hello");
}

fn written(head: &AnswerHead, version: Version, keeps: bool, pieces: &[&'static str]) -> (String, bool) {
    let mut output = BytesMut::new();
    let mut rest = Rest::begin(&mut output, head, (&Method::POST, version), keeps);
    for piece in pieces {
        let piece = Bytes::from_static(piece.as_bytes());
        let behind = rest.frame(&mut output, &piece).unwrap();
        output.extend_from_slice(&[&piece, behind].concat());
    }
    let is_whole = rest.end(&mut output);
    let text = String::from_utf8(output.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let lines: Vec<&str> = head.lines().filter(|line| !line.starts_with("Date: ")).collect();
    assert_eq!(lines.len() + 1, head.lines().count(), "every answer has a date");
    (format!("{}|{body}", lines.join("|")), is_whole)
}

#[test]
fn answers_say_where_they_end() {
    let head = |length| AnswerHead {
        status: 200,
        is_last: false,
        length,
        fields: vec![(CONTENT_TYPE, HeaderValue::from_static("a/b"))],
    };
    let begin = "HTTP/1.1 200 OK|Content-Type: a/b";
    #[rustfmt::skip]
    let table = [
        (Length::Known(5), Version::HTTP_11, true, "|Content-Length: 5|hello", true),
        (Length::Known(6), Version::HTTP_11, true, "|Content-Length: 6|hello", false),
        (Length::Known(5), Version::HTTP_11, false, "|Content-Length: 5|Connection: close|hello", true),
        (Length::Known(5), Version::HTTP_10, true, "|Content-Length: 5|Connection: keep-alive|hello", true),
        (Length::Unknown, Version::HTTP_11, true, "|Transfer-Encoding: chunked|2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", true),
        (Length::Unknown, Version::HTTP_10, false, "|Connection: close|hello", false),
    ];
    for (length, version, keeps, wanted, is_whole) in table {
        let text = written(&head(length), version, keeps, &["he", "llo"]);
        assert_eq!(text, (format!("{begin}{wanted}"), is_whole), "{length:?}, {version:?}");
    }
    let long = "x".repeat(300).leak();
    assert!(written(&head(Length::Unknown), Version::HTTP_11, true, &[long]).0.contains("|12c\r\nxxx"));
    let mut rest = Rest::Sized(4);
    assert!(rest.frame(&mut BytesMut::new(), &Bytes::from_static(b"hello")).is_err(), "longer than it says");
}
