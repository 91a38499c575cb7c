//! The plain run of a string, eight bytes at a time: most of what is scanned is text without anything special.

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// How many bytes it is to the first quote, backslash or control character, or to the end.
pub(super) fn run(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks();
    for (at, word) in words.iter().enumerate() {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return at * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    words.len() * 8 + rest.iter().take_while(|byte| is_plain(**byte)).count()
}

/// The highest bit of each byte that is special. A borrow may set it in bytes above the first special one as
/// well, so the lowest bit alone tells the truth, and none where there is none.
fn special(word: u64) -> u64 {
    let below = |value: u64, limit: u8| value.wrapping_sub(ONES * u64::from(limit)) & !value;
    let equals = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | equals(b'"') | equals(b'\\')) & HIGHS
}

fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && !matches!(byte, b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_where_it_would_byte_by_byte() {
        for byte in 0..=u8::MAX {
            for next in [0, 0x1f, 0x20, 0x21, b'"', b'#', b'\\', b']', 0x7f, 0x80, 0xff] {
                for at in 0..20 {
                    let mut text = [b'x'; 24];
                    text[at] = byte;
                    text[at + 1] = next;
                    let expected = text.iter().take_while(|byte| is_plain(**byte)).count();
                    assert_eq!(run(&text), expected, "{byte:#x} and {next:#x} at {at}");
                    assert_eq!(run(&text[..=at]), expected.min(at + 1), "{byte:#x} at the end, {at}");
                }
            }
        }
    }
}
