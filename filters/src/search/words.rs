//! Words, and the term that stands for the forms of a word.

/// Of a longer word the beginning is kept.
const WORD_CHARACTERS_MAX: usize = 32;

/// What makes a sentence a question or a wish, and tells no tool from another.
#[rustfmt::skip]
const FILLERS: &[&str] = &[
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "by", "can", "could", "do", "does", "for", "from", "give",
    "has", "have", "help", "how", "i", "if", "in", "into", "is", "it", "its", "let", "ll", "m", "me", "my", "need", "of",
    "on", "or", "our", "please", "re", "s", "should", "some", "t", "that", "the", "there", "these", "this", "those", "to",
    "tool", "tools", "us", "use", "using", "ve", "want", "was", "we", "what", "when", "where", "which", "who", "why",
    "will", "with", "would", "you", "your",
];

/// One word of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// As it was written, in lower case.
    pub text: String,
    term: String,
    /// The term of the joined word that it is a part of: `GitHub` is found as `github` too.
    joined: Option<String>,
}

impl Word {
    pub fn terms(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.term).chain(self.joined.as_deref())
    }

    /// Each with its share of one occurrence: the joined word comes with every one of its parts.
    pub fn into_terms(self) -> impl Iterator<Item = (String, f64)> {
        std::iter::once((self.term, 1.0)).chain(self.joined.map(|joined| (joined, 0.5)))
    }

    pub fn is_same(&self, other: &Word) -> bool {
        self.term == other.term
    }

    pub fn is_filler(&self) -> bool {
        FILLERS.contains(&&*self.text)
    }
}

/// The words of a text: what stands between characters that are neither letters nor digits, and the
/// parts of what is joined there (`getWeather`, `HTTPServer`, `oauth2`).
pub(super) fn words(text: &str) -> impl Iterator<Item = Word> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty()).flat_map(run)
}

fn run(run: &str) -> impl Iterator<Item = Word> {
    let is_joined = end_of_part(run) < run.len() && !run.contains(is_word_alone);
    let joined = is_joined.then(|| lower_case(run));
    parts(run).map(move |part| match &joined {
        // A letter or a digit means nothing alone: `s3` is one word.
        Some(joined) if part.len() == 1 => Word { text: joined.clone(), term: stem(joined), joined: None },
        joined => {
            let text = lower_case(part);
            Word { term: stem(&text), text, joined: joined.as_deref().map(stem) }
        }
    })
}

fn parts(run: &str) -> impl Iterator<Item = &str> {
    let mut rest = run;
    std::iter::from_fn(move || {
        let (part, behind) = rest.split_at(end_of_part(rest));
        rest = behind;
        (!part.is_empty()).then_some(part)
    })
}

fn end_of_part(text: &str) -> usize {
    let mut characters = text.char_indices().zip(text.chars().skip(1).map(Some).chain([None]));
    let Some(((_, mut before), _)) = characters.next() else {
        return 0;
    };
    for ((at, character), behind) in characters {
        if is_boundary(before, character, behind) {
            return at;
        }
        before = character;
    }
    text.len()
}

fn is_boundary(before: char, character: char, behind: Option<char>) -> bool {
    is_word_alone(before)
        || is_word_alone(character)
        || before.is_numeric() != character.is_numeric()
        || (before.is_lowercase() && character.is_uppercase())
        || (before.is_uppercase() && character.is_uppercase() && behind.is_some_and(char::is_lowercase))
}

/// Chinese and Japanese put no space between words; character by character they are still found.
fn is_word_alone(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

fn lower_case(text: &str) -> String {
    text.chars().take(WORD_CHARACTERS_MAX).flat_map(char::to_lowercase).collect()
}

/// What is left of an English word without the endings that tools and questions differ in: a tool is
/// `list_files` or `create_query`; the question says "listing a file", "queries created". A real stemmer
/// knows a hundred endings more, and would equate words that mean different tools (`operate`, `operation`,
/// `operator`).
fn stem(word: &str) -> String {
    if !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return word.to_owned();
    }
    let base = without_tense(without_plural(word));
    match (base.strip_suffix('e'), base.strip_suffix('y')) {
        (Some(start), _) if start.len() > 2 => start.to_owned(),
        (_, Some(start)) if start.len() > 2 && !start.ends_with(VOWELS) => format!("{start}i"),
        _ => base.to_owned(),
    }
}

const VOWELS: [char; 5] = ['a', 'e', 'i', 'o', 'u'];

/// `files`, `boxes`, `queries`; not `status`, `address`, `analysis`.
fn without_plural(word: &str) -> &str {
    let hisses = |start: &&str| ["ss", "us", "x", "zz", "ch", "sh"].iter().any(|hiss| start.ends_with(hiss));
    let is_plural = |start: &&str| start.len() > 1 && !start.ends_with(['s', 'u', 'i']);
    let with_es = word.strip_suffix("es").filter(|start| start.len() > 2 && (hisses(start) || is_of_y(start)));
    with_es.or(word.strip_suffix('s').filter(is_plural)).unwrap_or(word)
}

/// `listing`, `created`, `running`, `copied`; not `string`, `need`.
fn without_tense(word: &str) -> &str {
    let is_base = |start: &&str| start.len() > 2 && !start.ends_with('e') && start.contains(is_vowel_or_y);
    match word.strip_suffix("ing").or(word.strip_suffix("ed")).filter(is_base) {
        Some(start) if is_of_y(start) => start,
        Some(start) => without_doubling(start),
        None => word,
    }
}

/// `queri`, of `queries` and `query`.
fn is_of_y(start: &str) -> bool {
    start.len() > 3 && start.ends_with('i')
}

fn is_vowel_or_y(letter: char) -> bool {
    letter == 'y' || VOWELS.contains(&letter)
}

/// `running` is of `run`, but `filling` of `fill` and `adding` of `add`.
fn without_doubling(start: &str) -> &str {
    let mut letters = start.chars().rev();
    let doubled = letters.next().filter(|last| letters.next() == Some(*last));
    let doubled = doubled.filter(|last| start.len() > 3 && !is_vowel_or_y(*last) && !['l', 's', 'z'].contains(last));
    doubled.and_then(|last| start.strip_suffix(last)).unwrap_or(start)
}
