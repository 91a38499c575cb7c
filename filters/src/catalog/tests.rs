use super::*;
use crate::auth::{KeyRecord, Keyring, Role, digest};
use crate::era::Eras;
use crate::permit::{Grant, Groups};

fn principal(patterns: &[&str]) -> Principal {
    let grant = Grant::Matching(patterns.iter().map(|pattern| (*pattern).to_owned()).collect());
    let record =
        KeyRecord { id: "app".into(), digest: digest(b"key"), role: Role::User, grant, groups: Groups::Advisory };
    let mut headers = http::HeaderMap::new();
    headers.insert(http::header::AUTHORIZATION, "Bearer key".parse().unwrap());
    Keyring::new(&[record], Groups::Advisory).authenticate(&headers).unwrap()
}

fn id(text: &str) -> ServerId {
    ServerId::derive(text).unwrap()
}

fn server(name: &str, eras: Eras, tools: &[&str], resources: &[&str]) -> Server {
    let mut offer = Offer::default();
    offer.eras = eras;
    let entries = |kind: Kind, member: &str, keys: &[&str]| {
        let raw = keys.iter().map(|key| format!(r#"{{"{member}":"{key}","inputSchema":{{"type":"object"}}}}"#));
        raw.filter_map(|raw| Entry::read(kind, &raw)).collect::<Vec<_>>()
    };
    offer.capabilities.insert("resources".into(), serde_json::json!({}));
    offer.set(Kind::Tool, entries(Kind::Tool, "name", tools));
    offer.set(Kind::Resource, entries(Kind::Resource, "uri", resources));
    Server {
        id: id(name),
        state: State::Ready,
        offer: Some(Arc::new(offer)),
        profile: Arc::default(),
        announced: [0; 3],
    }
}

fn snapshot(naming: Naming) -> Snapshot {
    Snapshot::new(
        1,
        naming,
        vec![
            server("beta", Eras::Both, &["query", "only-b", "gamma-x"], &["r://both", "r://b"]),
            server("alpha", Eras::Only(Era::Legacy), &["query", "old"], &["r://both"]),
            server("gamma", Eras::Only(Era::Modern), &["x", "query"], &["r://both", "r://g"]),
        ],
        Arc::default(),
    )
}

fn names(snapshot: &Snapshot, kind: Kind, era: Era, patterns: &[&str], scope: &Scope) -> Vec<String> {
    let lines = snapshot.list(kind, era, &principal(patterns), scope);
    lines.iter().filter(|line| !line.hidden).map(|line| line.name.to_owned()).collect()
}

#[test]
fn lists_show_what_the_era_and_the_key_allow() {
    let always = snapshot(Naming::Always);
    let modern = names(&always, Kind::Tool, Era::Modern, &["*"], &Scope::All);
    assert_eq!(modern, ["beta__gamma-x", "beta__only-b", "beta__query", "gamma__query", "gamma__x"]);
    assert_eq!(names(&always, Kind::Tool, Era::Legacy, &["alpha"], &Scope::All), ["alpha__old", "alpha__query"]);
    assert_eq!(names(&always, Kind::Tool, Era::Modern, &["*"], &Scope::One(id("gamma"))), ["query", "x"]);
    assert_eq!(names(&always, Kind::Tool, Era::Modern, &["beta"], &Scope::One(id("gamma"))), [""; 0]);
    let conditional = names(&snapshot(Naming::Conditional), Kind::Tool, Era::Modern, &["*"], &Scope::All);
    assert_eq!(conditional, ["beta__query", "gamma-x", "gamma__query", "only-b", "x"]);
    let never = names(&snapshot(Naming::Never), Kind::Tool, Era::Modern, &["*"], &Scope::All);
    assert_eq!(never, ["gamma-x", "only-b", "query", "x"]);
}

#[test]
fn of_two_uris_the_first_visible_one_counts_and_the_other_is_said_to_be_hidden() {
    let snapshot = snapshot(Naming::Always);
    let caller = principal(&["*"]);
    let lines = snapshot.list(Kind::Resource, Era::Modern, &caller, &Scope::All);
    let seen: Vec<_> = lines.iter().map(|line| (line.name, line.server.as_str(), line.hidden)).collect();
    assert_eq!(
        seen,
        [("r://b", "beta", false), ("r://both", "beta", false), ("r://both", "gamma", true), ("r://g", "gamma", false)]
    );
    let holders = |uri: &str| snapshot.holders(uri, Era::Modern, &caller, &Scope::All).unwrap();
    assert_eq!(holders("r://both"), [id("beta")]);
    assert_eq!(holders("r://unlisted"), [id("beta"), id("gamma")]);
}

/// Whatever the naming, the policy and the era: each listed name can be called, reaches the entry
/// that it was listed for, and what is not visible is the same as what is not there.
#[test]
fn listed_is_callable_and_hidden_is_unknown() {
    let policies: [&[&str]; 6] = [&["*"], &["beta"], &["*a"], &["alpha", "gamma"], &["g*"], &["nobody"]];
    for naming in [Naming::Always, Naming::Conditional, Naming::Never] {
        let snapshot = snapshot(naming);
        for era in [Era::Legacy, Era::Modern] {
            for patterns in policies {
                let caller = principal(patterns);
                for line in snapshot.list(Kind::Tool, era, &caller, &Scope::All).iter().filter(|line| !line.hidden) {
                    let target = snapshot.resolve(Kind::Tool, line.name, era, &caller, &Scope::All);
                    let target = target.unwrap_or_else(|no| panic!("{} {naming:?} {patterns:?}: {no}", line.name));
                    assert_eq!(target.server.id, *line.server, "{} {naming:?} {patterns:?}", line.name);
                    assert_eq!(target.rename.as_deref().unwrap_or(line.name), line.entry.key);
                }
                for (server, tool) in [("alpha", "old"), ("beta", "only-b"), ("gamma", "x")] {
                    if !permit::execute(&caller, snapshot.server(&id(server)).unwrap()) {
                        let name = format!("{server}__{tool}");
                        let verdict = snapshot.resolve(Kind::Tool, &name, era, &caller, &Scope::All);
                        assert_eq!(verdict.err(), Some(Rejection::UnknownTool(name)));
                    }
                }
            }
        }
    }
}

#[test]
fn other_spellings_find_their_tool_or_say_what_they_could_mean() {
    let snapshot = snapshot(Naming::Always);
    let caller = principal(&["*"]);
    let resolve = |name: &str| snapshot.resolve(Kind::Tool, name, Era::Modern, &caller, &Scope::All);
    for spelling in ["beta.only-b", "beta-only-b", "mcp_beta__only-b", "only-b"] {
        let target = resolve(spelling).unwrap();
        assert_eq!((target.server.id.as_str(), target.rename.as_deref()), ("beta", Some("only-b")), "{spelling}");
    }
    let candidates = vec!["beta__gamma-x".to_owned(), "gamma__x".to_owned()];
    assert_eq!(resolve("gamma-x").err(), Some(Rejection::Ambiguous { name: "gamma-x".into(), candidates }));
    assert_eq!(resolve("nope").err(), Some(Rejection::UnknownTool("nope".into())));
    assert_eq!(resolve("alpha__old").err(), Some(Rejection::EraUnbridged { server: id("alpha"), era: Era::Modern }));
    let undiscovered = resolve("beta__brand-new").unwrap();
    assert_eq!((undiscovered.rename.as_deref(), undiscovered.entry.is_some()), (Some("brand-new"), false));
}

#[test]
fn function_names_find_their_tool_after_names_and_before_other_spellings() {
    let function = |name: &str| crate::names::function_name(name).into_owned();
    let taken = function("beta__get.page");
    let bare = function("get.page");
    let servers = [Naming::Always, Naming::Never].map(|naming| {
        let alpha = server("alpha", Eras::Both, &["get.page", "plain"], &[]);
        let beta = server("beta", Eras::Both, &["get.page", "größe", &bare], &[]);
        Snapshot::new(1, naming, vec![alpha, beta], Arc::default())
    });
    let [always, never] = servers;
    let everyone = principal(&["*"]);
    let beta_only = principal(&["beta"]);
    let beta = Scope::One(id("beta"));
    let alpha = Scope::One(id("alpha"));
    for (what, snapshot, caller, scope, name, expected) in [
        ("public", &always, &everyone, &Scope::All, taken.clone(), Some(("beta", Some("get.page"), true))),
        ("bare", &always, &everyone, &alpha, bare.clone(), Some(("alpha", Some("get.page"), true))),
        ("canonical first", &always, &everyone, &beta, bare.clone(), Some(("beta", None, true))),
        ("unicode", &always, &everyone, &beta, function("größe"), Some(("beta", Some("größe"), true))),
        ("not visible", &always, &beta_only, &Scope::All, function("alpha__get.page"), None),
        ("not visible", &always, &beta_only, &alpha, bare.clone(), None),
        ("canonical first", &never, &everyone, &Scope::All, bare.clone(), Some(("beta", None, true))),
        ("none", &always, &everyone, &alpha, "brand-new".into(), Some(("alpha", None, false))),
    ] {
        let target = snapshot.resolve(Kind::Tool, &name, Era::Modern, caller, scope).ok();
        let seen =
            target.as_ref().map(|found| (found.server.id.as_str(), found.rename.as_deref(), found.entry.is_some()));
        assert_eq!(seen, expected, "{what}: {name} at {scope:?}");
    }
    let prompt = never.resolve(Kind::Prompt, &bare, Era::Modern, &everyone, &Scope::All);
    assert_eq!(prompt.err(), Some(Rejection::UnknownPrompt(bare)), "models call tools alone");
}

/// With bare names two servers may have the same one: its function name means the server that the
/// name means.
#[test]
fn the_function_name_of_a_shared_name_goes_where_the_name_goes() {
    let with_page = |name: &str| server(name, Eras::Both, &["get.page"], &[]);
    let snapshot = Snapshot::new(1, Naming::Never, vec![with_page("alpha"), with_page("beta")], Arc::default());
    let function = crate::names::function_name("get.page");
    for (patterns, expected) in [(["*"], "alpha"), (["beta"], "beta")] {
        let caller = principal(&patterns);
        for name in ["get.page", &function] {
            let target = snapshot.resolve(Kind::Tool, name, Era::Modern, &caller, &Scope::All).unwrap();
            assert_eq!(target.server.id, id(expected), "{name} {patterns:?}");
            assert_eq!(target.rename.as_deref().unwrap_or(name), "get.page", "{name} {patterns:?}");
        }
    }
}

#[test]
fn spellings_lead_to_those_whom_asking_every_server_would_find() {
    let mut servers: Vec<Server> = ["a", "a-b", "a-b-c", "b"]
        .into_iter()
        .map(|name| server(name, Eras::Both, &["b", "c", "b-c", "b__c", "d"], &[]))
        .collect();
    let profile = |name: &str, alias: &str| Profile {
        name: name.to_owned(),
        alias: ServerId::derive(alias).ok(),
        ..Profile::default()
    };
    servers[0].profile = Arc::new(profile("The A", "first"));
    servers[1].profile = Arc::new(profile("b", "mcp-a"));
    let snapshot = Snapshot::new(1, Naming::Always, servers, Arc::default());
    let everybody = principal(&["*"]);
    let starts = ["", "mcp_", "a", "a-b", "a-b-c", "b", "The A", "first", "mcp-a", "mcp_a", "é"];
    for start in starts {
        for end in ["", "b", "c", "-c", ".b", "__c", "-b-c", "__b__c", ".d", "-x", "é"] {
            let name = format!("{start}{end}");
            let spells = |server: &&Server| server.spellings(&name).any(|bare| server.tool(bare).is_some());
            let expected: Vec<&ServerId> = snapshot.servers().filter(spells).map(|server| &server.id).collect();
            let holding = snapshot.spellings.holding(Kind::Tool, &name).iter().copied();
            let found = snapshot.spelling(&name, holding, &everybody, &Scope::All).filter(spells);
            assert_eq!(found.map(|server| &server.id).collect::<Vec<_>>(), expected, "{name}");
        }
    }
}
