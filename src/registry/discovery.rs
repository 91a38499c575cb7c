//! Discovery: asking a server, in the background, which era it speaks and what it offers.

use super::dialect;
use crate::conf::EraChoice;
use crate::upstream::{Answer, EVERY_CAPABILITY, Endpoint, OWN_INFO, Pool, Question, Reply};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::time::Duration;
use tollbridge_filters::catalog::{Dialect, Entry, Kind, Offer};
use tollbridge_filters::era::{Era, Eras, LEGACY, MODERN};
use tollbridge_filters::json::{self, Malformed, Scanner};

/// Of one list; a server that has more has no end.
const PAGES_MAX: usize = 1_000;
const LIST_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What a round found.
pub struct Found {
    pub offer: Offer,
    /// What is not as it should be.
    pub doubt: Option<Doubt>,
}

#[derive(PartialEq, Eq)]
pub struct Doubt {
    pub why: String,
    /// Whether it may be another matter in a moment.
    pub is_passing: bool,
}

impl Doubt {
    fn passing(why: String) -> Doubt {
        Doubt { why, is_passing: true }
    }

    fn lasting(why: String) -> Doubt {
        Doubt { why, is_passing: false }
    }
}

/// Asks everything. `before` is what an earlier round found: a dual-era server is not asked for a
/// session again and again, and a list that cannot be had now stays as it was.
pub async fn discover(pool: &Pool, before: Option<&Offer>, timeout: Duration) -> Result<Found, String> {
    let endpoint = pool.best(&[]).ok_or("it has no address")?;
    let mut visit = Visit { pool, endpoint: &endpoint, timeout, before, doubt: None };
    let is_plain = before.is_some_and(|offer| matches!(offer.dialect, Dialect::Rest { .. }));
    let is_dual = !is_plain && before.is_some_and(|offer| offer.eras == Eras::Both);
    let found = match pool.server.era {
        EraChoice::Modern => visit.modern(Eras::Only(Era::Modern)).await,
        EraChoice::Legacy => visit.legacy(Eras::Only(Era::Legacy)).await,
        EraChoice::Auto if is_plain => match dialect::discover(pool, &endpoint, timeout).await {
            Some(offer) => Ok(offer),
            None => visit.either().await,
        },
        EraChoice::Auto if is_dual => match visit.modern(Eras::Both).await {
            // It is another server now.
            Err(Unanswered::Refused(_) | Unanswered::NotThere(_)) => visit.either().await,
            found => found,
        },
        EraChoice::Auto => visit.either().await,
    };
    let offer = found.map_err(|unanswered| unanswered.to_string())?;
    Ok(Found { offer, doubt: visit.doubt })
}

/// One round with one endpoint.
struct Visit<'v> {
    pool: &'v Pool,
    endpoint: &'v Endpoint,
    timeout: Duration,
    before: Option<&'v Offer>,
    doubt: Option<Doubt>,
}

/// Why a question has no result.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    /// It does not do that.
    #[error("{0}")]
    Refused(String),
    /// There is nobody who knows JSON-RPC.
    #[error("{0}")]
    NotThere(String),
    /// It cannot do that now, or not for us, which says nothing of the next time (MCP 2026-07-28,
    /// Versioning: neither 401 and 403 nor 5xx tell a server's era).
    #[error("{0}")]
    Hindered(String),
}

/// A legacy session of the gateway's own.
struct LegacySession {
    version: String,
    id: Option<String>,
}

