use super::*;

fn id(text: &str) -> ServerId {
    ServerId::derive(text).unwrap()
}

#[test]
fn server_ids_are_slugs() {
    for (given, expected) in
        [("search", "search"), ("Files.EU_1", "files-eu-1"), ("a__b", "a--b"), ("Long.Name", "long-name")]
    {
        let derived = id(given);
        assert_eq!(derived.as_str(), expected);
        assert!(!derived.as_str().contains(SEPARATOR), "{derived} holds the separator");
    }
    let long = id("a-rather-long-name-of-a-server-that-goes-on");
    assert_eq!(long.as_str().len(), SERVER_ID_MAX, "{long}");
    assert!(long.as_str().starts_with("a-rather") && long.as_str().ends_with("goes-on"), "{long}");
}

#[test]
fn bad_and_reserved_ids_are_refused() {
    for given in ["", "a b", "ä", "../x", "a/b", &"x".repeat(129)] {
        assert!(matches!(ServerId::derive(given), Err(BadServerId::Characters(_))), "{given:?}");
    }
    for given in ["tools", "MCP", "v0.1", "mcp_rest"] {
        assert!(matches!(ServerId::derive(given), Err(BadServerId::Reserved(_))), "{given:?}");
    }
}

#[test]
fn long_public_names_keep_their_ends_and_stay_distinct() {
    let server = id("search");
    assert_eq!(public_name(&server, "query"), "search__query");
    let one = public_name(&server, &format!("{}one", "x".repeat(80)));
    let two = public_name(&server, &format!("{}y{}", "x".repeat(40), "x".repeat(42)));
    assert_eq!(one.len(), PUBLIC_NAME_MAX);
    assert!(one.starts_with("search__x") && one.ends_with("xone"), "{one}");
    assert_ne!(one, two);
}

#[test]
fn other_gateways_spellings_are_understood() {
    let server = id("search");
    for spelling in ["search__query", "search.query", "search-query", "mcp_search__query"] {
        assert_eq!(foreign_spelling(spelling, server.as_str()), Some("query"), "{spelling}");
    }
    for other in ["query", "search", "search__", "searching.query"] {
        assert_eq!(foreign_spelling(other, server.as_str()), None, "{other}");
    }
}

#[test]
fn model_apis_take_every_function_name() {
    for unchanged in ["search__query", "a", "A-Z_09", &"x".repeat(PUBLIC_NAME_MAX)] {
        assert!(matches!(function_name(unchanged), Cow::Borrowed(name) if name == unchanged), "{unchanged}");
    }
    for (given, front) in [
        ("search__get.page", "search__get_page_"),
        ("search__get page", "search__get_page_"),
        ("search__größe", "search__gr__e_"),
        ("名前", "___"),
        ("", "_"),
    ] {
        let name = function_name(given);
        assert!(name.starts_with(front) && name.len() == front.len() + 8, "{given:?}: {name}");
    }
    assert_ne!(function_name("s__get.page"), function_name("s__get page"), "the original is in the hash");
    assert_eq!(function_name("s__get.page"), function_name("s__get.page"));
    let long = |middle: &str| format!("search__{}{middle}{}.end", "x".repeat(60), "x".repeat(60));
    let (one, two) = (long("1"), long("2"));
    assert_eq!(function_name(&one).len(), PUBLIC_NAME_MAX);
    assert!(function_name(&one).starts_with("search__x") && function_name(&one).ends_with("x_end"));
    assert_ne!(function_name(&one), function_name(&two));
    let at_the_limit = format!("s__{}.", "x".repeat(PUBLIC_NAME_MAX - 4));
    assert_eq!(function_name(&at_the_limit).len(), PUBLIC_NAME_MAX);
}
