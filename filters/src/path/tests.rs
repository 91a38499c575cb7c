use super::*;

fn read(path: &str, passthrough: bool) -> Result<Place, Rejection> {
    place(path, |id| id.as_str() == "search", passthrough)
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
        ("/mcp/tools", Place::Elsewhere),
        ("/tools/mcp", Place::Elsewhere),
        ("/a/b/mcp", Place::Elsewhere),
        ("/", Place::Elsewhere),
    ] {
        assert_eq!(read(path, false).unwrap(), expected, "{path}");
    }
}

#[test]
fn the_application_keeps_its_paths() {
    assert_eq!(read("/other/mcp", true).unwrap(), Place::Elsewhere);
    assert_eq!(read("/search/mcp", true).unwrap(), one("search"));
    assert_eq!(read("/app//assets/../x", true).unwrap(), Place::Elsewhere);
    assert_eq!(read("/app/a%20b%2Fc", true).unwrap(), Place::Elsewhere);
    assert_eq!(read("/docs/a%20mcp-guide;x=mcp", true).unwrap(), Place::Elsewhere);
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
