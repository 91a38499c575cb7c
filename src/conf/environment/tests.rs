use super::VARIABLES;
use crate::conf::{Conf, Problems, parse};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::collections::BTreeSet;
use std::time::Duration;
use tollbridge_filters::auth::{Keyring, Role};

const SECRET: &str = "8f3c2a51d07e4b96a1c4";
const OTHER: &str = "c0b7e1f24a9d5836e2f0";

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Conf, Problems> {
    parse(text, &|name| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
}

fn good(text: &str, environment: &[(&str, &str)]) -> Conf {
    read(text, environment).unwrap_or_else(|problems| panic!("{text:?} with {environment:?}:\n{problems}"))
}

fn taken(conf: &Conf) -> Vec<&str> {
    conf.taken.iter().map(|taken| taken.variable).collect()
}

fn idle(conf: &Conf) -> Vec<String> {
    conf.idle.iter().map(ToString::to_string).collect()
}

/// Who a key belongs to.
fn caller(conf: &Conf, key: &str) -> Option<(String, Role)> {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {key}").parse().unwrap())]);
    let principal =
        Keyring::new(&conf.keys, tollbridge_filters::permit::Groups::Advisory).authenticate(&headers).ok()?;
    Some((principal.id().to_owned(), principal.role()))
}

#[test]
fn each_variable_sets_what_it_says() {
    let default = good("", &[]);
    assert!(default.taken.is_empty() && default.idle.is_empty());
    type Case = (&'static str, &'static str, fn(&Conf) -> bool);
    let cases: &[Case] = &[
        ("LITELLM_MASTER_KEY", SECRET, |conf| conf.keys[0].id == "litellm-master"),
        ("ADMIN_API_KEYS", SECRET, |conf| conf.keys[0].id == "admin-1"),
        ("ADMIN_API_KEY", SECRET, |conf| conf.keys[0].id == "admin-1"),
        ("GATEWAY_HOST", "::1", |conf| conf.listen.addr == "[::1]:8080".parse().unwrap()),
        ("GATEWAY_HOST", "localhost", |conf| conf.listen.addr == "127.0.0.1:8080".parse().unwrap()),
        ("GATEWAY_PORT", "4000", |conf| conf.listen.addr == "127.0.0.1:4000".parse().unwrap()),
        ("GATEWAY_HTTP_PORT", "8000", |conf| conf.listen.addr == "127.0.0.1:8000".parse().unwrap()),
        ("MCP_GATEWAY_ENABLED", "false", |conf| !conf.surfaces.routeiq && conf.surfaces.litellm),
        ("MCP_GATEWAY_ENABLED", "true", |conf| conf.surfaces.routeiq),
        ("LLMROUTER_ENABLE_MCP_TOOL_INVOCATION", "False", |conf| !conf.surfaces.tool_calls),
        ("LLMROUTER_ENABLE_MCP_TOOL_INVOCATION", "true", |conf| conf.surfaces.tool_calls),
        ("ROUTEIQ_MCP__ACCESS_GROUP_ENFORCEMENT", "true", |conf| conf.access_groups_enforced),
        ("LLMROUTER_OUTBOUND_ALLOW_PRIVATE", "true", |conf| conf.outbound.ranges.len() == 6),
        ("LLMROUTER_OUTBOUND_ALLOW_PRIVATE", "false", |conf| conf.outbound.ranges.is_empty()),
        ("LLMROUTER_SSRF_ALLOWLIST_CIDRS", "10.0.0.0/8, fd00::/8,", |conf| conf.outbound.ranges.len() == 2),
        ("LLMROUTER_SSRF_ALLOWLIST_HOSTS", "A.internal,b", |conf| conf.outbound.names == ["a.internal", "b"]),
        ("OPENAI_API_KEY", "sk-${x}", |conf| {
            let llm = conf.search.llm.as_ref().unwrap();
            llm.api_key.as_deref() == Some("sk-${x}") && llm.model == "gpt-4o-mini"
        }),
        ("MCP_SERVER_NAME", "my tools", |conf| conf.server_name.as_deref() == Some("my tools")),
        ("MCP_SSE_HEARTBEAT_INTERVAL", "30", |conf| conf.limits.heartbeat == Duration::from_secs(30)),
        ("MCP_SSE_HEARTBEAT_INTERVAL", "0.5", |conf| conf.limits.heartbeat == Duration::from_millis(500)),
    ];
    for (variable, value, sets) in cases {
        let conf = good("", &[(variable, value)]);
        assert!(sets(&conf), "{variable}={value}: {conf:?}");
        assert_eq!(taken(&conf), [*variable]);
        assert!(conf.idle.is_empty(), "{:?}", conf.idle);
        let empty = good("", &[(variable, " ")]);
        assert_eq!(empty, default, "{variable} is set to nothing");
    }
    let tested: BTreeSet<&str> = cases.iter().map(|(variable, ..)| *variable).collect();
    let others = ["ROUTEIQ_KEY_PREFIX", "OPENAI_BASE_URL", "OPENAI_MODEL"];
    assert_eq!(tested.len() + others.len(), VARIABLES.len(), "every variable is tested, these below");
}

#[test]
fn variables_that_belong_together_are_read_together() {
    let conf = good("", &[("GATEWAY_HOST", "0.0.0.0"), ("GATEWAY_PORT", "4000"), ("ADMIN_API_KEY", SECRET)]);
    assert_eq!(conf.listen.addr, "0.0.0.0:4000".parse().unwrap(), "open to others, and there is a key");
    assert_eq!(taken(&conf), ["GATEWAY_HOST", "GATEWAY_PORT", "ADMIN_API_KEY"]);

    let llm = [("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "http://llm/v1"), ("OPENAI_MODEL", "small")];
    let found = good("", &llm).search.llm.unwrap();
    assert_eq!((found.base_url.to_string().as_str(), found.model.as_str()), ("http://llm/v1", "small"));
    let without_key = good("", &llm[1..]);
    assert_eq!(without_key.search.llm, None);
    assert_eq!(idle(&without_key)[0], "OPENAI_BASE_URL is set and OPENAI_API_KEY is not");
    let configured = good("search: {llm: {model: mine}}", &llm);
    let found = configured.search.llm.as_ref().unwrap();
    assert_eq!((found.model.as_str(), found.api_key.as_deref()), ("mine", Some("k")));
    assert_eq!(found.base_url.to_string(), "https://api.openai.com/v1");
    assert_eq!(taken(&configured), ["OPENAI_API_KEY"]);

    let both = [("LLMROUTER_SSRF_ALLOWLIST_CIDRS", "10.0.0.1"), ("LLMROUTER_SSRF_ALLOWLIST_HOSTS", "h,10.0.0.2")];
    let outbound = good("", &both).outbound;
    assert_eq!((outbound.ranges.len(), outbound.names.len()), (2, 1));
}

#[test]
fn keys_are_known_with_and_without_their_prefix() {
    let prefixed = format!("sk-riq-{OTHER}");
    let list = format!("{SECRET}, {prefixed}");
    let conf = good("", &[("LITELLM_MASTER_KEY", "sk-a-master-key-of-some-length"), ("ADMIN_API_KEYS", &list)]);
    for (key, id) in [
        ("sk-a-master-key-of-some-length", Some("litellm-master")),
        (SECRET, Some("admin-1")),
        (&format!("sk-riq-{SECRET}"), Some("admin-1")),
        (&prefixed, Some("admin-2")),
        (OTHER, Some("admin-2")),
        ("sk-riq-", None),
        (&format!("sk-riq-{prefixed}"), None),
        (&format!("sk-other-{SECRET}"), None),
    ] {
        assert_eq!(caller(&conf, key), id.map(|id| (id.to_owned(), Role::Admin)), "{key}");
    }
    let conf = good("", &[("ADMIN_API_KEY", SECRET), ("ROUTEIQ_KEY_PREFIX", "my-")]);
    assert!(caller(&conf, &format!("my-{SECRET}")).is_some() && caller(&conf, &format!("sk-riq-{SECRET}")).is_none());
    assert_eq!(taken(&conf), ["ADMIN_API_KEY", "ROUTEIQ_KEY_PREFIX"]);
    assert!(good("", &[("ROUTEIQ_KEY_PREFIX", "my-")]).taken.is_empty(), "no key, no prefix");
}

#[test]
fn the_file_wins_where_it_says_something() {
    let all = [
        ("GATEWAY_HOST", "nonsense"),
        ("GATEWAY_PORT", "nonsense"),
        ("MCP_GATEWAY_ENABLED", "false"),
        ("LLMROUTER_ENABLE_MCP_TOOL_INVOCATION", "nonsense"),
        ("LLMROUTER_OUTBOUND_ALLOW_PRIVATE", "true"),
        ("OPENAI_API_KEY", "k"),
        ("MCP_SERVER_NAME", "theirs"),
        ("MCP_SSE_HEARTBEAT_INTERVAL", "1"),
    ];
    let text = "listen: 127.0.0.1:1\nsurfaces: {tool_calls: on}\noutbound: {allow: []}\nsearch: {llm: off}
server_name: ours\nlimits:\n  heartbeat: 9s";
    let conf = good(text, &all);
    assert_eq!(taken(&conf), ["MCP_GATEWAY_ENABLED"], "of which the file does not speak");
    assert_eq!(
        conf,
        Conf {
            taken: conf.taken.clone(),
            idle: conf.idle.clone(),
            ..good(&text.replace("tool_calls: on", "routeiq: off"), &[])
        }
    );
    assert_eq!(conf.idle.len(), 7);
    assert_eq!(conf.idle[0].to_string(), "GATEWAY_HOST is set and the file says `listen.addr` itself");

    let conf = good("listen:\n  hosts: [h]\nlimits:", &[("GATEWAY_PORT", "4000"), ("MCP_SSE_HEARTBEAT_INTERVAL", "1")]);
    assert_eq!((conf.listen.addr.port(), conf.listen.hosts.len(), conf.taken.len()), (4000, 1, 2), "silent of these");
}

#[test]
fn the_keys_of_the_file_have_the_last_word() {
    let text = format!("keys: [{{id: app, key: {SECRET}, role: user}}, {{id: admin-1, key: aaaaaaaaaaaaaaaaaaaa}}]");
    let conf = good(&text, &[("ADMIN_API_KEYS", OTHER), ("ADMIN_API_KEY", SECRET)]);
    assert_eq!(caller(&conf, SECRET), Some(("app".to_owned(), Role::User)));
    assert_eq!(caller(&conf, OTHER), Some(("admin-2".to_owned(), Role::Admin)));
    assert_eq!(taken(&conf), ["ADMIN_API_KEYS"]);
    assert_eq!(idle(&conf), ["ADMIN_API_KEY is set and adds nothing to the keys that are there"]);
}

#[test]
fn what_has_no_effect_is_said() {
    let conf = good("", &[("REDIS_HOST", "r"), ("GEMINI_API_KEY", "k"), ("REDIS_PORT", "6379"), ("TOLLBRIDGE_X", "1")]);
    assert_eq!(
        idle(&conf),
        [
            "REDIS_HOST is set and has no effect here",
            "REDIS_PORT is set and has no effect here",
            "GEMINI_API_KEY is set and has no effect here"
        ]
    );
    assert!(conf.taken.is_empty());
}

/// A service called `gateway` in the same namespace is no reason not to start.
#[test]
fn what_kubernetes_sets_for_services_is_not_meant() {
    let conf = good("", &[("GATEWAY_PORT", "tcp://10.96.0.1:80"), ("REDIS_PORT", "tcp://10.96.0.2:6379")]);
    assert_eq!(conf, good("", &[]));
}

#[test]
fn a_bad_value_is_said_with_the_name_of_its_variable() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("LITELLM_MASTER_KEY", "sk-1234")], "LITELLM_MASTER_KEY: this secret is a well-known default"),
        (&[("ADMIN_API_KEY", "hunter2")], "ADMIN_API_KEY: this secret is shorter than 16 characters"),
        (&[("ADMIN_API_KEY", "sk-riq-hunter2hunter2")], "ADMIN_API_KEY: this secret is shorter than 16 characters"),
        (&[("ADMIN_API_KEYS", "hunter2 hunter2 hunter2")], "ADMIN_API_KEYS: this secret has spaces"),
        (&[("GATEWAY_HOST", "my-host")], "GATEWAY_HOST: \"my-host\" is no IP address"),
        (&[("GATEWAY_HOST", "0.0.0.0")], "GATEWAY_HOST (listen.addr): 0.0.0.0:8080 is open to other hosts"),
        (&[("GATEWAY_PORT", "0")], "GATEWAY_PORT: \"0\" is no port"),
        (&[("GATEWAY_PORT", "9090")], "GATEWAY_PORT (listen.addr): `listen` (127.0.0.1:9090) and `admin.listen`"),
        (&[("GATEWAY_PORT", "1"), ("GATEWAY_HTTP_PORT", "2")], "GATEWAY_HTTP_PORT: it says 2, and GATEWAY_PORT says 1"),
        (&[("MCP_GATEWAY_ENABLED", "maybe")], "MCP_GATEWAY_ENABLED: \"maybe\" is no switch"),
        (
            &[("LLMROUTER_SSRF_ALLOWLIST_CIDRS", "10.0.0.0/8,10.0.0.0/99")],
            "LLMROUTER_SSRF_ALLOWLIST_CIDRS (outbound.allow[1]): ",
        ),
        (&[("OPENAI_API_KEY", "hunter2 ")], ""),
        (&[("OPENAI_API_KEY", "hunter2 hunter2")], "OPENAI_API_KEY (search.llm.api_key): this key has spaces"),
        (
            &[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "http://a:hunter2@h/")],
            "OPENAI_BASE_URL (search.llm.base_url): a URL cannot carry a user or password",
        ),
        (&[("MCP_SSE_HEARTBEAT_INTERVAL", "often")], "MCP_SSE_HEARTBEAT_INTERVAL: \"often\" is no number of seconds"),
        (&[("MCP_SSE_HEARTBEAT_INTERVAL", "-1")], "MCP_SSE_HEARTBEAT_INTERVAL: \"-1\" is no number of seconds"),
        (
            &[("MCP_SSE_HEARTBEAT_INTERVAL", "0")],
            "MCP_SSE_HEARTBEAT_INTERVAL (limits.heartbeat): \"0ms\" is out of range",
        ),
    ];
    for (environment, expected) in cases {
        let problems = read("", environment).err().map_or_else(Vec::new, |problems| problems.0);
        match problems.as_slice() {
            [] => assert!(expected.is_empty(), "{environment:?} should be refused: {expected}"),
            [problem] if problem.line == 0 && problem.message.contains(expected) && !expected.is_empty() => {
                assert!(!problem.message.contains("hunter2"), "{problem}");
            }
            other => panic!("{environment:?}: expected {expected:?}, found {other:?}"),
        }
    }
}

#[test]
fn every_variable_is_listed_once() {
    let names: BTreeSet<&str> = VARIABLES.iter().map(|(name, _)| *name).chain(super::WITHOUT_EFFECT).collect();
    assert_eq!(names.len(), VARIABLES.len() + super::WITHOUT_EFFECT.len());
}
