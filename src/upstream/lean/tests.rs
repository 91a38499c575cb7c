//! The response parser without a network: what it must refuse, that it does not matter where the bytes
//! split, and that two answers are never read as one nor one as two.

use crate::framing::{Framing, Malformed, Piece};
use crate::upstream::response::ResponseHead;
use bytes::BytesMut;

/// One answer read out of bytes that come in pieces: what it holds, and what is left behind it.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    Whole {
        status: u16,
        body: Vec<u8>,
        behind: Vec<u8>,
    },
    /// It ended with its connection.
    Closed {
        status: u16,
        body: Vec<u8>,
    },
    /// More must come.
    Half,
    Wrong(&'static str),
}

fn read<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Read {
    try_read(&mut pieces.into_iter()).unwrap_or_else(|Malformed(why)| Read::Wrong(why))
}

fn try_read<'p>(pieces: &mut impl Iterator<Item = &'p [u8]>) -> Result<Read, Malformed> {
    let mut buffer = BytesMut::new();
    let head = loop {
        match ResponseHead::take(&mut buffer)? {
            Some(head) if head.is_interim() => {}
            Some(head) => break head,
            None => match pieces.next() {
                Some(piece) => buffer.extend_from_slice(piece),
                None => return Ok(Read::Half),
            },
        }
    };
    let (status, mut body) = (head.status, Vec::new());
    let mut framing = head.framing()?;
    loop {
        match framing.take(&mut buffer)? {
            Piece::Data(data) => {
                assert!(!data.is_empty(), "an empty piece");
                body.extend_from_slice(&data);
                // Asked by whoever hands it on; what is wrong behind it the next piece says.
                if let Ok(true) = framing.ends_here(&mut buffer) {
                    assert_eq!(framing.take(&mut buffer), Ok(Piece::End));
                }
            }
            Piece::End => break,
            Piece::More => match pieces.next() {
                Some(piece) => buffer.extend_from_slice(piece),
                None if framing == Framing::UntilClosed => return Ok(Read::Closed { status, body }),
                None => return Ok(Read::Half),
            },
        }
    }
    assert!(framing.is_over());
    buffer.extend(pieces.flatten());
    Ok(Read::Whole { status, body, behind: buffer.to_vec() })
}

