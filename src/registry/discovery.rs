//! Discovery: asking a server, in the background, which era it speaks and what it offers.

use crate::conf::EraChoice;
use crate::upstream::{Answer, EVERY_CAPABILITY, Endpoint, OWN_INFO, Pool, Question, Reply};
use serde_json::{Map, Value};
use std::time::Duration;
use tollbridge_filters::catalog::{Entry, Kind, Offer};
use tollbridge_filters::era::{Era, Eras, LEGACY, MODERN};
use tollbridge_filters::json::{self, Scanner};

/// Pages of one list; a server that has more goes in circles.
const PAGES_MAX: usize = 1_000;

/// Asks everything. `eras` is what an earlier round found, so that a dual-era server is not asked
/// for a session again and again.
pub async fn discover(pool: &Pool, eras: Option<Eras>, timeout: Duration) -> Result<Offer, String> {
    let endpoint = pool.best(&[]).ok_or("it has no address")?;
    let visit = Visit { pool, endpoint: &endpoint, timeout };
    match (pool.server.era, eras) {
        (EraChoice::Modern, _) => visit.modern(Eras::Only(Era::Modern)).await,
        (EraChoice::Legacy, _) => visit.legacy(Eras::Only(Era::Legacy)).await,
        (EraChoice::Auto, Some(Eras::Only(Era::Legacy))) => visit.legacy(Eras::Only(Era::Legacy)).await,
        (EraChoice::Auto, Some(eras)) => visit.modern(eras).await,
        (EraChoice::Auto, None) => visit.either().await,
    }
}

/// One round with one endpoint.
struct Visit<'v> {
    pool: &'v Pool,
    endpoint: &'v Endpoint,
    timeout: Duration,
}

/// A legacy session of the gateway's own.
struct LegacySession {
    version: String,
    id: Option<String>,
}

impl Visit<'_> {
    /// A server that nothing is known of: modern first, as the specification tells clients, and
    /// whether it serves legacy clients as well.
    async fn either(&self) -> Result<Offer, String> {
        match self.modern(Eras::Only(Era::Modern)).await {
            Ok(mut offer) => {
                offer.eras = match self.initialize().await {
                    Ok((session, _)) => {
                        self.end(&session).await;
                        Eras::Both
                    }
                    Err(_) => Eras::Only(Era::Modern),
                };
                Ok(offer)
            }
            Err(modern) => {
                let offer = self.legacy(Eras::Only(Era::Legacy)).await;
                offer.map_err(|legacy| format!("as a modern server: {modern}; as a legacy one: {legacy}"))
            }
        }
    }

    async fn modern(&self, eras: Eras) -> Result<Offer, String> {
        let result = self.result(&Question::discover()).await?;
        let speaks = result.get("supportedVersions").and_then(Value::as_array);
        if !speaks.is_some_and(|versions| versions.iter().any(|version| version == MODERN)) {
            return Err(format!("it does not list {MODERN} among its supportedVersions"));
        }
        let info = result.get("_meta").and_then(|meta| meta.get("io.modelcontextprotocol/serverInfo"));
        let mut offer = introduction(eras, &result, info);
        self.lists(&mut offer, None).await?;
        Ok(offer)
    }

    async fn legacy(&self, eras: Eras) -> Result<Offer, String> {
        let (session, result) = self.initialize().await?;
        let mut offer = introduction(eras, &result, result.get("serverInfo"));
        let listed = self.lists(&mut offer, Some(&session)).await;
        self.end(&session).await;
        listed.map(|()| offer)
    }

    async fn initialize(&self) -> Result<(LegacySession, Map<String, Value>), String> {
        let question = Question::initialize(LEGACY[0], EVERY_CAPABILITY, OWN_INFO);
        let answer = self.ask(&question).await?;
        let id = answer.session.clone();
        let result = object(question.method, answer)?;
        let version = result.get("protocolVersion").and_then(Value::as_str).unwrap_or(LEGACY[0]).to_owned();
        if version == MODERN {
            return Err("it answers `initialize` with a modern revision".to_owned());
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

    async fn lists(&self, offer: &mut Offer, session: Option<&LegacySession>) -> Result<(), String> {
        for kind in Kind::EVERY {
            if offer.capabilities.contains_key(kind.capability()) {
                let entries = self.list(kind, session).await?;
                offer.set(kind, entries);
            }
        }
        Ok(())
    }

    /// All pages of one list.
    async fn list(&self, kind: Kind, session: Option<&LegacySession>) -> Result<Vec<Entry>, String> {
        let mut entries = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let legacy = session.map(|session| (session.version.as_str(), session.id.as_deref()));
            let answer = self.ask(&Question::list(kind, cursor.as_deref(), legacy)).await?;
            let page = match answer.reply {
                Reply::Result(page) => page,
                // Resources without templates are common; such servers do not know the method.
                Reply::Error { code: -32601, .. } => return Ok(entries),
                other => return Err(refusal(kind.list_method(), answer.status, &other)),
            };
            entries.extend(read_entries(kind, page.get())?);
            cursor = next_cursor(page.get());
            if cursor.is_none() {
                return Ok(entries);
            }
        }
        Err(format!("{} goes on after {PAGES_MAX} pages", kind.list_method()))
    }

    async fn result(&self, question: &Question<'_>) -> Result<Map<String, Value>, String> {
        object(question.method, self.ask(question).await?)
    }

    async fn ask(&self, question: &Question<'_>) -> Result<Answer, String> {
        question.ask(&self.pool.server, self.endpoint, self.timeout).await
    }
}

fn object(method: &str, answer: Answer) -> Result<Map<String, Value>, String> {
    match &answer.reply {
        Reply::Result(result) => {
            serde_json::from_str(result.get()).map_err(|error| format!("{method} gave a result that is wrong: {error}"))
        }
        other => Err(refusal(method, answer.status, other)),
    }
}

fn refusal(method: &str, status: u16, reply: &Reply) -> String {
    match reply {
        Reply::Error { code, message } => format!("{method} was answered with error {code} ({message})"),
        _ => format!("{method} was answered with HTTP status {status} and no result"),
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

/// The entries of a page, each as the bytes that came. Those that a client must drop are dropped.
fn read_entries(kind: Kind, page: &str) -> Result<Vec<Entry>, String> {
    let wrong = |malformed: json::Malformed| format!("{} gave a page that is wrong: {malformed}", kind.list_method());
    let mut entries = Vec::new();
    if let Some(place) = json::find(page, [kind.member()]).map_err(wrong)? {
        let list = page.get(place).unwrap_or_default();
        let read = Scanner::new(list).array(|scanner| {
            let raw = list.get(scanner.value()?).unwrap_or_default();
            entries.extend(Entry::read(kind, raw));
            Ok(())
        });
        read.map_err(wrong)?;
    }
    Ok(entries)
}

/// An empty cursor is a cursor; only a missing one ends the list.
fn next_cursor(page: &str) -> Option<String> {
    let place = json::find(page, ["nextCursor"]).ok()??;
    let raw = page.get(place).filter(|raw| raw.starts_with('"'))?;
    Some(json::unquote(raw).into_owned())
}
