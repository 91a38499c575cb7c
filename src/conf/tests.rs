use super::*;
use std::fs;
use tollbridge_filters::catalog::{AuthType, Origin};

const ENVIRONMENT: [(&str, &str); 10] = [
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
    assert_eq!(off.validation, Validation { native: Check::Warn, rest: Check::Off });
    assert!(off.access_groups_enforced && off.registry.public && off.search.meta_tools);
    assert_eq!(off.limits.heartbeat, Duration::from_secs(1));
    let llm = off.search.llm.expect("a language model");
    assert_eq!((llm.model.as_str(), llm.api_key, llm.timeout), ("small", None, Duration::from_millis(500)));

    let on = good("").surfaces;
    assert!(on.routeiq && on.litellm && on.oliverye && on.registry_api && on.plain && on.tool_calls);
    assert_eq!(good("").validation, Validation { native: Check::Off, rest: Check::Enforce });
}

#[test]
fn the_registry_lies_beside_the_configuration() {
    let beside = |file: Option<&str>| good("").registry_path(file.map(Path::new));
    assert_eq!(beside(Some("/etc/tollbridge/gateway.yaml")), Some("/etc/tollbridge/gateway.db".into()));
    assert_eq!(beside(Some("odd.db")), Some("odd.db.db".into()), "never the file itself");
    assert_eq!(beside(None), None);
    let said = good("registry: {path: /var/lib/r.db}");
    assert_eq!(said.registry_path(Some(Path::new("gateway.yaml"))), Some("/var/lib/r.db".into()));
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

/// Each text beside the lines and a piece of the message of every problem in it, all and no others.
#[test]
fn problems_name_their_line_and_the_way_out() {
    let cases: &[(&str, &[(usize, &str)])] = &[
        // YAML itself.
        ("listen: 127.0.0.1:1\n  admin: x", &[(2, "this is not YAML: ")]),
        ("a: [1, 2\nb: 3", &[(2, "this is not YAML: ")]),
        ("threads: 1\nthreads: 2", &[(2, "the key \"threads\" stands on line 1 already")]),
        ("threads: 1\n---\nthreads: 2", &[(2, "a second document")]),
        ("threads: !env THREADS", &[(1, "tags (!name) are not read")]),
        ("threads: 1\n[a]: 2", &[(2, "a key must be plain text")]),
        ("- listen", &[(1, "here stands a list; write keys: listen, ")]),
        ("keys: [{id: a, key: ${SHORT}}]", &[(1, "write \"${NAME}\" in quotes")]),
        // Keys.
        ("lisen: 127.0.0.1:1", &[(1, "unknown key \"lisen\"; did you mean `listen`?")]),
        ("drain:\n  accept: 1s\n  color: red", &[(3, "drain: unknown key \"color\"; known here are accept, exit")]),
        ("limits: 3", &[(1, "limits: here stands a single value; write keys: head_bytes, ")]),
        ("servers:\n  a:\n    <<: {era: auto}\n    url: http://h/", &[(3, "merge keys are not read")]),
        // Quantities and choices.
        ("drain:\n  exit: 60", &[(2, "drain.exit: \"60\" is no duration; write a number with a unit, as in 60s")]),
        ("drain: {exit: \"${MINUTE}\"}", &[(1, "drain.exit: \"${MINUTE}\" is no duration")]),
        ("limits:\n  head_timeout: 0s", &[(2, "limits.head_timeout: \"0s\" is out of range; write 1ms to 24h")]),
        ("session: {max_age: 31h, idle: 721h}", &[(1, "session.idle: \"721h\" is out of range; write 1ms to 720h")]),
        ("limits: {body_bytes: 4MB/s}", &[(1, "\"4MB/s\" is no size; write bytes, or a unit")]),
        ("limits:\n  head_bytes: 2MiB", &[(2, "out of range; write 1KiB to 1MiB")]),
        ("limits:\n  body_bytes: 300MiB", &[(2, "one body (`body_bytes`, 300MiB)")]),
        ("threads: many", &[(1, "threads: \"many\" is no whole number")]),
        ("threads: 0", &[(1, "threads: \"0\" is out of range; write 1 to 1024")]),
        ("naming: sometimes", &[(1, "write one of always, conditional, never")]),
        ("access_log: stderr", &[(1, "access_log: \"stderr\" is no log; write stdout, off or {file: PATH}")]),
        ("drain:\n  accept: 30s", &[(2, "`accept` (30s) is longer than `exit` (25s)")]),
        (
            "servers: {a: {url: ftp://h, timeout: {call: 60}, era: new}}",
            &[
                (1, "servers.a.url: a URL starts with http"),
                (1, "servers.a.era: \"new\" is not known"),
                (1, "servers.a.timeout.call: \"60\" is no duration"),
            ],
        ),
        ("servers: {a: {url: http://h/}, A: {url: http://h/}}", &[(1, "the server on line 1 has the id \"a\"")]),
        (
            "servers:\n  a: {url: http://h/, alias: b}\n  b: {url: http://i/}\n  c: {url: http://j/, alias: B}",
            &[(2, "servers.a.alias: the server on line 3 has \"b\""), (4, "the server on line 3 has \"b\"")],
        ),
        (
            "servers:\n  a: {url: http://h/, alias: c}\n  b: {url: http://i/, alias: c}",
            &[(3, "servers.b.alias: the server on line 2 has \"c\" as its id or alias already")],
        ),
        ("servers:\n  a: {url: http://h/, alias: tools}", &[(2, "servers.a.alias: \"tools\" is a reserved word")]),
        ("servers:\n  a: {url: http://h/, tools: [\"\"]}", &[(2, "servers.a.tools[0]: this text is empty")]),
        // What is registered, and over which API.
        ("registry: {store: redis}", &[(1, "registry.store: the store redis is not there yet; write embedded")]),
        ("registry: {store: paper, public: yes}", &[(1, "\"paper\" is no store"), (1, "\"yes\" is no switch")]),
        ("registry: {path: /var/lib/}", &[(1, "no path of a file")]),
        (
            "outbound:\n  allow:\n    - 10.0.0.0/33\n    - http://h/\n    - 10.1\n    - 0x7f000001\n    - \"::1\"\n    - a.b.",
            &[
                (3, "outbound.allow[0]: \"10.0.0.0/33\" is no range, no address and no name"),
                (4, "outbound.allow[1]"),
                (5, "outbound.allow[2]"),
                (6, "outbound.allow[3]"),
                (8, "outbound.allow[5]"),
            ],
        ),
        ("surfaces: {routeiq: maybe}", &[(1, "surfaces.routeiq: \"maybe\" is no switch; write on or off")]),
        (
            "validation: {rest: on}",
            &[(1, "validation.rest: \"on\" is not known here; write one of off, warn, enforce")],
        ),
        ("search: {llm: on}", &[(1, "search.llm: \"on\" is no language model; write off, or keys: base_url")]),
        ("search: {llm: {base_url: \"${PASSWORD_URL}\"}}", &[(1, "search.llm.base_url: a URL cannot carry a user")]),
        ("limits: {heartbeat: 0s}", &[(1, "limits.heartbeat: \"0s\" is out of range")]),
        ("server_name: \"\"", &[(1, "a name has 1 to 128 characters")]),
        // Listeners.
        ("listen: localhost:8080", &[(1, "\"localhost:8080\" is no address; write an IP address and a port")]),
        ("listen: 127.0.0.1:0", &[(1, "write a port from 1 to 65535")]),
        ("admin:\n  listen: 127.0.0.1:8080", &[(2, "share a port")]),
        (
            "listen:\n  addr: 0.0.0.0:8080",
            &[(2, "listen.addr: 0.0.0.0:8080 is open to other hosts and there are no `keys`")],
        ),
        ("keys: []\nlisten: 0.0.0.0:8080", &[(2, "refuses to start")]),
        (
            "keys:\n  - {id: a, key: abcdefghijklmnop}\nadmin: {listen: \"[::]:9090\"}",
            &[(3, "admin.listen: [::]:9090 is open to other hosts and no key has `role: admin`")],
        ),
        (
            "listen:\n  tls:\n    cert: /nowhere/tls.crt",
            &[
                (2, "listen.tls: `key` is missing"),
                (3, "listen.tls.cert: cannot read \"/nowhere/tls.crt\" (No such file"),
            ],
        ),
        ("listen:\n  hosts: [a.example, http://b.example]", &[(2, "listen.hosts[1]: ")]),
        ("listen:\n  origins:\n    - https://a.example\n    - b.example", &[(4, "is no origin")]),
        ("passthrough: https://127.0.0.1:8000", &[(1, "as in http://127.0.0.1:8000")]),
        ("passthrough: http://localhost:8000/app", &[(1, "no path")]),
        ("passthrough: http://localhost:8080", &[(1, "where the gateway itself listens")]),
        // Keys that open.
        ("keys:\n  - {id: a, key: \"${SHORT}\"}", &[(2, "keys[0].key: this secret is shorter than 16 characters")]),
        ("keys:\n  - {id: a, key: \"${MISSING}\"}", &[(2, "the environment variable MISSING is not set")]),
        ("keys:\n  - {id: a, key: \"${file:/nowhere}\"}", &[(2, "cannot read the file \"/nowhere\"")]),
        ("keys:\n  - {id: a, key: \"${MISSING:-x}\"}", &[(2, "is no name of a variable")]),
        ("keys:\n  - {id: a, key: \"${abcdefghijklmnop\"}", &[(2, "a `${` is not closed")]),
        ("keys:\n  - {id: a, key: changemechangeme}", &[(2, "well-known default")]),
        ("keys:\n  - {id: a, key: \"sha256:12\"}", &[(2, "64 hex digits")]),
        ("keys:\n  - {id: a, key: abcdefghijklmnop}\n  - {id: a, key: ABCDEFGHIJKLMNOP}", &[(3, "line 2 has this id")]),
        (
            "keys:\n  - {id: a, key: abcdefghijklmnop}\n  - {id: b, key: abcdefghijklmnop}",
            &[(3, "line 2 has this secret")],
        ),
        ("keys:\n  - key: abcdefghijklmnop\n    role: root", &[(2, "`id` is missing"), (3, "one of user, admin")]),
        ("keys:\n  - {id: a, key: abcdefghijklmnop, servers: [\"a b\"]}", &[(2, "\"a b\" names no server")]),
        ("seal:\n  keys:\n    - \"${SHORT}\"", &[(3, "seal.keys[0]: a seal is 32 bytes")]),
        // Servers.
        (
            "servers:\n  a: {}\n  b:",
            &[(2, "servers.a: `url` is missing"), (3, "servers.b: here stands nothing; write keys: url, ")],
        ),
        ("servers:\n  a:\n    url: http://h/\n    endpoints: [http://i/]", &[(4, "there is a `url` as well")]),
        (
            "servers:\n  a:\n    endpoints:\n      - http://h/\n      - https://i/\n      - http://h/",
            &[(5, "share http or https"), (6, "in the list already")],
        ),
        ("servers:\n  tools: {url: http://h/}", &[(2, "\"tools\" is a reserved word")]),
        (
            "servers:\n  a.b: {url: http://h/}\nmcpServers:\n  A_B: {url: http://i/}",
            &[(4, "the server on line 2 has the id \"a-b\"")],
        ),
        ("servers:\n  a: {url: ftp://h/}", &[(2, "servers.a.url: a URL starts with http:// or https://")]),
        ("servers:\n  a: {url: \"${PASSWORD_URL}\"}", &[(2, "cannot carry a user or password")]),
        ("servers:\n  a: {url: \"http://h/#x\"}", &[(2, "cannot have a fragment")]),
        ("servers:\n  a: {url: http://h.example./mcp}", &[(2, "ends with a dot")]),
        ("servers:\n  a: {url: \"http://h:0/\"}\n  b: {url: \"http://h:65536/\"}", &[(2, "the port"), (3, "the port")]),
        ("servers:\n  a: {url: http://127.1/mcp}", &[(2, "is no IP address")]),
        ("servers:\n  a: {url: http://0x7f000001/mcp}", &[(2, "is no IP address")]),
        ("servers:\n  a: {url: 127.0.0.1:3100}", &[(2, "http://")]),
        (
            "servers:\n  a:\n    command: npx\n    args: [x]",
            &[(3, "servers.a.command: the transport stdio is not there yet")],
        ),
        ("servers:\n  a: {type: sse, url: http://h/}", &[(2, "the transport sse is not there yet")]),
        ("servers:\n  a: {transport: carrier, url: http://h/}", &[(2, "\"carrier\" is no transport")]),
        ("servers:\n  a:\n    url: http://h/\n    timeout:\n      call: 20m", &[(5, "longer than `call_max` (15m)")]),
        (
            "servers:\n  a:\n    url: http://h/\n    auth: {type: bearer, name: x}",
            &[
                (4, "servers.a.auth.name: this does not belong to that `type`"),
                (4, "servers.a.auth: `token` is missing"),
            ],
        ),
        ("servers:\n  a:\n    url: http://h/\n    auth: {type: bearer, token: \"${EMPTY}\"}", &[(4, "one word")]),
        (
            "servers:\n  a:\n    url: http://h/\n    auth: {type: none}\n    headers: {x-a: b}",
            &[(5, "is written twice")],
        ),
        ("servers:\n  a:\n    url: http://h/\n    headers:\n      x-a: \"two\\nlines\"", &[(5, "no header carries")]),
        ("servers:\n  a:\n    url: http://h/\n    headers: {Host: b}", &[(4, "writes the header host itself")]),
        ("servers:\n  a:\n    url: http://h/\n    auth_type: bearer_token", &[(4, "`auth_value` is missing")]),
        (
            "servers:\n  a:\n    url: http://h/\n    forward_headers:\n      - x-a\n      - Cookie\n      - Mcp-Session-Id",
            &[(6, "cookie carries the client's credential"), (7, "writes the header mcp-session-id itself")],
        ),
    ];
    let mut wrong = String::new();
    for (text, expected) in cases {
        let problems = read(text).expect_err(text);
        let as_expected = |(problem, (line, piece)): (&Problem, &(usize, &str))| {
            problem.line == *line && problem.message.contains(piece)
        };
        let all = problems.0.len() == expected.len() && problems.0.iter().zip(*expected).all(as_expected);
        if !all || problems.to_string().contains("hunter2") {
            wrong.push_str(&format!("\n{text}\n--- expected {expected:?}, found:\n{problems}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn all_problems_come_out_at_once_in_the_order_of_the_lines() {
    let text = "\
servers:
  files:
    url: http://files/mcp
    timeot: {call: 1s}
    timeout:
      call: 60
listen: 0.0.0.0:8080
acces_log: off
keys:
";
    let expected = "\
line 4: servers.files: unknown key \"timeot\"; did you mean `timeout`?
line 6: servers.files.timeout.call: \"60\" is no duration; write a number with a unit, as in 60s, 500ms or 2m
line 7: listen: 0.0.0.0:8080 is open to other hosts and there are no `keys`, so the gateway refuses to start; \
add a key, or listen on 127.0.0.1
line 8: unknown key \"acces_log\"; did you mean `access_log`?";
    assert_eq!(read(text).unwrap_err().to_string(), expected);
}

#[test]
fn a_file_cannot_unfold_into_more_than_it_is() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", [before.as_str(); 9].join(", ")));
    }
    assert!(read(&bomb).unwrap_err().to_string().contains("more than 100000 values"));

    let deep = format!("servers: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(read(&deep).unwrap_err().to_string().contains("this is not YAML"), "nesting has a limit");

    let large = format!("# {}\n", "x".repeat(1024 * 1024));
    assert!(read(&large).unwrap_err().to_string().contains("larger than 1 MiB"));

    let repeated = good("servers: {a: &a {url: http://h/mcp}, b: *a}");
    assert_eq!(repeated.servers[0].endpoints, repeated.servers[1].endpoints, "an alias is read");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let problems = load(std::path::Path::new("/nowhere/gateway.yaml")).unwrap_err();
    assert!(problems.to_string().starts_with("cannot read /nowhere/gateway.yaml (No such file"), "{problems}");
}
