//! The search for tools: which of them answer a question in plain words, and why. An index over one
//! generation of the catalog; it knows words and places in a list, neither servers nor permissions.
//!
//! The measure is BM25 over fields: a word counts more the fewer tools have it, more in a name than
//! in a description, and less in a long text. It is plain arithmetic, the same on every replica.

mod parameters;
mod words;

pub use parameters::parameters;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use words::{Word, words};

/// Documents beyond these are not found.
const DOCUMENTS_MAX: usize = 20_000;

/// Of each field; what stands behind them is not found.
const WORDS_PER_FIELD_MAX: usize = 256;

const QUERY_BYTES_MAX: usize = 2048;
const QUERY_WORDS_MAX: usize = 64;

/// A shorter word would begin too many others.
const BEGINNING_CHARACTERS_MIN: usize = 4;

/// Of the words that begin with a word of the query, so many are looked at.
const BEGUN_WORDS_MAX: usize = 256;

/// What the beginning of a word is worth, beside the word.
const BEGINNING_DISCOUNT: f64 = 0.5;

/// The strength at which a word counts half of what it can (the k1 of BM25).
const HALF_STRENGTH: f64 = 1.2;

/// How much of the length of a text is held against its words (the b of BM25).
const LENGTH_SHARE: f64 = 0.4;

/// What of a tool is searched.
#[derive(Debug)]
pub struct Document<'d> {
    pub name: &'d str,
    pub title: Option<&'d str>,
    pub description: Option<&'d str>,
    /// Names and descriptions of parameters, as [`parameters`] finds them.
    pub parameters: Vec<Cow<'d, str>>,
    pub server: &'d str,
}

/// A document that answers a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// Its place in the list that the index was built from.
    pub document: usize,
    /// From 0 to 1: the share of the query that the document answers, rare words weighing more.
    /// It does not depend on what else was found, so a poor match stays poor when it is alone.
    pub score: f64,
    /// Which words matched, and where.
    pub reasoning: String,
}

/// The words of all documents.
#[derive(Debug, Default)]
pub struct Index {
    /// By term; in the order of the alphabet those that begin alike stand together.
    postings: BTreeMap<String, Vec<Posting>>,
    documents: usize,
}

#[derive(Debug)]
struct Posting {
    document: usize,
    occurrence: Occurrence,
}

/// What a term is to a document.
#[derive(Debug, Clone, Copy, Default)]
struct Occurrence {
    strength: f64,
    fields: Fields,
}

/// What a word of the query is to a document.
#[derive(Debug, Default)]
struct Hit {
    strength: f64,
    whole: Fields,
    begun: Fields,
}

/// The hits of one word of the query, by document.
type Hits = BTreeMap<usize, Hit>;

impl Index {
    pub fn build<'d>(documents: impl Iterator<Item = Document<'d>>) -> Index {
        let mut index = Index::default();
        documents.take(DOCUMENTS_MAX).for_each(|document| index.add(&document));
        index
    }

    /// The best matches among the documents that the caller may see, the best first; equally good
    /// ones in the order of the documents.
    pub fn search(&self, query: &str, may_see: impl Fn(usize) -> bool, most: usize) -> Vec<Match> {
        let visible: Vec<bool> = (0..self.documents).map(may_see).collect();
        // Rarity is counted among what the caller may see: over all documents, the score of a visible
        // tool would tell how many invisible ones have a word.
        let population = visible.iter().filter(|visible| **visible).count();
        let asked = asked(query);
        let found: Vec<Hits> = asked.iter().map(|word| self.find(word, &visible)).collect();
        let mut whole = 0.0;
        let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
        for hits in &found {
            let rarity = rarity(hits.len(), population);
            whole += rarity;
            for (document, hit) in hits {
                *sums.entry(*document).or_default() += rarity * hit.strength / (hit.strength + HALF_STRENGTH);
            }
        }
        let mut ranked: Vec<(usize, f64)> = sums.into_iter().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        let best = ranked.into_iter().take(most);
        best.map(|(document, sum)| Match {
            document,
            score: sum / whole,
            reasoning: reasoning(document, &asked, &found),
        })
        .collect()
    }

    fn add(&mut self, document: &Document<'_>) {
        let mut occurrences: BTreeMap<String, Occurrence> = BTreeMap::new();
        for field in Field::EVERY {
            let texts = field.texts(document);
            let words: Vec<Word> = texts.iter().flat_map(|text| words(text)).take(WORDS_PER_FIELD_MAX).collect();
            let strength = field.strength(words.len());
            for (term, share) in words.into_iter().flat_map(Word::into_terms) {
                let occurrence = occurrences.entry(term).or_default();
                occurrence.strength += strength * share;
                occurrence.fields.add(field);
            }
        }
        for (term, occurrence) in occurrences {
            self.postings.entry(term).or_default().push(Posting { document: self.documents, occurrence });
        }
        self.documents += 1;
    }

    /// The visible documents that have a word, or one that begins with it.
    fn find(&self, word: &Word, visible: &[bool]) -> Hits {
        let mut hits = Hits::new();
        for term in word.terms() {
            for (document, occurrence) in self.occurrences(term, visible) {
                let hit = hits.entry(document).or_default();
                hit.strength = hit.strength.max(occurrence.strength);
                hit.whole.join(occurrence.fields);
            }
            for (document, occurrence) in self.begun_by(term).flat_map(|longer| self.occurrences(longer, visible)) {
                let hit = hits.entry(document).or_default();
                hit.strength = hit.strength.max(occurrence.strength * BEGINNING_DISCOUNT);
                hit.begun.join(occurrence.fields);
            }
        }
        hits
    }

    fn occurrences(&self, term: &str, visible: &[bool]) -> impl Iterator<Item = (usize, Occurrence)> {
        let postings = self.postings.get(term).into_iter().flatten();
        let seen = |posting: &&Posting| visible.get(posting.document).copied().unwrap_or_default();
        postings.filter(seen).map(|posting| (posting.document, posting.occurrence))
    }

    fn begun_by(&self, term: &str) -> impl Iterator<Item = &str> {
        let is_long = term.chars().count() >= BEGINNING_CHARACTERS_MIN;
        let behind = self.postings.range::<str, _>((Bound::Excluded(term), Bound::Unbounded)).map(|(term, _)| &**term);
        behind.take_while(move |longer| is_long && longer.starts_with(term)).take(BEGUN_WORDS_MAX)
    }
}