fn answer(lines: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n{body}")
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let chunked = "Transfer-Encoding: chunked\r\n";
    #[rustfmt::skip]
    let table = [
        ("a length and chunks", answer(&format!("Content-Length: 5\r\n{chunked}"), "0\r\n\r\n")),
        ("chunks and a length", answer(&format!("{chunked}Content-Length: 5\r\n"), "0\r\n\r\n")),
        ("two lengths", answer("Content-Length: 5\r\nContent-Length: 6\r\n", "hello")),
        ("the same length twice", answer("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")),
        ("a list of lengths", answer("Content-Length: 5, 5\r\n", "hello")),
        ("a signed length", answer("Content-Length: +5\r\n", "hello")),
        ("a negative length", answer("Content-Length: -5\r\n", "hello")),
        ("a length in hex", answer("Content-Length: 0x5\r\n", "hello")),
        ("no length", answer("Content-Length: \r\n", "hello")),
        ("a length beyond 64 bits", answer("Content-Length: 18446744073709551616\r\n", "hello")),
        ("another coding", answer("Transfer-Encoding: gzip\r\n", "hello")),
        ("two codings", answer("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")),
        ("chunked twice", answer(&format!("{chunked}{chunked}"), "0\r\n\r\n")),
        ("chunked in a list", answer("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n")),
        ("a coding with a tab in it", answer("Transfer-Encoding: chun\tked\r\n", "0\r\n\r\n")),
        ("a coding of HTTP/1.0", answer(chunked, "0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0")),
        ("a space before the colon", answer("Content-Length : 5\r\n", "hello")),
        ("a folded field", answer("X: a\r\n b\r\nContent-Length: 5\r\n", "hello")),
        ("a size that is none", answer(chunked, "zz\r\nhello\r\n0\r\n\r\n")),
        ("an empty size", answer(chunked, "\r\nhello\r\n0\r\n\r\n")),
        ("a signed size", answer(chunked, "+5\r\nhello\r\n0\r\n\r\n")),
        ("a size with 0x", answer(chunked, "0x5\r\nhello\r\n0\r\n\r\n")),
        ("a size with a space before it", answer(chunked, " 5\r\nhello\r\n0\r\n\r\n")),
        ("a size beyond 64 bits", answer(chunked, "ffffffffffffffff5\r\nhello\r\n0\r\n\r\n")),
        ("a size with an underscore", answer(chunked, "5_\r\nhello\r\n0\r\n\r\n")),
        ("a size that ends with LF", answer(chunked, "5\nhello\r\n0\r\n\r\n")),
        ("a CR within a size", answer(chunked, "5\r;a\r\nhello\r\n0\r\n\r\n")),
        ("a chunk that is longer", answer(chunked, "4\r\nhello\r\n0\r\n\r\n")),
        ("a chunk that ends with LF", answer(chunked, "5\r\nhello\n0\r\n\r\n")),
        ("a trailer that is none", answer(chunked, "5\r\nhello\r\n0\r\nHTTP/1.1 200 OK\r\n\r\n")),
        ("a trailer with a space before the colon", answer(chunked, "0\r\nX : y\r\n\r\n")),
        ("endless extensions", answer(chunked, &format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(300)))),
        ("endless trailers", answer(chunked, &format!("0\r\n{}\r\n", "X: y\r\n".repeat(2000)))),
        ("too many fields", answer(&"X: y\r\n".repeat(101), "")),
        ("a head without an end", answer(&format!("X: {}", "y".repeat(70_000)), "")),
        ("HTTP/2 in clear text", answer("Content-Length: 5\r\n", "hello").replace("HTTP/1.1", "HTTP/2.0")),
        ("a NUL in a field", answer("X: \0\r\nContent-Length: 5\r\n", "hello")),
        ("no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned()),
    ];
    for (what, bytes) in table {
        let read = read([bytes.as_bytes()]);
        assert!(matches!(read, Read::Wrong(_)), "{what}: {read:?}");
    }
}

#[test]
fn what_is_right_is_read_whole() {
    let chunked = "transfer-encoding: Chunked\r\n";
    let next = "HTTP/1.1 200 OK\r\n";
    #[rustfmt::skip]
    let table = [
        ("a length", answer("Content-Length: 5\r\n", "hello"), "hello"),
        ("no body", answer("Content-Length: 0\r\n", ""), ""),
        ("chunks", answer(chunked, "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), "hello"),
        ("sizes with zeros, capitals and extensions", answer(chunked, "0005;a=b\r\nhello\r\n0A ;x\r\n0123456789\r\n000\r\n\r\n"), "hello0123456789"),
        ("trailers", answer(chunked, "5\r\nhello\r\n0\r\nX-A: b\r\nDigest: c\r\n\r\n"), "hello"),
        ("chunks that look like an answer", answer(chunked, &format!("11\r\n{next}\r\n0\r\n\r\n")), next),
        ("interim answers", format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{}", answer("Content-Length: 5\r\n", "hello")), "hello"),
        ("204 has no body", "HTTP/1.1 204 No Content\r\n\r\n".to_owned(), ""),
        ("304 has none, whatever it says", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n".to_owned(), ""),
    ];
    for (what, bytes, wanted) in table {
        for behind in ["", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"] {
            let bytes = format!("{bytes}{behind}");
            for size in [1, 2, 3, 7, bytes.len()] {
                match read(bytes.as_bytes().chunks(size)) {
                    Read::Whole { body, behind: left, .. } => {
                        assert_eq!(String::from_utf8_lossy(&body), wanted, "{what}, pieces of {size}");
                        assert_eq!(String::from_utf8_lossy(&left), behind, "{what}, pieces of {size}: behind it");
                    }
                    other => panic!("{what}, pieces of {size}: {other:?}"),
                }
            }
        }
    }
    let closed = Read::Closed { status: 200, body: b"hello".to_vec() };
    assert_eq!(read([answer("", "hello").as_bytes()]), closed, "neither a length nor chunks: until it is closed");
}

/// SplitMix64: each round can be repeated from its number.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or_default() % sides.max(1)
    }

    fn one_of<'t, T: ?Sized>(&mut self, table: &[&'t T]) -> &'t T {
        table[self.roll(table.len())]
    }

    fn splits<'b>(&mut self, mut bytes: &'b [u8]) -> Vec<&'b [u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let most = self.one_of(&[&1, &2, &16, &64, &4096]);
            let (piece, rest) = bytes.split_at(1 + self.roll(*most.min(&bytes.len())));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}