impl Visit<'_> {
    /// A server that nothing is known of: modern first, as the specification tells clients, and
    /// whether it serves legacy clients as well.
    async fn either(&mut self) -> Result<Offer, Unanswered> {
        match self.modern(Eras::Only(Era::Modern)).await {
            Ok(mut offer) => {
                match self.initialize().await {
                    Ok((session, _)) => {
                        self.end(&session).await;
                        offer.eras = Eras::Both;
                    }
                    Err(legacy) => self.doubt_era(&legacy),
                }
                Ok(offer)
            }
            Err(modern) => match self.legacy(Eras::Only(Era::Legacy)).await {
                Ok(offer) => {
                    self.doubt_era(&modern);
                    Ok(offer)
                }
                Err(legacy) => self.neither(&modern, &legacy).await,
            },
        }
    }

    /// A server that knows no JSON-RPC may speak RouteIQ's REST dialect.
    async fn neither(&self, modern: &Unanswered, legacy: &Unanswered) -> Result<Offer, Unanswered> {
        if let (Unanswered::NotThere(_), Unanswered::NotThere(_)) = (modern, legacy)
            && let Some(offer) = dialect::discover(self.pool, self.endpoint, self.timeout).await
        {
            return Ok(offer);
        }
        Err(Unanswered::Hindered(format!("as a modern server: {modern}; as a legacy one: {legacy}")))
    }

    fn doubt_era(&mut self, other: &Unanswered) {
        if !matches!(other, Unanswered::Refused(_) | Unanswered::NotThere(_)) {
            let why = format!("whether it speaks the other era as well is not known: {other}");
            self.doubt = Some(Doubt::passing(why));
        }
    }

    async fn modern(&mut self, eras: Eras) -> Result<Offer, Unanswered> {
        let question = Question::discover();
        let mut answer = self.ask(&question).await?;
        // Who refuses a revision and names what it speaks is to be asked again (MCP 2026-07-28, Versioning).
        if matches!(&answer.reply, Reply::Error { supported, .. } if supported.iter().any(|known| known == MODERN)) {
            answer = self.ask(&question).await?;
        }
        let result = object(question.method, answer)?;
        let speaks = result.get("supportedVersions").and_then(Value::as_array);
        if !speaks.is_some_and(|versions| versions.iter().any(|version| version == MODERN)) {
            return Err(Unanswered::Refused(format!("it does not list {MODERN} among its supportedVersions")));
        }
        let info = result.get("_meta").and_then(|meta| meta.get("io.modelcontextprotocol/serverInfo"));
        let mut offer = introduction(eras, &result, info);
        self.lists(&mut offer, None).await?;
        Ok(offer)
    }

    async fn legacy(&mut self, eras: Eras) -> Result<Offer, Unanswered> {
        let (session, result) = self.initialize().await?;
        let mut offer = introduction(eras, &result, result.get("serverInfo"));
        let listed = self.lists(&mut offer, Some(&session)).await;
        self.end(&session).await;
        listed.map(|()| offer)
    }

    async fn initialize(&self) -> Result<(LegacySession, Map<String, Value>), Unanswered> {
        let question = Question::initialize(LEGACY[0], EVERY_CAPABILITY, OWN_INFO);
        let answer = self.ask(&question).await?;
        let id = answer.session.clone();
        let result = object(question.method, answer)?;
        let version = result.get("protocolVersion").and_then(Value::as_str).unwrap_or(LEGACY[0]).to_owned();
        if version == MODERN {
            return Err(Unanswered::Refused("it answers `initialize` with a modern revision".to_owned()));
        }
        let session = LegacySession { version, id };
        if let Err(why) = self.ask(&Question::initialized(&session.version, session.id.as_deref())).await {
            self.end(&session).await;
            return Err(why);
        }
        Ok((session, result))
    }

    async fn end(&self, session: &LegacySession) {
        if let Some(id) = &session.id {
            let goodbye = crate::session::goodbye(&session.version, id);
            crate::session::end_upstream(&self.pool.server, self.endpoint, &goodbye).await;
        }
    }

    async fn lists(&mut self, offer: &mut Offer, session: Option<&LegacySession>) -> Result<(), Unanswered> {
        for kind in Kind::EVERY {
            if !offer.capabilities.contains_key(kind.capability()) {
                continue;
            }
            let entries = match self.list(kind, session).await {
                Ok(entries) => entries,
                // Tools are what a server is there for; without the rest it is still of use.
                Err(unanswered) if kind != Kind::Tool => {
                    self.doubt = Some(Doubt::passing(unanswered.to_string()));
                    self.before.map(|before| before.entries(kind).to_vec()).unwrap_or_default()
                }
                Err(unanswered) => return Err(unanswered),
            };
            offer.set(kind, entries);
        }
        Ok(())
    }

    /// All pages of one list.
    async fn list(&mut self, kind: Kind, session: Option<&LegacySession>) -> Result<Vec<Entry>, Unanswered> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        let (mut cursor, mut cursors) = (None, HashSet::new());
        for _ in 0..PAGES_MAX {
            let legacy = session.map(|session| (session.version.as_str(), session.id.as_deref()));
            let answer = self.ask(&Question::list(kind, cursor.as_deref(), legacy)).await?;
            let page = match answer.reply {
                Reply::Result(page) => page,
                // Resources without templates are common; such servers do not know the method.
                Reply::Error { code: -32601, .. } => return Ok(entries),
                other => return Err(refusal(kind.list_method(), answer.status, &other)),
            };
            bytes += page.get().len();
            if bytes > LIST_BYTES_MAX {
                break;
            }
            let page = Page::read(kind, page.get()).map_err(|malformed| {
                Unanswered::Refused(format!("{} gave a page that is wrong: {malformed}", kind.list_method()))
            })?;
            entries.extend(page.entries);
            let Some(next) = page.next else {
                return Ok(entries);
            };
            if !cursors.insert(next.clone()) {
                let why = format!("{} goes in circles: the cursor {next:?} comes again", kind.list_method());
                self.doubt = Some(Doubt::lasting(why));
                return Ok(entries);
            }
            cursor = Some(next);
        }
        let (method, pages, bytes) = (kind.list_method(), PAGES_MAX, LIST_BYTES_MAX);
        self.doubt = Some(Doubt::lasting(format!("{method} goes on after {pages} pages or {bytes} bytes")));
        Ok(entries)
    }

    async fn ask(&self, question: &Question<'_>) -> Result<Answer, Unanswered> {
        question.ask(&self.pool.server, self.endpoint, self.timeout).await.map_err(Unanswered::Hindered)
    }
}

