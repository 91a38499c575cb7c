use super::*;

fn read(path: &str, passthrough: bool) -> Result<Place, Rejection> {
    let known = |id: &ServerId| id.as_str() == "search";
    place(path, &Grounds { known: &known, passthrough, surfaces: Surfaces { oliverye: false, ..Surfaces::default() } })
}

fn one(id: &str) -> Place {
    Place::Mcp(Scope::One(ServerId::derive(id).unwrap()))
}

#[test]
fn prefixes_match_by_segment() {
    for (path, expected) in [
        ("/mcp", Place::Mcp(Scope::All)),
        ("/mcp/", Place::Mcp(Scope::All)),
        ("/mcp/search", one("search")),
        ("/search/mcp", one("search")),
        ("/mcp/Search.Two", one("search-two")),
        ("/.well-known/oauth-protected-resource/mcp", Place::ResourceMetadata),
        ("/mcpx", Place::Elsewhere),
        ("/mcp/prompts", Place::Elsewhere),
        ("/tools/mcp", Place::Elsewhere),
        ("/a/b/mcp", Place::Elsewhere),
        ("/", Place::Elsewhere),
    ] {
        assert_eq!(read(path, false).unwrap(), expected, "{path}");
    }
}

#[test]
fn paths_of_surfaces_are_no_servers() {
    for path in
        ["/mcp/openapi.json", "/mcp/servers", "/mcp/tools/call", "/mcp/x/tools/y", "/v0.1/servers/a%2Fb/versions"]
    {
        assert!(matches!(read(path, false), Ok(Place::Rest(_))), "{path}");
    }
    for path in ["/v0.1/servers/a%2F..%2Fb/versions", "/v0.1/servers/%2e%2e/versions", "/mcp/x%2fy/tools/z"] {
        assert_eq!(read(path, false), Err(Rejection::AmbiguousPath), "{path}");
    }
}

#[test]
fn the_application_keeps_its_paths() {
    assert_eq!(read("/other/mcp", true).unwrap(), Place::Elsewhere);
    assert_eq!(read("/search/mcp", true).unwrap(), one("search"));
    assert_eq!(read("/app//assets/../x", true).unwrap(), Place::Elsewhere);
    assert_eq!(read("/app/a%20b%2Fc", true).unwrap(), Place::Elsewhere);
    assert_eq!(read("/docs/a%20mcp-guide;x=mcp", true).unwrap(), Place::Elsewhere);
    assert_eq!(read("/v0.1/items/a%20b", true).unwrap(), Place::Elsewhere);
}

#[test]
fn doubtful_spellings_near_ours_are_refused() {
    for path in [
        "//mcp",
        "/mcp//search",
        "/mcp/..;/admin",
        "/%2fmcp",
        "/mcp%2fsearch",
        "/./mcp",
        "/x/../mcp",
        "/mcp;a=b",
        "/%6dcp",
        "/%6Dcp/x",
        "/%256dcp",
        "/x%2f..%2fmcp",
        "/%4dCP",
        "/mcp%00",
        "/%20mcp",
        "/x\\mcp",
    ] {
        for passthrough in [false, true] {
            assert_eq!(read(path, passthrough), Err(Rejection::AmbiguousPath), "{path}");
        }
    }
}
