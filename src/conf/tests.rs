mod problems;

use super::*;
use std::fs;
use tollbridge_filters::arguments::Enforcement;
use tollbridge_filters::catalog::{AuthType, Origin};

const ENVIRONMENT: [(&str, &str); 12] = [
    ("REDIS_URL", "redis-sentinel://10.0.2.1,10.0.2.2,10.0.2.3/main"),
    ("REDIS_PASSWORD", "redis-password"),
    ("TOLLBRIDGE_KEY", "8f3c2a51d07e4b96a1c4"),
    ("TOLLBRIDGE_MASTER_KEY", "c0b7e1f24a9d5836e2f0"),
    ("TOLLBRIDGE_APP_KEY", "5d91a7c3e8b2406f7a1d"),
    ("FILES_TOKEN", "files-token"),
    ("OPENAI_API_KEY", "sk-proj-0123"),
    ("TOLLBRIDGE_SEAL", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    ("SHORT", "hunter2"),
    ("MINUTE", "60"),
    ("PASSWORD_URL", "http://root:hunter2@10.0.0.1/mcp"),
    ("EMPTY", ""),
];

fn read(text: &str) -> Result<Conf, Problems> {
    parse(text, &|name| ENVIRONMENT.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
}

fn good(text: &str) -> Conf {
    read(text).unwrap_or_else(|problems| panic!("{text}\nhas problems:\n{problems}"))
}

fn example(name: &str) -> String {
    fs::read_to_string(format!("{}/conf/{name}.yaml", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A certificate and its key, for as long as the test lasts.
struct Pair(std::path::PathBuf);

impl Pair {
    fn make(name: &str) -> Pair {
        let path = std::env::temp_dir().join(format!("tollbridge-{name}-{}", std::process::id()));
        let pair = Pair(path);
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]);
        let made = openssl.args(["-keyout", &pair.key(), "-out", &pair.cert()]).output();
        assert!(made.is_ok_and(|made| made.status.success()), "openssl makes certificates");
        pair
    }

    fn cert(&self) -> String {
        format!("{}.crt", self.0.display())
    }

    fn key(&self) -> String {
        format!("{}.key", self.0.display())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for path in [self.cert(), self.key()] {
            let _ = fs::remove_file(path);
        }
    }
}

/// The listener would find out only when it opens.
#[test]
fn certificates_are_read_before_they_are_needed() {
    let (one, other) = (Pair::make("first"), Pair::make("second"));
    let none = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/gateway.yaml").to_owned();
    let tls = |cert: &str, key: &str| format!("listen:\n  tls:\n    cert: {cert}\n    key: {key}");
    good(&tls(&one.cert(), &one.key()));
    for (text, line, piece) in [
        (tls(&one.cert(), &other.key()), 3, "cannot be used together"),
        (tls(&none, &one.key()), 3, "a PEM certificate or a PEM private key is missing"),
        (tls(&one.cert(), &none), 3, "a PEM certificate or a PEM private key is missing"),
        (format!("upstream_ca: {none}"), 1, "holds no PEM certificates"),
    ] {
        let problems = read(&text).expect_err(&text);
        let [problem] = problems.0.as_slice() else { panic!("{text}: {problems}") };
        assert!(problem.line == line && problem.message.contains(piece), "{text}: {problems}");
    }
}

fn credential(server: &Server) -> Vec<(&str, &str)> {
    server.credentials.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
}

#[test]
fn every_example_loads_and_a_reload_changes_nothing() {
    for name in ["gateway", "demo", "sidecar", "ha"] {
        let text = example(name);
        assert_eq!(good(&text), good(&text), "conf/{name}.yaml, read twice");
    }
}

#[test]
fn the_documented_file_is_the_defaults() {
    assert_eq!(parse(&example("gateway"), &|_| None), parse("", &|_| None), "conf/gateway.yaml against an empty file");
}

/// Also the keys that stand there as comments are spelled right, and their values are the defaults.
#[test]
fn the_documented_file_shows_every_key() {
    let seal = std::env::temp_dir().join(format!("tollbridge-seal-{}", std::process::id()));
    fs::write(&seal, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").unwrap();
    let one = Pair::make("one");
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(code) if !code.starts_with(' ') || code.starts_with("  ") => format!("{code}\n"),
        _ => format!("{line}\n"),
    };
    let text: String = example("gateway").lines().map(uncomment).collect();
    let text = text
        .replace("  keys: []\n", "")
        .replace("  allow: []\n", "")
        .replace("  llm: off\n", "")
        .replace("  store: embedded\n", "")
        .replace("queue: off\n", "")
        .replace("/etc/tollbridge/redis-ca.crt", &one.cert())
        .replace("/etc/tollbridge/seal", seal.to_str().unwrap())
        .replace("/etc/tollbridge/tls.crt", &one.cert())
        .replace("/etc/tollbridge/tls.key", &one.key())
        .replace("/etc/tollbridge/ca.crt", &one.cert());
    let conf = good(&text);
    fs::remove_file(&seal).unwrap();

    assert_eq!(conf.seal, good("seal: {keys: [\"${TOLLBRIDGE_SEAL}\"]}").seal, "base64 from a file against hex");
    assert_eq!(conf.threads, 2);
    assert_eq!(conf.passthrough, Some("127.0.0.1:8000".parse().unwrap()));
    assert!(conf.listen.tls.is_some());
    assert!(conf.upstream_ca.is_some());
    assert!(matches!(&conf.registry.store, Store::Redis(shared) if shared.ca.is_some() && shared.redis.is_tls));
    assert_eq!(conf.keys.len(), 2);
    let [files, search] = conf.servers.as_slice() else { panic!("servers, sorted by id: {:?}", conf.servers) };
    assert_eq!((files.id.as_str(), search.id.as_str()), ("files-eu", "search"));
    assert_eq!(
        (files.timeout, files.health, files.era, files.http),
        (search.timeout, search.health, search.era, search.http)
    );
    assert_eq!(files.endpoints, Endpoints::Dns("http://files.internal:3201/mcp".parse().unwrap()));
    assert_eq!(search.endpoints, Endpoints::Static(vec!["http://127.0.0.1:3100/mcp".parse().unwrap()]));
    assert_eq!(credential(files), [("authorization", "Bearer files-token")]);
    assert_eq!(conf.server_name.as_deref(), Some("tools"));
    assert_eq!(conf.registry.path, Some("/var/lib/tollbridge/registry.db".into()));
    assert_eq!(conf.outbound.names, ["stub.internal"]);
    let ranges = ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"].map(|range| range.parse().unwrap());
    assert_eq!(conf.outbound.ranges, ranges);
    let llm = conf.search.llm.expect("a language model");
    assert_eq!(llm.api_key.as_deref(), Some("sk-proj-0123"));
    assert_eq!(Some(llm), good("search: {llm: {}}").search.llm, "the defaults");
    let queue = conf.queue.expect("a queue");
    assert!(!queue.store.redis.is_tls && queue.store.ca.is_some());
    let least = good("queue: {principal: app, url: \"redis://h\"}\nkeys: [{id: app, key: abcdefghijklmnop}]");
    let least = least.queue.expect("a queue");
    assert_eq!((queue.in_flight, queue.lease), (least.in_flight, least.lease), "the defaults");
}

#[test]
fn the_queue_is_in_the_redis_of_the_registry_unless_it_says_where() {
    let keys = "keys: [{id: app, key: abcdefghijklmnop}]\nseal: {keys: [\"${TOLLBRIDGE_SEAL}\"]}\n";
    let registry = "registry: {store: redis, url: \"rediss://h:1/2\"}\n";
    let conf = good(&format!("{keys}{registry}queue: {{principal: app, in_flight: 1000, lease: 60s}}"));
    let queue = conf.queue.expect("a queue");
    assert_eq!(Store::Redis(queue.store), conf.registry.store);
    assert_eq!((queue.principal.as_str(), queue.in_flight, queue.lease), ("app", 1_000, Duration::from_secs(60)));
    let own = good(&format!("{keys}{registry}queue: {{principal: app, url: \"redis-sentinel://s/main\"}}"));
    assert!(matches!(own.queue.expect("a queue").store.redis.topology, Topology::Sentinel { .. }));
    assert_eq!(good("queue: off").queue, None);
    assert_eq!(good("queue:").queue, None);
}

#[test]
fn what_is_on_by_default_is_switched_off_by_name() {
    let off = good(
        "surfaces: {routeiq: off, litellm: false, oliverye: off, registry_api: off, plain: off, tool_calls: off}
validation: {native: warn, rest: off}
access_groups: {enforce: on}
registry: {public: true, store: embedded}
search: {meta_tools: on, llm: {base_url: \"http://127.0.0.1:11434/v1\", model: small, api_key: \"\", timeout: 500ms}}
limits: {heartbeat: 1s}",
    );
    let Surfaces { routeiq, litellm, oliverye, registry_api, plain, tool_calls } = off.surfaces;
    assert!(![routeiq, litellm, oliverye, registry_api, plain, tool_calls].contains(&true), "{:?}", off.surfaces);
    assert_eq!(off.validation, Validation { native: Enforcement::Warn, rest: Enforcement::Off });
    assert!(off.access_groups_enforced && off.registry.public && off.search.meta_tools);
    assert_eq!(off.limits.heartbeat, Duration::from_secs(1));
    let llm = off.search.llm.expect("a language model");
    assert_eq!((llm.model.as_str(), llm.api_key, llm.timeout), ("small", None, Duration::from_millis(500)));

    let on = good("").surfaces;
    assert!(on.routeiq && on.litellm && on.oliverye && on.registry_api && on.plain && on.tool_calls);
    assert_eq!(good("").validation, Validation { native: Enforcement::Off, rest: Enforcement::Enforce });
}

#[test]
fn the_registry_lies_beside_the_configuration() {
    let beside = |file: Option<&str>| good("").registry_path(file.map(Path::new));
    assert_eq!(beside(Some("/etc/tollbridge/gateway.yaml")), Some("/etc/tollbridge/gateway.db".into()));
    assert_eq!(beside(Some("odd.db")), Some("odd.db.db".into()), "never the file itself");
    assert_eq!(beside(None), None);
    let said = good("registry: {path: /var/lib/r.db}");
    assert_eq!(said.registry_path(Some(Path::new("gateway.yaml"))), Some("/var/lib/r.db".into()));
    let shared = good("registry: {store: redis, url: \"redis://h\"}\nseal: {keys: [\"${TOLLBRIDGE_SEAL}\"]}");
    assert_eq!(shared.registry_path(Some(Path::new("gateway.yaml"))), Some("gateway.snapshot".into()));
}

#[test]
fn a_server_of_the_file_has_the_defaults_of_one_that_is_registered() {
    for url in ["http://127.0.0.1:3100/mcp", "https://files.example/mcp"] {
        let conf = good(&format!("servers: {{Files.EU: {{url: \"{url}\"}}}}"));
        let id = ServerId::derive("Files.EU").unwrap();
        let registered = Server::at(id, "Files.EU", Endpoints::at(url.parse().unwrap()));
        assert_eq!(conf.servers, [registered]);
        assert_eq!(conf.servers[0].profile.url, url);
    }
}

#[test]
fn a_server_is_described_as_its_registration_says() {
    let conf = good(
        r#"
servers:
  a: {url: "http://h/mcp", name: Files, description: the archive, alias: My.Archive, access_groups: [legal, ops]}
  b: {endpoints: ["http://10.0.0.1/mcp", "http://10.0.0.2/mcp"], tools: [one, two], resources: ["file:///a"]}
mcp_servers:
  c: {url: "http://h/c", transport: streamable_http, tools: [stub.echo], auth_type: api_key, auth_value: abc}
mcpServers: {"d": {"url": "http://h/d", "headers": {"Authorization": "Basic YTpi"}}}
"#,
    );
    let [a, b, c, d] = [0, 1, 2, 3].map(|index| &conf.servers[index].profile);
    assert_eq!((a.name.as_str(), a.description.as_deref()), ("Files", Some("the archive")));
    assert_eq!(a.alias.as_ref().map(ServerId::as_str), Some("my-archive"));
    assert_eq!(a.access_groups, ["legal", "ops"]);
    assert_eq!((b.name.as_str(), b.url.as_str()), ("b", "http://10.0.0.1/mcp"));
    assert_eq!(
        (b.tools.as_slice(), b.resources.as_slice()),
        (&["one".into(), "two".into()][..], &["file:///a".into()][..])
    );
    assert_eq!(c.tools, ["stub.echo"]);
    assert_eq!(
        [a, b, c, d].map(|profile| profile.auth_type),
        [AuthType::None, AuthType::None, AuthType::ApiKey, AuthType::Basic]
    );
    assert!([a, b, c, d].into_iter().all(|profile| profile.origin == Origin::File));
}

#[test]
fn foreign_spellings_are_merged() {
    let conf = good(
        r#"
servers: {c: {url: "http://localhost:1/mcp", http: 1.1}}
mcp_servers:
  Git.Hub_1: {url: https://github.example/mcp, transport: streamable_http, auth_type: api_key, auth_value: abc}
mcpServers: {"b": {"type": "http", "url": "http://[::1]:2/mcp", "headers": {"Authorization": "Bearer t", "X-Org": "1"}}}
"#,
    );
    let [b, c, git] = conf.servers.as_slice() else { panic!("{:?}", conf.servers) };
    assert_eq!((git.id.as_str(), git.profile.external_id.as_str()), ("git-hub-1", "Git.Hub_1"));
    assert_eq!(credential(git), [("x-api-key", "abc")]);
    assert_eq!(credential(b), [("authorization", "Bearer t"), ("x-org", "1")]);
    assert_eq!(c.http, Http::One);
    assert!([b, c].into_iter().all(|server| matches!(server.endpoints, Endpoints::Static(_))), "need no resolver");
}

#[test]
fn client_settings_in_json_are_read() {
    let json =
        "{\n\t\"mcpServers\": {\n\t\t\"a\": {\"type\": \"http\", \"url\": \"http:\\/\\/10.0.0.1\\/mcp\"}\n\t}\n}\r\n";
    assert_eq!(good(json).servers.len(), 1);
}

#[test]
fn values_are_read_as_text_whatever_yaml_makes_of_them() {
    let conf =
        good("access_log: off\nlisten: {addr: \"[::1]:1\", hosts: [No, 10.0.0.1]}\nlimits: {page: 7, body_bytes: 2MB}");
    assert_eq!(conf.access_log, AccessLog::Off);
    assert_eq!(conf.listen.hosts, ["no", "10.0.0.1"]);
    assert_eq!((conf.limits.page, conf.limits.body_bytes), (7, 2_000_000));

    let server = |token: &str| {
        let text = format!("servers: {{s: {{url: http://h/mcp, auth: {{type: bearer, token: {token}}}}}}}");
        good(&text).servers[0].credentials[0].1.to_str().unwrap().to_owned()
    };
    assert_eq!(server("\"$${FILES_TOKEN}-${FILES_TOKEN}-$x\""), "Bearer ${FILES_TOKEN}-files-token-$x");
    assert_eq!(server("0x10"), "Bearer 0x10");
}

#[test]
fn a_key_is_given_as_secret_or_digest() {
    let conf = good(
        "keys: [{id: a, key: abcdefghijklmnop}, {id: b, servers: [Files.*, Git_Hub], role: admin,
         key: \"sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855\"}]",
    );
    assert_eq!(conf.keys[0].digest, tollbridge_filters::auth::digest(b"abcdefghijklmnop"));
    assert_eq!(conf.keys[1].digest, tollbridge_filters::auth::digest(b""));
    let patterns = vec!["files-*".to_owned(), "git-hub".to_owned()];
    assert_eq!(conf.keys[1].grant, tollbridge_filters::permit::Grant::Matching(patterns));
}
