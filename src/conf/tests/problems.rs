//! What is wrong with a file: every problem at once, each with its line and the way out.

use super::*;

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
        (
            "registry: {store: redis}",
            &[(1, "registry: `url` is missing; write it, as in `url: redis://127.0.0.1:6379/0`")],
        ),
        ("registry: {store: redis, url: \"redis://h\"}", &[(1, "registry: the store redis needs `seal.keys`")]),
        ("registry: {store: redis, url: \"http://h\"}", &[(1, "registry.url: \"http\" is no scheme of a Redis")]),
        ("registry: {url: \"redis://h\"}", &[(1, "registry.url: only the store redis has an address")]),
        ("registry: {resync: 31s}", &[(1, "registry.resync")]),
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
        // The queue.
        ("queue: on", &[(1, "queue: \"on\" is no queue; write off, or keys: principal, url, ")]),
        (
            "queue:\n  url: redis://h\n  in_flight: 1001\n  lease: 61s",
            &[
                (1, "queue: `principal` is missing"),
                (3, "queue.in_flight: \"1001\" is out of range; write 1 to 1000"),
                (4, "queue.lease: \"61s\" is out of range; write 1s to 1m"),
            ],
        ),
        (
            "keys: [{id: app, key: abcdefghijklmnop}]\nqueue:\n  url: redis://h\n  principal: nobody",
            &[(4, "queue.principal: no key has the id \"nobody\"")],
        ),
        (
            "keys: [{id: app, key: abcdefghijklmnop}]\nqueue:\n  principal: app",
            &[(2, "queue: `url` is missing, and the registry has no Redis")],
        ),
        (
            "keys: [{id: app, key: abcdefghijklmnop}]\nqueue:\n  principal: app\n  url: redis-cluster://h",
            &[(4, "queue.url: a cluster keeps the lists in several slots")],
        ),
        (
            "keys: [{id: app, key: abcdefghijklmnop}]\nseal: {keys: [\"${TOLLBRIDGE_SEAL}\"]}\n\
             registry: {store: redis, url: \"redis-cluster://h\"}\nqueue:\n  principal: app",
            &[(4, "queue: a cluster keeps the lists in several slots")],
        ),
        (
            "queue:\n  principle: app",
            &[(1, "`principal` is missing"), (1, "`url` is missing"), (2, "did you mean `principal`?")],
        ),
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