/// The words of a query without those that only make it a question; all of them, if there are no
/// others. What is too long is cut: nobody's question needs it, and each word costs a look-up.
fn asked(query: &str) -> Vec<Word> {
    let query = query.get(..query.floor_char_boundary(QUERY_BYTES_MAX)).unwrap_or_default();
    let mut asked: Vec<Word> = Vec::new();
    for word in words(query) {
        if asked.len() < QUERY_WORDS_MAX && !asked.iter().any(|known| known.is_same(&word)) {
            asked.push(word);
        }
    }
    if asked.iter().any(|word| !word.is_filler()) {
        asked.retain(|word| !word.is_filler());
    }
    asked
}

/// The inverse document frequency of BM25, and 1: in a catalog of a few tools it would be near 0 for
/// the words that they have. A word that no document has is as rare as one that a single one has.
fn rarity(having: usize, population: usize) -> f64 {
    let having = having.max(1) as f64;
    let without = (population as f64 - having).max(0.0);
    1.0 + (1.0 + (without + 0.5) / (having + 0.5)).ln()
}

/// `"weather" and "city" match the name; "city" matches a parameter`.
fn reasoning(document: usize, asked: &[Word], found: &[Hits]) -> String {
    let hits = || asked.iter().zip(found).filter_map(|(word, hits)| Some((word, hits.get(&document)?)));
    let mut reasons = Vec::new();
    for field in Field::EVERY {
        let whole: Vec<&Word> = hits().filter(|(_, hit)| hit.whole.has(field)).map(|(word, _)| word).collect();
        let begun = hits().filter(|(_, hit)| hit.begun.has(field) && !hit.whole.has(field));
        let begun: Vec<&Word> = begun.map(|(word, _)| word).collect();
        reasons.extend(reason(&whole, ["matches", "match"], field));
        reasons.extend(reason(&begun, ["begins a word of", "begin words of"], field));
    }
    reasons.join("; ")
}

fn reason(words: &[&Word], [one, several]: [&str; 2], field: Field) -> Option<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{}\"", word.text)).collect();
    let (last, before) = quoted.split_last()?;
    let place = field.phrase();
    if before.is_empty() {
        return Some(format!("{last} {one} {place}"));
    }
    Some(format!("{} and {last} {several} {place}", before.join(", ")))
}

/// The parts of a document, the telling ones first.
#[derive(Debug, Clone, Copy)]
enum Field {
    Name,
    Title,
    Description,
    Parameters,
    Server,
}

impl Field {
    const EVERY: [Field; 5] = [Field::Name, Field::Title, Field::Description, Field::Parameters, Field::Server];

    /// What one word of the field adds, if it has so many. Texts are measured against a usual length
    /// instead of the average of this catalog, which invisible tools would have a part in.
    fn strength(self, words: usize) -> f64 {
        let (weight, usual_words) = match self {
            Field::Name => (12.0, 3.0),
            Field::Title => (4.0, 4.0),
            Field::Description => (1.2, 20.0),
            Field::Parameters => (0.9, 15.0),
            Field::Server => (0.6, 1.0),
        };
        weight / (1.0 - LENGTH_SHARE + LENGTH_SHARE * words as f64 / usual_words)
    }

    fn texts<'d>(self, document: &'d Document<'_>) -> Vec<&'d str> {
        match self {
            Field::Name => vec![document.name],
            Field::Title => document.title.into_iter().collect(),
            Field::Description => document.description.into_iter().collect(),
            Field::Parameters => document.parameters.iter().map(|text| &**text).collect(),
            Field::Server => vec![document.server],
        }
    }

    fn phrase(self) -> &'static str {
        match self {
            Field::Name => "the name",
            Field::Title => "the title",
            Field::Description => "the description",
            Field::Parameters => "a parameter",
            Field::Server => "the server",
        }
    }
}

/// A set of fields, a bit each.
#[derive(Debug, Clone, Copy, Default)]
struct Fields(u8);

impl Fields {
    fn add(&mut self, field: Field) {
        self.0 |= 1 << field as u8;
    }

    fn join(&mut self, others: Fields) {
        self.0 |= others.0;
    }

    fn has(self, field: Field) -> bool {
        self.0 & (1 << field as u8) != 0
    }
}

#[cfg(test)]
mod tests;