fn object(method: &str, answer: Answer) -> Result<Map<String, Value>, Unanswered> {
    match &answer.reply {
        Reply::Result(result) => serde_json::from_str(result.get())
            .map_err(|error| Unanswered::Refused(format!("{method} gave a result that is wrong: {error}"))),
        other => Err(refusal(method, answer.status, other)),
    }
}

fn refusal(method: &str, status: u16, reply: &Reply) -> Unanswered {
    let why = reply.refusal(method, status);
    match status {
        401 | 403 | 408 | 429 | 500.. => Unanswered::Hindered(why),
        404 | 405 if matches!(reply, Reply::Nothing) => Unanswered::NotThere(why),
        _ => Unanswered::Refused(why),
    }
}

fn introduction(eras: Eras, result: &Map<String, Value>, info: Option<&Value>) -> Offer {
    let capabilities = result.get("capabilities").and_then(Value::as_object).cloned().unwrap_or_default();
    let instructions = result.get("instructions").and_then(Value::as_str).map(str::to_owned);
    let mut offer = Offer::default();
    offer.eras = eras;
    offer.capabilities = capabilities;
    offer.server_info = info.cloned().unwrap_or_default();
    offer.instructions = instructions;
    offer
}

/// One page of a list.
#[derive(Default)]
struct Page {
    entries: Vec<Entry>,
    /// An empty cursor is a cursor; only a missing one ends the list.
    next: Option<String>,
}

impl Page {
    /// Each entry stays the bytes that came. Those that a client must drop, or could not read, are
    /// dropped.
    fn read(kind: Kind, text: &str) -> Result<Page, Malformed> {
        let mut page = Page::default();
        Scanner::tolerant(text).object(|scanner, key| match key.as_ref() {
            key if key == kind.member() => scanner.array(|scanner| {
                let raw = text.get(scanner.value()?).unwrap_or_default();
                page.entries.extend(Entry::read(kind, raw));
                Ok(())
            }),
            "nextCursor" => {
                let raw = text.get(scanner.value()?).filter(|raw| raw.starts_with('"'));
                page.next = raw.map(|raw| json::unquote(raw).into_owned());
                Ok(())
            }
            _ => scanner.value().map(drop),
        })?;
        Ok(page)
    }
}