/// An answer as a server might send it, and its body.
fn compose(dice: &mut Dice) -> (Vec<u8>, Vec<u8>) {
    let alphabet: [&[u8]; 6] = [b"data: {}\n\n", b"HTTP/1.1 200 OK\r\n\r\n", b"0\r\n\r\n", b"x", b"\r\n", b"\0\xff"];
    let body: Vec<u8> = (0..dice.roll(6)).flat_map(|_| dice.one_of(&alphabet)).copied().collect();
    let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n".to_vec();
    if dice.roll(2) == 0 {
        bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
        bytes.extend(&body);
        return (bytes, body);
    }
    bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
    for chunk in dice.splits(&body) {
        let extension = dice.one_of(&["", "", ";a=b", " ;c"]);
        bytes.extend(format!("{:x}{extension}\r\n", chunk.len()).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(dice.one_of(&["0\r\n\r\n", "00\r\n\r\n", "0\r\nX: y\r\n\r\n"]).bytes());
    (bytes, body)
}

/// Bytes that are changed, left out, doubled, or put where they do not belong.
fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>) {
    const TOKENS: [&[u8]; 14] = [
        b"\r\n",
        b"\n",
        b"\r",
        b"0\r\n\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"chunked",
        b"ffffffffffffffff",
        b";",
        b":",
        b" ",
        b"\t",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"-1",
    ];
    for _ in 0..=dice.roll(3) {
        let at = dice.roll(bytes.len() + 1);
        match dice.roll(4) {
            0 => drop(bytes.splice(at..at, dice.one_of(&TOKENS).iter().copied())),
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(at..(at + dice.roll(8)).min(bytes.len()))),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << dice.roll(8);
                }
            }
        }
    }
}

/// Splits do not matter; what is right is read as it was meant, with the next answer untouched behind it;
/// what is changed is read the same way however it comes, and never reaches beyond what came.
#[test]
fn fuzzed() {
    let rounds: u64 = if std::env::var_os("TOLLBRIDGE_FULL").is_some() { 10_000_000 } else { 20_000 };
    for round in 0..rounds {
        let mut dice = Dice(round);
        let (first, body) = compose(&mut dice);
        let (second, _) = compose(&mut dice);
        let mut bytes = [first.as_slice(), second.as_slice()].concat();
        let wanted = Read::Whole { status: 200, body, behind: second };
        assert_eq!(read(dice.splits(&bytes)), wanted, "round {round}");
        mutate(&mut dice, &mut bytes);
        let (whole, split) = (read([bytes.as_slice()]), read(dice.splits(&bytes)));
        assert_eq!(whole, split, "round {round}: {}", bytes.escape_ascii());
        if let Read::Whole { body, behind, .. } = whole {
            assert!(body.len() + behind.len() < bytes.len() && bytes.ends_with(&behind), "round {round}");
        }
    }
}
