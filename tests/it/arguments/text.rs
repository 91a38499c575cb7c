//! JSON text as nobody's library would write it, the same for the same seed.

/// Numbers of chance: xorshift64*, so that a seed that fails can be tried again.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % end
    }

    pub fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }
}

const NUMBERS: [&str; 11] = [
    "0",
    "-0",
    "1e400",
    "-1E+400",
    "18446744073709551617",
    "9007199254740993",
    "0.1000000000000000055511151231257827",
    "1E-999",
    "123456789012345678901234567890.5e-7",
    "1.0",
    "10",
];

/// What stands between the quotes, alone or with others of these.
const PIECES: [&str; 18] = [
    "a",
    "é",
    "漢字",
    "😀",
    "\u{2028}",
    "\u{7f}",
    "\u{feff}",
    "\u{202e}",
    r"\u00e9",
    r"\u0000",
    r"\ud83d\ude00",
    r"\/",
    r"\\",
    r#"\""#,
    r"\n",
    "}],",
    r#"\"jsonrpc\":\"2.0\","#,
    "event: x",
];

const KEYS: [&str; 12] =
    ["", "a", "a", r"\u0061", "b", "arguments", "name", "_meta", "params", "__proto__", "é", r"\ud83d\ude00"];

const SPACES: [&str; 7] = ["", "", "", " ", "\t", " \n ", "\r\n"];

/// What turns one text into another, or into none.
const BLOWS: [&str; 25] = [
    "}",
    "]",
    "{",
    "[",
    ",",
    ":",
    "\"",
    "\\",
    "1e",
    "01",
    "+1",
    "NaN",
    "'",
    "\u{0}",
    "\n",
    "\u{a0}",
    "\u{feff}",
    "//",
    "/**/",
    "null",
    r#","z":1"#,
    r#"{"a":1}"#,
    r"\u12",
    r"\ud800",
    "\u{2028}",
];

/// One object, valid.
pub fn object(chance: &mut Chance) -> String {
    let depth = match chance.below(20) {
        0 => return chain(chance),
        _ => chance.below(6),
    };
    let mut text = String::new();
    members(chance, depth, &mut text);
    text
}

/// Objects and arrays within each other, deep, yet not too deep for anybody.
fn chain(chance: &mut Chance) -> String {
    let depth = 8 + chance.below(40);
    let (mut front, mut back) = (r#"{"deep":"#.to_owned(), "}".to_owned());
    for _ in 0..depth {
        let (open, close) = if chance.below(2) == 0 { ("[", "]") } else { (r#"{"a":"#, "}") };
        front.push_str(open);
        back.insert_str(0, close);
    }
    format!("{front}{}{back}", chance.one(&NUMBERS))
}

fn members(chance: &mut Chance, depth: usize, text: &mut String) {
    text.push('{');
    text.push_str(chance.one(&SPACES));
    for at in 0..chance.below(5) {
        if at > 0 {
            text.push(',');
        }
        text.push_str(chance.one(&SPACES));
        text.push_str(&format!("\"{}\"", chance.one(&KEYS)));
        text.push_str(chance.one(&SPACES));
        text.push(':');
        value(chance, depth, text);
        text.push_str(chance.one(&SPACES));
    }
    text.push('}');
}

fn value(chance: &mut Chance, depth: usize, text: &mut String) {
    text.push_str(chance.one(&SPACES));
    match chance.below(if depth == 0 { 5 } else { 8 }) {
        0 => text.push_str(chance.one(&["true", "false", "null"])),
        1 | 2 => text.push_str(chance.one(&NUMBERS)),
        3 | 4 => string(chance, text),
        5 => {
            text.push('[');
            for at in 0..chance.below(4) {
                if at > 0 {
                    text.push(',');
                }
                value(chance, depth - 1, text);
            }
            text.push(']');
        }
        _ => members(chance, depth - 1, text),
    }
}

fn string(chance: &mut Chance, text: &mut String) {
    text.push('"');
    for _ in 0..chance.below(5) {
        text.push_str(chance.one(&PIECES));
    }
    text.push('"');
}

/// An object that something happened to; it may be one still, or another.
pub fn damaged(chance: &mut Chance) -> Vec<u8> {
    let mut text = object(chance).into_bytes();
    for _ in 0..=chance.below(2) {
        // Something stays: no body at all means no arguments where the body is them.
        let at = 1 + chance.below(text.len());
        match chance.below(6) {
            0 => drop(text.drain(at..)),
            1 if at < text.len() => drop(text.remove(at)),
            2 => text.insert(at, [0x80, 0xff, 0xc0, 0xed, 0x1f][chance.below(5)]),
            // At an end, where readers are lenient.
            3 => text.extend_from_slice(chance.one(&BLOWS).as_bytes()),
            4 => text = [chance.one(&BLOWS).as_bytes(), &text].concat(),
            _ => drop(text.splice(at..at, chance.one(&BLOWS).bytes())),
        }
    }
    text
}

/// Deeper than any reader goes.
pub fn abyss(depth: usize) -> Vec<u8> {
    format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth)).into_bytes()
}
